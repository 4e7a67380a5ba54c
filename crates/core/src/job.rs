//! One job: what was asked for, where it is, what happens to it, and what comes next.

pub(crate) mod after;
pub(crate) mod defaults;
pub(crate) mod delay;
pub(crate) mod doubt;
pub(crate) mod event;
pub(crate) mod facets;
pub(crate) mod grant;
pub(crate) mod payable;
pub(crate) mod plan;
pub(crate) mod record;
pub(crate) mod spec;
