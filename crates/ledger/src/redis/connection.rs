//! The connection to one server, and what its errors mean for the caller.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, Pipeline, RedisError, Script,
    ServerErrorKind,
};

use crate::LedgerError;
use crate::migration::FORMAT;

/// An unreachable server must not hold a caller longer than this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest script takes some ms, a disk that syncs every write may take a second.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// How a script answers that the ledger has another format (`format.lua`); which one stands behind it.
const FORMAT_CODE: &str = "FORMAT";

/// How a script answers that the ledger's jobs were moved (`moved.lua`); the mark stands behind it.
const MOVED_CODE: &str = "MOVEDTO";

/// How a script answers that jobs are being imported (`format.lua`).
const IMPORTING_CODE: &str = "IMPORTING";

/// One multiplexed connection to one server, made anew when it breaks.
#[derive(Clone)]
pub(super) struct Node {
    address: ConnectionAddr,
    tag: Arc<str>,
    connection: ConnectionManager,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.address)
    }
}

impl Node {
    /// A connection for the queue of this tag.
    pub(super) async fn connect(server: ConnectionInfo, tag: &Arc<str>) -> Result<Self, RedisError> {
        let address = server.addr().clone();
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT))
            .set_number_of_retries(1)
            .set_min_delay(Duration::from_millis(50))
            .set_max_delay(Duration::from_millis(500))
            .set_pipeline_buffer_size(512);
        let connection = ConnectionManager::new_with_config(Client::open(server)?, config).await?;
        Ok(Self { address, tag: tag.clone(), connection })
    }

    pub(super) fn address(&self) -> &ConnectionAddr {
        &self.address
    }

    /// A key of the queue.
    pub(super) fn key(&self, name: &str) -> String {
        format!("{}{name}", self.tag)
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
    pub(super) async fn try_ask_all<T: FromRedisValue>(&self, commands: &Pipeline) -> Result<T, RedisError> {
        commands.query_async(&mut self.connection.clone()).await
    }

    /// A script, with the tag as its one key.
    pub(super) async fn try_run<T: FromRedisValue>(&self, script: &Script, args: &[Vec<u8>]) -> Result<T, RedisError> {
        let mut call = script.prepare_invoke();
        call.key(&*self.tag);
        for arg in args {
            call.arg(arg.as_slice());
        }
        call.invoke_async(&mut self.connection.clone()).await
    }
}

/// What an error means for the caller: an outage is waited out, everything else is for a person.
pub(super) fn meaning(error: &RedisError) -> LedgerError {
    if error.code() == Some(FORMAT_CODE) {
        let found = error.detail().unwrap_or("another one").to_owned();
        return LedgerError::Format { found, known: FORMAT };
    }
    if error.code() == Some(MOVED_CODE) {
        return crate::transfer::Moved::parse(error.detail().unwrap_or_default()).error();
    }
    if error.code() == Some(IMPORTING_CODE) {
        return LedgerError::Importing;
    }
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
    fn the_scripts_know_the_format_that_the_program_knows() {
        let script = include_str!("lua/lib/format.lua");
        assert_eq!(script.matches(&format!("'{FORMAT}'")).count(), 2);
        assert_eq!(script.matches(&format!("'{FORMAT_CODE} '")).count(), 1);
        assert_eq!(script.matches(&format!("'{IMPORTING_CODE} ")).count(), 1);
        assert_eq!(include_str!("lua/lib/moved.lua").matches(&format!("'{MOVED_CODE} '")).count(), 1);
    }

    #[test]
    fn a_server_that_is_busy_or_full_is_an_outage_and_a_broken_script_is_not() {
        assert!(refused_for_now(Some("OOM"), ""));
        assert!(refused_for_now(Some("ERR"), "Error running script: -OOM command not allowed"));
        assert!(!refused_for_now(Some("ERR"), "user_script:3: attempt to index a nil value"));
    }
}
