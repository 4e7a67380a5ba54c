//! The account that is used: the real one, or a simulated one inside this process.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use url::{Host, Url};
use veobatch_api::{ApiKey, ClientConfig, Dialect, FileHostConfig, is_loopback};
use veobatch_core::{Credits, TroubleKind};
use veobatch_ledger::{Binding, Ledger};
use veobatch_simulator::{Config, Simulator};
use veobatch_worker::Client;

use crate::args::settings::{Service, Settings};
use crate::environment;
use crate::failure::{Failure, Result};
use crate::output::ui;
use crate::session::Session;

/// What a simulated ledger is bound to: its service listens on another port every time.
const SIMULATOR: &str = "simulator";

/// Where the simulated service listens, if it can: result links that are still to be fetched name its port.
const PORTS: std::ops::Range<u16> = 23_100..23_900;

/// Whose account it is.
#[derive(Clone, Debug)]
pub(crate) enum Account {
    Real { base: Url, key: ApiKey },
    Simulated,
}

/// A client of the account's API; the simulated service lives as long as this.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) client: Arc<Client>,
    /// Files may come from this machine and its neighbours, because the API itself is there.
    pub(crate) private_hosts: bool,
    simulator: Option<Simulator>,
}

impl Account {
    /// The account that was named and whose key is in the environment. Calls nobody.
    pub(crate) fn of(settings: &Settings, service: &Service) -> Result<Self> {
        if settings.simulate {
            return Ok(Self::Simulated);
        }
        let base = base(service)?;
        if base.scheme() == "http" && !is_loopback(&base) {
            ui::message(format_args!("warning: the API key is sent to {base} unencrypted; use https"));
        }
        Ok(Self::Real { base, key: environment::api_key()? })
    }

    /// Binds the ledger to this account, or finds that it is bound to another.
    ///
    /// The first time only once the service has taken the key: a mistyped key or base must not claim the ledger.
    pub(crate) async fn bind(&self, ledger: &dyn Ledger) -> Result<()> {
        let refused = |error| Failure::ledger("use this ledger with this account", &error);
        match self {
            Self::Real { base, key } => {
                let fingerprint = |salt: &[u8]| key.fingerprint(salt);
                let base = base.as_str().trim_end_matches('/');
                if !ledger.bind(base, &fingerprint, Binding::Check).await.map_err(refused)? {
                    self.confirm().await?;
                }
                ledger.bind(base, &fingerprint, Binding::Bind).await
            }
            Self::Simulated => ledger.bind(SIMULATOR, &|_: &[u8]| SIMULATOR.to_owned(), Binding::Bind).await,
        }
        .map(drop)
        .map_err(refused)
    }

    /// Finds out whether the service is there and takes the key.
    async fn confirm(&self) -> Result<()> {
        let remote = self.connect(Dialect::default(), None).await?;
        match remote.balance().await? {
            Balance::Credits(_) | Balance::Later(_) => Ok(()),
            Balance::Unreachable(why) => Err(Failure::unavailable("reach the service")
                .since(why)
                .hint("nothing was changed: check --api-base and the network, then run the same command again")),
        }
    }

    /// A client of its API. Starts the simulated service, which keeps its tasks beside the ledger; one process at a
    /// time may do that, the one that could work on the ledger.
    pub(crate) async fn connect(&self, dialect: Dialect, session: Option<&Session>) -> Result<Remote> {
        match self {
            Self::Real { base, key } => {
                let private_hosts = is_private(base);
                Ok(Remote { client: client(dialect, base.clone(), key.clone())?, private_hosts, simulator: None })
            }
            Self::Simulated => {
                if let Some(session) = session
                    && !session.has_place().await?
                {
                    return Err(Failure::unavailable("start the simulated service")
                        .since("another veobatch process is simulating with this ledger")
                        .hint("wait for it to end, then run the same command again"));
                }
                let simulator = simulator(session).await?;
                let base = simulator.base_url();
                let base = Url::parse(&base)
                    .map_err(|error| Failure::unavailable("find the simulated service").because(&error))?;
                let key = ApiKey::parse(SIMULATOR)
                    .map_err(|error| Failure::unavailable("start the simulated service").because(&error))?;
                Ok(Remote { client: client(dialect, base, key)?, private_hosts: true, simulator: Some(simulator) })
            }
        }
    }
}

