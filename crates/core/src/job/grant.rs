//! The ledger's leave to make one call that may cost money.
//!
//! ```text
//! a claim in the ledger ─▶ Grant ─▶ a permit of api, with deadlines ─▶ one call
//! ```
//!
//! A grant is a proof: it is neither `Clone` nor `Copy`, and only whoever has an issuer `I` can make one. The ledger's
//! issuer has a private constructor, and the client of the API that the product pays with takes no grants but those of
//! that issuer. So no code outside of the ledger's claims can make a paid call, by mistake or otherwise.

use std::fmt;
use std::marker::PhantomData;

use crate::names::id::Token;

/// What may be done: `C` is [`Submission`] or [`Upgrading`].
#[derive(PartialEq, Eq)]
pub struct Grant<I, C> {
    token: Token,
    kind: PhantomData<(I, C)>,
}

/// Leave to submit the job whose claim wrote the grant's token as its intent.
#[derive(Debug, PartialEq, Eq)]
pub enum Submission {}

/// Leave to ask for a larger version of one job's video: the first such call pays.
#[derive(Debug, PartialEq, Eq)]
pub enum Upgrading {}

impl<I, C> Grant<I, C> {
    /// The grant that `token` stands for from now on.
    pub fn by(_issuer: &I, token: Token) -> Self {
        Self { token, kind: PhantomData }
    }

    /// What the ledger knows it by. The grant is used up.
    pub fn into_token(self) -> Token {
        self.token
    }
}

impl<I, C> fmt::Debug for Grant<I, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Grant").field(&self.token).finish()
    }
}
