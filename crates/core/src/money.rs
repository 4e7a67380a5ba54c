//! What videos cost, and what was paid.

mod balances;
mod credits;
mod prices;

pub use balances::{Balances, Reading};
pub use credits::Credits;
pub use prices::{ModelPrice, Prices};
