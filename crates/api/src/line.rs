//! The line to the service: where a request leaves this program. In the product, an HTTP client and nothing else.

use reqwest::{Client, Request, Response};
use veobatch_core::Token;

use crate::words;

/// What requests are handed to.
#[derive(Clone, Debug)]
pub(crate) enum Line {
    /// The network.
    Network(Client),
    /// What stands in for it, and the limit of a whole call on it.
    #[cfg(feature = "simulated")]
    Simulated(std::sync::Arc<dyn crate::simulated::Network>, std::time::Duration),
}

/// No answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// It is provable that no byte of the request left.
    NotSent(String),
    /// The request may have arrived.
    NoAnswer(String),
}

impl Line {
    /// Sends `request`, once; returns the answer's head. `attempt` is what it pays for, if it pays.
    ///
    /// A failed connection (name, TCP, TLS, a proxy's tunnel) is the only proof that nothing was sent. hyper-util makes
    /// its error kind `Connect` nowhere but while it gets hold of a connection, before the request is handed to one
    /// (`client/legacy/client.rs` of 0.1.21: `connection_for`); a failed or timed-out exchange has another kind.
    #[cfg_attr(
        not(feature = "simulated"),
        expect(unused_variables, reason = "the wire does not say which attempt it is")
    )]
    pub(crate) async fn carry(&self, request: Request, attempt: Option<&Token>) -> Result<Response, Undelivered> {
        match self {
            Self::Network(client) => client.execute(request).await.map_err(|error| {
                let is_unsent = error.is_connect() || error.is_builder();
                let why = words::causes(&error.without_url());
                if is_unsent { Undelivered::NotSent(why) } else { Undelivered::NoAnswer(why) }
            }),
            #[cfg(feature = "simulated")]
            Self::Simulated(network, limit) => {
                let sent = crate::simulated::Sent::of(&request, attempt.cloned());
                let late = |_| Err(crate::simulated::Lost::NoAnswer("operation timed out".to_owned()));
                let carried = tokio::time::timeout(*limit, network.carry(sent)).await.unwrap_or_else(late);
                carried.map(Into::into).map_err(Into::into)
            }
        }
    }
}
