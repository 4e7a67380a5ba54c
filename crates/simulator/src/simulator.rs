//! The running service: it listens, owns its connections and notifications, and can be stopped.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::account::Account;
use crate::account::store::Store;
use crate::bill::Bill;
use crate::config::{Config, ConfigError};
use crate::fault::Faults;
use crate::state::State;
use crate::transport::connection::{Connection, Cut, Socket};
use crate::{callback, routes};

/// A running service. Dropping it stops it as a kill would; so does [`Simulator::stop`], which also waits.
#[derive(Debug)]
pub struct Simulator {
    state: Arc<State>,
    tasks: JoinSet<()>,
}

impl Simulator {
    /// Serves on `listen` (port 0: any free one) until stopped.
    ///
    /// With a `store` (a file, or a folder to hold it) the tasks, charges and upgrades of earlier runs are there again,
    /// and those of this one will be; tasks that were being generated went on meanwhile.
    ///
    /// # Errors
    /// If a value of the configuration cannot be meant (`InvalidInput`), if the store cannot be read or written, or if
    /// the address cannot be listened to.
    pub async fn start(config: Config, listen: SocketAddr, store: Option<PathBuf>) -> io::Result<Self> {
        config.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let (store, entries) = match store {
            Some(path) => Store::open(&path).map(|(store, entries)| (Some(store), entries))?,
            None => (None, Vec::new()),
        };
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let (callbacks, wanted) = unbounded_channel();
        let state = Arc::new(State::new(address, config, Account::new(store, entries), callbacks));
        state.resume_callbacks();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(Arc::clone(&state), listener, wanted));
        Ok(Self { state, tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.state.address
    }

    /// What a client takes as the API's base: `http://127.0.0.1:40123`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.state.address)
    }

    /// What was accepted, asked and charged so far.
    pub async fn bill(&self) -> Bill {
        let state = Arc::clone(&self.state);
        match tokio::task::spawn_blocking(move || state.bill(false)).await {
            Ok(bill) => bill,
            Err(_) => self.state.bill(false),
        }
    }

    /// Whether a task of this id was ever accepted.
    pub fn has_task(&self, id: &str) -> bool {
        self.state.account().find(id).is_some()
    }

    /// The configuration as it is now.
    pub fn config(&self) -> Config {
        (*self.state.config()).clone()
    }

    /// Replaces the configuration, at once and for everything that has not been decided yet. Rules of faults start
    /// counting anew; the numbers of submissions go on.
    ///
    /// # Errors
    /// If a value cannot be meant; then nothing has changed.
    pub fn update(&self, config: Config) -> Result<(), ConfigError> {
        config.check()?;
        self.state.configure(config);
        Ok(())
    }

    /// Replaces the faults and nothing else; see [`Simulator::update`].
    ///
    /// # Errors
    /// If a probability cannot be meant; then nothing has changed.
    pub fn set_faults(&self, faults: Faults) -> Result<(), ConfigError> {
        self.update(Config { faults, ..self.config() })
    }

    /// Stops at once, in the middle of whatever is under way, and returns when nothing of it runs any more.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

/// Accepts connections and notifications, and owns them all.
async fn serve(state: Arc<State>, listener: TcpListener, mut wanted: UnboundedReceiver<String>) {
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    running.spawn(converse(Arc::clone(&state), stream));
                }
                // Out of file descriptors, mostly: others must be closed first.
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            },
            Some(id) = wanted.recv() => {
                running.spawn(callback::deliver(Arc::clone(&state), id));
            }
            Some(_) = running.join_next() => {}
        }
    }
}

/// Answers the requests of one connection.
async fn converse(state: Arc<State>, stream: TcpStream) {
    // Without it, small answers wait for the client's acknowledgement; with it missing nothing is wrong but slow.
    let _ = stream.set_nodelay(true);
    let line = Connection::default();
    let socket = Socket::new(stream, line.clone());
    if state.config().unreachable {
        state.account().turned_off += 1;
        line.cut(Cut::Reset);
        return;
    }
    let answer = service_fn(move |request| {
        let (state, line) = (Arc::clone(&state), line.clone());
        async move { routes::respond(state, request).await.send(&line).await }
    });
    // An error here is a connection that ended early: by the client, or by a fault that was asked for.
    let _ = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(socket), answer).await;
}
