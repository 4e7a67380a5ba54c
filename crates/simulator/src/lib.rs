//! A Veo API on this machine, with faults and a bill.
//!
//! A model of the remote service, faithful to its documentation where that is clear and configurable where it
//! contradicts itself: any client of that API can be pointed at it unmodified. It is arranged ([`Config`], [`Rule`]),
//! used, and then asked what it saw ([`Bill`]). It shares no type with the client: two independent readings of the wire.
//!
//! ```no_run
//! # async fn scene() -> std::io::Result<()> {
//! use veobatch_simulator::{Config, Fault, Rule, Simulator};
//!
//! let mut config = Config::quick();
//! config.faults.submit.push(Rule::nth(Fault::Close, [1]).after_accepting()); // accepted, but the answer is lost
//! let simulator = Simulator::start(config, ([127, 0, 0, 1], 0).into(), None).await?;
//! // … run a client against simulator.base_url() …
//! assert_eq!(simulator.bill().await.accepted.len(), 1);
//! simulator.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What is served
//!
//! | place | what |
//! |---|---|
//! | `POST /api/v1/veo/generate`, `POST /api/v1/veo/extend` | submissions: here credits are spent |
//! | `GET /api/v1/veo/record-info?taskId=` | what became of a task |
//! | `GET /api/v1/veo/get-1080p-video?taskId=&index=`, `POST /api/v1/veo/get-4k-video` | better versions |
//! | `GET /api/v1/chat/credit`, `POST /api/v1/common/download-url` | the balance; a fresh link |
//! | `GET`, `HEAD /files/<task>/<index>-<version>.mp4` | the videos: real ones, each different; ranges, validators |
//! | `GET /simulator/bill` | the [`Bill`] as JSON; `?summary` leaves out the list of submissions |
//! | `GET /simulator/config` | the [`Config`] as JSON |
//! | `PUT`, `PATCH /simulator/config` | replaces it; or only what is named (objects are merged, `null` is a value) |
//!
//! # What it promises
//!
//! * A submission is accepted wholly or not at all: afterwards its task exists, is charged, is in the store if there is
//!   one, and is on the bill, whatever becomes of the answer.
//! * The same seed gives the n-th submission the same fate and the same faults, whatever else is asked meanwhile.
//! * Nothing happens by timers, except notifications: a hundred thousand tasks cost memory, and no work.

mod account;
mod bill;
mod callback;
mod clock;
mod config;
mod endpoint;
mod fault;
mod rng;
mod routes;
mod simulator;
mod state;
mod transport;
mod video;

pub use account::task::{TaskKind, TaskState};
pub use bill::{Accepted, Bill, UpgradeBill};
pub use config::{
    AspectKey, BalanceForm, CallbackForm, Callbacks, Config, ConfigError, Dialect, FailureForm, Files, Generation,
    Limits, NotReady, Price, Rate, ResultUrls, Shape, SignatureFault, Size, Status, Times, Upgrade,
};
pub use endpoint::Endpoint;
pub use fault::{Fault, Faults, Rule};
pub use simulator::Simulator;
