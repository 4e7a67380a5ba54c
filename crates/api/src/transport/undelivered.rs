//! Requests that got no answer.

/// No answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// It is provable that no byte of the request left.
    NotSent(String),
    /// The request may have arrived.
    NoAnswer(String),
}