/// What the service says about the account's credits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Balance {
    Credits(Credits),
    /// It is there, but does not say now.
    Later(String),
    /// No answer that can be understood.
    Unreachable(String),
}

/// How often the balance is asked for before the service counts as unreachable, and the pause between.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

impl Remote {
    /// The account's balance. A refused key is a failure: nothing will work with it.
    pub(crate) async fn balance(&self) -> Result<Balance> {
        let mut tries = 0;
        loop {
            tries += 1;
            let trouble = match self.client.credits().await {
                Ok(credits) => return Ok(Balance::Credits(credits)),
                Err(trouble) => trouble,
            };
            match trouble.kind {
                TroubleKind::KeyRefused => {
                    return Err(Failure::unavailable("use the API key")
                        .since(format!("the service refuses it: {}", trouble.message))
                        .hint("check KIE_API_KEY, and the key's IP list and limits at https://kie.ai/api-key"));
                }
                TroubleKind::RateLimited | TroubleKind::Busy => return Ok(Balance::Later(trouble.message)),
                TroubleKind::Transport | TroubleKind::Blocked if tries < TRIES => sleep(PAUSE).await,
                TroubleKind::Transport | TroubleKind::Blocked => return Ok(Balance::Unreachable(trouble.message)),
            }
        }
    }

    /// Ends the simulated service, if there is one.
    pub(crate) async fn stop(self) {
        if let Some(simulator) = self.simulator {
            simulator.stop().await;
        }
    }
}

/// The API base as it was set.
fn base(service: &Service) -> Result<Url> {
    Url::parse(&service.api_base).map_err(|error| {
        Failure::bad_input(format!("understand the API base {:?}", service.api_base))
            .because(&error)
            .hint("--api-base https://api.kie.ai")
    })
}

fn client(dialect: Dialect, base: Url, key: ApiKey) -> Result<Arc<Client>> {
    let config = ClientConfig { dialect, ..ClientConfig::new(base, key) };
    Client::new(config)
        .map(Arc::new)
        .map_err(|error| Failure::bad_input("set up the API client").because(&error).hint("veobatch credits --help"))
}

async fn simulator(session: Option<&Session>) -> Result<Simulator> {
    let store = session.map(Session::simulator_store);
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let usual = session.map_or(any, |session| SocketAddr::from(([127, 0, 0, 1], port(&session.url.shown()))));
    if let Ok(simulator) = Simulator::start(Config::quick(), usual, store.clone()).await {
        return Ok(simulator);
    }
    Simulator::start(Config::quick(), any, store.clone()).await.map_err(|error| {
        let place = store.map_or("memory".to_owned(), |store| store.display().to_string());
        Failure::unavailable("start the simulated service")
            .because(&error)
            .hint(format!("make sure that {place}, where it keeps its tasks, can be written"))
    })
}

/// The usual port of the service of one ledger: FNV-1a of its name, folded into [`PORTS`].
fn port(name: &str) -> u16 {
    let hash = name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    PORTS.start + u16::try_from(hash % u32::from(PORTS.end - PORTS.start)).unwrap_or_default()
}

/// Whether the API is on this machine or in its own network: a loopback or private address, or a name without a dot,
/// such as that of a container beside this one.
pub(crate) fn is_private(base: &Url) -> bool {
    let is_bare = matches!(base.host(), Some(Host::Domain(name)) if !name.contains('.'));
    is_bare || FileHostConfig::beside(base).private
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_api_in_ones_own_network_may_hand_out_links_into_it() {
        let private = |base| is_private(&Url::parse(base).unwrap());
        assert!(private("http://127.0.0.1:4000") && private("http://simulator:8080") && private("http://10.0.0.7"));
        assert!(!private("https://api.kie.ai"));
    }

    #[test]
    fn the_service_of_a_ledger_has_a_port_of_its_own() {
        assert_eq!(port("sqlite:a.db"), port("sqlite:a.db"));
        assert!(PORTS.contains(&port("sqlite:veobatch-simulate.db")));
    }
}
