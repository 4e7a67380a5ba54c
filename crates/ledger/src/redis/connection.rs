//! The connection to the server, and what its errors mean for the caller.

use std::fmt;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, Script, ServerErrorKind};

use crate::LedgerError;

/// What all keys begin with; one hash tag, so that they share a slot of a cluster.
pub(super) const TAG: &str = "{veobatch}:";

/// An unreachable server must not hold a caller longer than this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest script takes some ms, a disk that syncs every write may take a second.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// One multiplexed connection, made anew when it breaks.
#[derive(Clone)]
pub(super) struct Server {
    connection: ConnectionManager,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

impl Server {
    pub(super) async fn connect(url: &str) -> Result<Self, LedgerError> {
        let client =
            Client::open(url).map_err(|error| LedgerError::Url(format!("the ledger URL cannot be used: {error}")))?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(Duration::from_millis(500))
            .set_pipeline_buffer_size(512);
        let connection = ConnectionManager::new_with_config(client, config).await.map_err(|error| meaning(&error))?;
        Ok(Self { connection })
    }

    /// One command.
    pub(super) async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, LedgerError> {
        self.try_ask(command).await.map_err(|error| meaning(&error))
    }

    /// One command, where an error is an answer too.
    pub(super) async fn try_ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        command.query_async(&mut self.connection.clone()).await
    }

    /// Several commands in one go.
    pub(super) async fn ask_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, LedgerError> {
        commands.query_async(&mut self.connection.clone()).await.map_err(|error| meaning(&error))
    }

    /// A script, with the tag as its one key.
    pub(super) async fn run<T: FromRedisValue>(&self, script: &Script, args: &[Vec<u8>]) -> Result<T, LedgerError> {
        self.try_run(script, args).await.map_err(|error| meaning(&error))
    }

    /// A script, with the server's own error.
    pub(super) async fn try_run<T: FromRedisValue>(&self, script: &Script, args: &[Vec<u8>]) -> Result<T, RedisError> {
        let mut call = script.prepare_invoke();
        call.key(TAG);
        for arg in args {
            call.arg(arg.as_slice());
        }
        call.invoke_async(&mut self.connection.clone()).await
    }
}

/// A key of the ledger.
pub(super) fn key(name: &str) -> String {
    format!("{TAG}{name}")
}

/// What an error means for the caller: an outage is waited out, everything else is for a person.
pub(super) fn meaning(error: &RedisError) -> LedgerError {
    let text = error.to_string();
    let outage = matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::Server(
                ServerErrorKind::BusyLoading
                    | ServerErrorKind::ReadOnly
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::TryAgain
                    | ServerErrorKind::Moved
                    | ServerErrorKind::Ask
                    | ServerErrorKind::NoScript
            )
    );
    if outage || refused_for_now(error.code(), &text) {
        LedgerError::Unavailable(text)
    } else {
        LedgerError::Damaged(text)
    }
}

/// Codes of a server that would take the same command at another time: out of memory, unable to save, without its
/// replicas, busy. Servers before 7.0 bury them in the text when a script meets them.
fn refused_for_now(code: Option<&str>, text: &str) -> bool {
    const CODES: [&str; 7] = ["OOM", "MISCONF", "NOREPLICAS", "BUSY", "READONLY", "LOADING", "MASTERDOWN"];
    CODES.iter().any(|known| code == Some(known) || text.contains(&format!("-{known} ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_busy_or_full_is_an_outage_and_a_broken_script_is_not() {
        assert!(refused_for_now(Some("OOM"), ""));
        assert!(refused_for_now(Some("ERR"), "Error running script: -OOM command not allowed"));
        assert!(!refused_for_now(Some("ERR"), "user_script:3: attempt to index a nil value"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_an_outage() {
        let error = Server::connect("redis://127.0.0.1:1/").await.unwrap_err();
        assert!(matches!(error, LedgerError::Unavailable(_)), "{error}");
    }
}
