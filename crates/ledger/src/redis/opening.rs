//! How a ledger is opened: the server must be new enough, and the format becomes the present one if it is older.

use redis::{Cmd, Script};

use super::migration;
use super::server::Server;
use crate::LedgerError;

/// `RPOP` with a count, `ZADD` and others as the scripts use them.
const OLDEST: (u32, u32) = (6, 2);

/// Checks the server's version and the ledger's format, which is written if the ledger is new, and becomes the present one
/// if it is older.
pub(super) async fn check_format(server: &Server) -> Result<(), LedgerError> {
    let info: String = server.owner_now().await?.ask(Cmd::new().arg("INFO").arg("server")).await?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("").trim();
    if parse_version(version).is_some_and(|version| version < OLDEST) {
        return Err(LedgerError::Damaged(format!("the Redis server is {version}; 6.2 or newer is needed")));
    }
    // A script that only checks the format, as every other does first.
    let check =
        Script::new(concat!(include_str!("lua/lib/prelude.lua"), include_str!("lua/lib/format.lua"), "return 1"));
    match server.run::<u8>(&check, &[]).await {
        Err(LedgerError::Format { found, .. }) => migration::migrate(server, &found).await,
        Ok(_) => check_names(server).await,
        Err(error) => Err(error),
    }
}

/// Refuses a ledger in which an unreleased program of format 2 kept names and tasks in small hashes: none of its jobs would be
/// known, and a file that is admitted again would be paid for again.
async fn check_names(server: &Server) -> Result<(), LedgerError> {
    let numbers: Vec<u32> = server.ask(Cmd::new().arg("HVALS").arg(server.key("names"))).await?;
    let mut asked = Cmd::new();
    asked.arg("EXISTS").arg(server.key("t0"));
    for number in numbers {
        asked.arg(server.key(&format!("b{number}:i0")));
    }
    if server.ask::<u64>(&asked).await? == 0 {
        return Ok(());
    }
    let why = "an unreleased veobatch stored its names in another way; export it with that program (veobatch ledger export), \
               and import it into an empty ledger";
    Err(LedgerError::Damaged(why.to_owned()))
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(parse_version("6.0.16").unwrap() < OLDEST);
        assert!(parse_version("7.0.15").unwrap() > OLDEST && parse_version("10.0").unwrap() > OLDEST);
        assert_eq!(parse_version("?"), None);
    }
}
