//! What this process learns of the account at the service: whether it is let in, the balance, and calls for larger versions.

pub(crate) mod access;
pub(crate) mod balance;
pub(crate) mod upgrade;
