//! What this process knows of the account at the service: whether it is let in, the balance, the gate, larger versions.

pub(crate) mod access;
pub(crate) mod balance;
pub(crate) mod gate;
pub(crate) mod upgrade;
