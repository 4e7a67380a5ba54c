//! How long videos took, by kind.

use std::time::Duration;

use redis::Cmd;
use veobatch_core::VideoKind;

use super::RedisLedger;
use super::admission::texts;
use super::answers::damaged;
use super::server::Server;
use crate::samples::{KINDS, SAMPLES, stored};
use crate::{CLAIM_MAX, LedgerError};

impl RedisLedger {
    pub(super) async fn remember_samples(&self, took: &[(VideoKind, Duration)]) -> Result<(), LedgerError> {
        for some in took.chunks(CLAIM_MAX) {
            let mut args = texts([&SAMPLES.to_string(), &KINDS.to_string()]);
            for (kind, took) in some {
                args.extend(texts([kind.as_str(), &stored(*took).to_string()]));
            }
            self.server.run::<u8>(&self.scripts.sample, &args).await?;
        }
        Ok(())
    }
}

pub(super) async fn all(server: &Server) -> Result<Vec<(VideoKind, Vec<Duration>)>, LedgerError> {
    let fields: Vec<(String, String)> = server.ask(Cmd::new().arg("HGETALL").arg(server.key("took"))).await?;
    let mut all = fields.into_iter().map(|(kind, value)| read(kind, &value)).collect::<Result<Vec<_>, _>>()?;
    all.sort();
    Ok(all)
}

/// When it was told of last, and then the samples.
fn read(kind: String, value: &str) -> Result<(VideoKind, Vec<Duration>), LedgerError> {
    let numbers = value.split(' ').skip(1).map(|ms| ms.parse().map(Duration::from_millis));
    let samples = numbers.collect::<Result<_, _>>().map_err(|_| damaged("how long videos took", value.as_bytes()))?;
    Ok((VideoKind::from_stored(kind), samples))
}
