//! The connection to the service: where a request leaves this program. In the product, an HTTP client and nothing else.
//!
//! There are two kinds. What pays leaves on a connection of its own, which carries it only while its permit says so; what is
//! free leaves on any connection, and once more if that one ended without an answer.

use std::future::{Ready, ready};

use reqwest::{Client, ClientBuilder, Request, Response};
use tower::BoxError;
use tower::util::AndThenLayer;

use super::undelivered::Undelivered;
use crate::permit::{Leave, TooLate};
use crate::text;

/// What requests are handed to.
#[derive(Clone, Debug)]
pub(crate) enum Connection {
    /// The network.
    Network(Client),
    /// What stands in for it, and the limit of a whole call on it.
    #[cfg(feature = "simulated")]
    Simulated(std::sync::Arc<dyn crate::transport::simulated::Network>, std::time::Duration),
}

tokio::task_local! {
    /// Of the paid call that this task is making.
    static LEAVE: Leave;
}

/// Makes the clients of `builder` fit for [`Connection::pay`], and for nothing else: each connection is a fresh one, and stands
/// only for a call whose permit is still good by then.
///
/// A connection that was kept may be dead, and then the request's fate is unknown, whereas one that cannot be made proves
/// that nothing was sent. It costs a handshake per payment.
pub(crate) fn paying(builder: ClientBuilder) -> ClientBuilder {
    builder.http1_only().pool_max_idle_per_host(0).connector_layer(AndThenLayer::new(in_time))
}

/// The last check of the permit: the connection stands, TLS and proxy included, and no byte of the request has left.
///
/// Without a pool hyper-util makes the connection in the task that makes the call (`client/legacy/client.rs` of 0.1.21:
/// `one_connection_for`). If another version did it elsewhere, no permit would be found, and nothing would be sent.
fn in_time<C>(connection: C) -> Ready<Result<C, BoxError>> {
    let checked = LEAVE.try_with(Leave::check).map_err(BoxError::from);
    ready(checked.and_then(|checked| checked.map_err(BoxError::from)).map(|()| connection))
}

impl Connection {
    /// Sends a request that pays, at most once; returns the answer's head.
    pub(crate) async fn pay(&self, request: Request, leave: Leave) -> Result<Response, Undelivered> {
        leave.check().map_err(|late: TooLate| Undelivered::NotSent(late.to_string()))?;
        match self {
            Self::Network(client) => LEAVE.scope(leave, client.execute(request)).await.map_err(undelivered),
            #[cfg(feature = "simulated")]
            Self::Simulated(network, limit) => simulated(network, *limit, &request, Some(&leave.token)).await,
        }
    }

    /// Sends a request that is free; returns the answer's head.
    ///
    /// It may leave on a connection that was kept, and that the server gives up at this very moment. So if the connection
    /// ends without an answer, the request leaves once more.
    pub(crate) async fn ask(&self, request: Request) -> Result<Response, Undelivered> {
        match self {
            Self::Network(client) => {
                let again = request.try_clone();
                match (client.execute(request).await, again) {
                    (Err(error), Some(again)) if has_ended(&error) => client.execute(again).await,
                    (answer, _) => answer,
                }
                .map_err(undelivered)
            }
            #[cfg(feature = "simulated")]
            Self::Simulated(network, limit) => simulated(network, *limit, &request, None).await,
        }
    }
}

/// A failed connection (name, TCP, TLS, a proxy's tunnel, a permit that ran out meanwhile) is the only proof that nothing was
/// sent. hyper-util makes its error kind `Connect` nowhere but while it gets hold of a connection, before the request is
/// handed to one (`client/legacy/client.rs` of 0.1.21: `connection_for`); a failed or timed-out exchange has another kind.
fn undelivered(error: reqwest::Error) -> Undelivered {
    let is_unsent = error.is_connect() || error.is_builder();
    let why = text::causes(&error.without_url());
    if is_unsent { Undelivered::NotSent(why) } else { Undelivered::NoAnswer(why) }
}

/// Whether the connection ended before anything of an answer came. Silence is no end.
fn has_ended(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}

/// `attempt` is what the request pays for, if it pays.
#[cfg(feature = "simulated")]
async fn simulated(
    network: &std::sync::Arc<dyn crate::transport::simulated::Network>,
    limit: std::time::Duration,
    request: &Request,
    attempt: Option<&veobatch_core::Token>,
) -> Result<Response, Undelivered> {
    use crate::transport::simulated::{Lost, Sent};
    let sent = Sent::of(request, attempt.cloned());
    let late = |_| Err(Lost::NoAnswer("operation timed out".to_owned()));
    let carried = tokio::time::timeout(limit, network.carry(sent)).await.unwrap_or_else(late);
    carried.map(Into::into).map_err(Into::into)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::{TcpListener, TcpStream};
    use std::time::Duration;

    use reqwest::Method;
    use tokio::time::{Instant, sleep_until};

    use super::*;
    use crate::permit::tests::leave;
    use crate::permit::wall_clock;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A request paid for with `leave`, on a connection that stands at `stands`; and what the server read of it.
    async fn pay(leave: Leave, stands: Instant) -> (Undelivered, Vec<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let mut bytes = vec![0; 1000];
            let count = listener.accept().unwrap().0.read(&mut bytes).unwrap();
            bytes.truncate(count);
            bytes
        });
        let slow = AndThenLayer::new(async move |connection| {
            sleep_until(stands).await;
            Ok::<_, BoxError>(connection)
        });
        let builder = Client::builder().no_proxy().tls_certs_only([]).connector_layer(slow);
        let line = Connection::Network(paying(builder).build().unwrap());
        let url = format!("http://{address}/").parse().unwrap();
        let paid = line.pay(Request::new(Method::POST, url), leave).await;
        // One that was never made would be waited for.
        drop(TcpStream::connect(address));
        (paid.unwrap_err(), server.join().unwrap())
    }

    #[tokio::test]
    async fn a_permit_that_has_run_out_makes_no_connection_and_a_call_without_one_has_none() {
        crate::install_crypto();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let client = paying(Client::builder().no_proxy().tls_certs_only([])).build().unwrap();
        let late = leave(Instant::now(), wall_clock() + HOUR);
        let paid = Connection::Network(client).pay(Request::new(Method::POST, url), late).await.unwrap_err();
        assert!(matches!(paid, Undelivered::NotSent(_)), "{paid:?}");
        listener.set_nonblocking(true).unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        // Nobody could tell until when it may be sent.
        in_time(()).await.unwrap_err();
    }

    #[tokio::test]
    async fn a_permit_that_runs_out_while_the_connection_is_made_sends_nothing() {
        crate::install_crypto();
        let soon = Duration::from_millis(300);
        for ahead in [(soon, HOUR), (HOUR, soon)] {
            let late = leave(Instant::now() + ahead.0, wall_clock() + ahead.1);
            let (undelivered, seen) = pay(late, Instant::now() + 2 * soon).await;
            let Undelivered::NotSent(why) = undelivered else { panic!("{undelivered:?}") };
            assert!(why.contains("the claim's time was over"), "{why}");
            assert_eq!(seen, b"", "the connection stood, and nothing was sent on it");
        }
        let good = leave(Instant::now() + HOUR, wall_clock() + HOUR);
        let (undelivered, seen) = pay(good, Instant::now() + soon).await;
        assert!(matches!(undelivered, Undelivered::NoAnswer(_)), "{undelivered:?}");
        assert!(seen.starts_with(b"POST / HTTP/1.1\r\n"));
    }
}
