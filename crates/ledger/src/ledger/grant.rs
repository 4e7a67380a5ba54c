//! Leave for calls that may cost money. It comes from the ledger and from nowhere else.
//!
//! The client that the product pays with takes the grants of this crate's [`Issuer`], and nobody else has one:
//!
//! ```compile_fail
//! let token = veobatch_core::Token::from_bits(1);
//! let forged: veobatch_ledger::SubmissionGrant = veobatch_core::Grant::by(&veobatch_ledger::Issuer(()), token);
//! ```

use veobatch_core::{Grant, Submission, Timestamp, Token, Upgrading};

use veobatch_core::account::Blocked;

/// Who issues grants: the ledger. It cannot be made outside of this crate.
#[derive(Debug, PartialEq, Eq)]
pub struct Issuer(());

/// Leave to submit the job that was claimed with it.
pub type SubmissionGrant = Grant<Issuer, Submission>;

/// Leave to ask once for a larger version of one job's video.
pub type UpgradeGrant = Grant<Issuer, Upgrading>;

/// The answer to [`crate::Ledger::claim_upgrade`].
#[derive(Debug, PartialEq, Eq)]
pub enum UpgradeClaim {
    /// Make the call now.
    Granted(UpgradeGrant),
    /// Not now.
    Wait {
        /// What for: recovery, gate or slot.
        why: Blocked,
        /// When to ask again.
        until: Timestamp,
        /// By the ledger's clock.
        now: Timestamp,
    },
}

/// Leave for `token`; only where the ledger says so.
pub(crate) fn grant<C>(token: &Token) -> Grant<Issuer, C> {
    Grant::by(&Issuer(()), token.clone())
}
