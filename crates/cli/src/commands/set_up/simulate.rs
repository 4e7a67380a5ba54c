//! `veobatch simulate`: the simulated API as a server of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use veobatch_simulator::{Config, Simulator};

use crate::args::settings::Settings;
use crate::exit::DONE;
use crate::failure::{Failure, Result};
use crate::output::ui;
use crate::signals::Signals;

/// Serve a simulated Veo API on this machine, until interrupted
///
/// A model of the service, with its limits, its dialects and its faults. It makes real video files, accepts any key and
/// costs nothing. Any number of veobatch processes can share it.
#[derive(Args, Debug)]
#[command(after_long_help = "Examples:
  veobatch simulate --listen 127.0.0.1:4010 --store simulator.jsonl
  KIE_API_KEY=any veobatch run jobs.yaml --api-base http://127.0.0.1:4010 --ledger sqlite:try.db

GET /simulator/bill returns what it was asked and what it charged; GET, PUT or PATCH /simulator/config how it behaves.")]
pub(crate) struct Simulate {
    /// Where to listen; port 0 is any free one
    #[arg(long, value_name = "ADDR", env = "VEOBATCH_LISTEN", default_value = "127.0.0.1:4010")]
    listen: SocketAddr,

    /// Limits, speed, dialect and faults, as YAML or JSON
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Keep its tasks in this file across restarts
    #[arg(long, value_name = "PATH")]
    store: Option<PathBuf>,
}

impl Simulate {
    pub(crate) async fn run(&self, settings: &Settings, mut signals: Signals) -> Result<u8> {
        let config = match &self.config {
            Some(path) => read(path)?,
            None => Config::quick(),
        };
        let simulator = Simulator::start(config, self.listen, self.store.clone()).await.map_err(|error| {
            let failure = if error.kind() == std::io::ErrorKind::InvalidInput {
                Failure::bad_input("start the simulated service")
            } else {
                Failure::unavailable(format!("serve the simulated API on {}", self.listen))
            };
            failure.because(&error).hint("veobatch simulate --listen 127.0.0.1:0   (any free port)")
        })?;
        let base = simulator.base_url();
        if settings.json {
            ui::json(&json!({"base_url": base}))?;
        } else {
            ui::data(&base)?;
        }
        ui::message(format_args!(
            "serving a simulated Veo API; point a client at it:\n  \
             KIE_API_KEY=any veobatch run jobs.example.yaml --api-base {base} --ledger sqlite:try.db\n\
             its bill: {base}/simulator/bill; stop it with Ctrl-C"
        ));
        signals.next().await;
        simulator.stop().await;
        Ok(DONE)
    }
}

fn read(path: &Path) -> Result<Config> {
    let what = || Failure::bad_input(format!("read the configuration {}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| what().because(&error))?;
    veobatch_producer::parse_yaml(&text).map_err(|why| what().since(why))
}
