//! A Redis server of a scene's own: a free port, a temporary folder, the settings that veobatch asks for.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// The port on which somebody's real server may be.
const DEFAULT_PORT: u16 = 6379;

/// A server that has read what it kept answers within this.
const START: Duration = Duration::from_secs(20);

const SAFE: &[&str] = &["--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction"];

/// A running server; dropping it ends it.
#[derive(Debug)]
pub struct RedisServer {
    folder: TempDir,
    port: u16,
    settings: &'static [&'static str],
    child: Child,
}

impl RedisServer {
    /// A server that loses nothing: append-only file, synced with every change, nothing evicted.
    pub async fn start() -> Result<Self> {
        Self::start_with(SAFE).await
    }

    /// A server with these settings.
    pub async fn start_with(settings: &'static [&'static str]) -> Result<Self> {
        // Between finding a free port and using it, somebody else may take it.
        for _ in 0..10 {
            let (folder, port) = (TempDir::with_prefix("veobatch-redis-")?, free_port()?);
            let child = spawn(folder.path(), port, settings)?;
            let mut server = Self { folder, port, settings, child };
            if server.is_up().await? {
                return Ok(server);
            }
        }
        bail!("no redis-server could be started on a free port");
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Follows `master`, and returns once it has all that is there.
    pub async fn follow(&self, master: &Self) -> Result<()> {
        master.ask("CONFIG SET repl-diskless-sync-delay 0")?;
        self.ask(&format!("REPLICAOF 127.0.0.1 {}", master.port))?;
        let deadline = Instant::now() + START;
        while !self.ask("INFO replication")?.contains("master_link_status:up") {
            if Instant::now() > deadline {
                bail!("the replica did not follow within {START:?}");
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// Stands in for the master that it followed.
    pub fn promote(&self) -> Result<()> {
        self.ask("REPLICAOF NO ONE").map(drop)
    }

    /// What `--ledger` takes.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Ends the server as a power cut would; it can be started again.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().context("failed to kill redis-server")?;
        self.child.wait().context("failed to wait for redis-server")?;
        Ok(())
    }

    /// Keeps what the server has on its disk now, for [`RedisServer::go_back`].
    pub fn remember(&self) -> Result<()> {
        let remembered = self.folder.path().join(REMEMBERED);
        if remembered.exists() {
            std::fs::remove_dir_all(&remembered)?;
        }
        copy_folder(&self.folder.path().join(KEPT), &remembered)
    }

    /// Gives a killed server the disk that was remembered: what it wrote since is forgotten.
    pub fn go_back(&self) -> Result<()> {
        std::fs::remove_dir_all(self.folder.path().join(KEPT))?;
        copy_folder(&self.folder.path().join(REMEMBERED), &self.folder.path().join(KEPT))
    }

    /// One command in Redis's inline form, and its (short) answer.
    pub fn ask(&self, command: &str) -> Result<String> {
        ask(self.port, command)
    }

    /// Lets the time be over in which a server that was started anew grants nothing.
    pub fn end_recovery(&self) -> Result<()> {
        let answer = ask(self.port, "HSET {veobatch}:meta recovers 1")?;
        if answer.starts_with(':') { Ok(()) } else { bail!("the server says {answer}") }
    }

    /// How long nothing is granted yet, because the server may have gone back in time.
    pub fn recovery_left(&self) -> Result<Duration> {
        let until = numbers(&self.ask("HGET {veobatch}:meta recovers")?).first().copied().unwrap_or_default();
        Ok(Duration::from_millis(until.saturating_sub(self.now()?)))
    }

    /// Lets nothing be granted for so long from now.
    pub fn recover_for(&self, time: Duration) -> Result<()> {
        let until = u128::from(self.now()?) + time.as_millis();
        let answer = self.ask(&format!("HSET {{veobatch}}:meta recovers {until}"))?;
        if answer.starts_with(':') { Ok(()) } else { bail!("the server says {answer}") }
    }

    /// Its clock, in ms.
    fn now(&self) -> Result<u64> {
        match numbers(&self.ask("TIME")?).as_slice() {
            [seconds, micros] => Ok(seconds * 1000 + micros / 1000),
            other => bail!("the server tells no time: {other:?}"),
        }
    }

    /// Replaces a text in what was asked for as job `id`, as it is stored.
    pub fn replace_in_specs(&self, id: &str, from: &str, to: &str) -> Result<()> {
        let script = format!(
            "local replaced = 0 \
             for _, key in ipairs(redis.call('KEYS', '{{veobatch}}:b*:j')) do \
               local all = redis.call('HGETALL', key) \
               for i = 2, #all, 2 do \
                 local split = string.find(all[i], string.char(10), 1, true) \
                 if string.match(all[i], '^[%w-]+') == '{id}' then \
                   local spec, n = string.gsub(string.sub(all[i], split), '{from}', '{to}') \
                   redis.call('HSET', key, all[i - 1], string.sub(all[i], 1, split - 1) .. spec) \
                   replaced = replaced + n \
                 end \
               end \
             end \
             return replaced"
        );
        let answer = ask(self.port, &format!("EVAL \"{script}\" 0"))?;
        if answer.trim() == ":1" { Ok(()) } else { bail!("the server says {answer}") }
    }

    /// Makes every attempt in doubt this much older, as far as its job's record says.
    pub fn age_doubts(&self, by: Duration) -> Result<()> {
        let script = format!(
            "for _, jobs in ipairs(redis.call('KEYS', '{{veobatch}}:b*:s')) do \
               local all = redis.call('HGETALL', jobs) \
               for i = 2, #all, 2 do \
                 if string.find(all[i], 'in_doubt', 1, true) then \
                   local aged = string.gsub(all[i], '(at.:)(%d+)', function(name, at) \
                     return name .. string.format('%.0f', tonumber(at) - {}) end) \
                   redis.call('HSET', jobs, all[i - 1], aged) \
                 end \
               end \
             end \
             return 'aged'",
            by.as_millis()
        );
        let answer = ask(self.port, &format!("EVAL \"{script}\" 0"))?;
        if answer.contains("aged") { Ok(()) } else { bail!("the server says {answer}") }
    }

    /// Lets the `first` batches that were made have come to rest this much earlier.
    pub fn age_rest(&self, by: Duration, first: u32) -> Result<()> {
        for n in 1..=first {
            self.ask(&format!("ZINCRBY {{veobatch}}:rest -{} {n}", by.as_millis()))?;
        }
        Ok(())
    }

    /// Starts a killed server again, on what it kept.
    pub async fn start_again(&mut self) -> Result<()> {
        self.child = spawn(self.folder.path(), self.port, self.settings)?;
        if !self.is_up().await? {
            bail!("redis-server did not start again");
        }
        Ok(())
    }

    /// Waits until the server answers; `false` if it ended instead.
    async fn is_up(&mut self) -> Result<bool> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if self.child.try_wait()?.is_some() {
                return Ok(false);
            }
            let info = ask(self.port, "INFO server").unwrap_or_default();
            // Another server may have been faster to take the port.
            if info.contains(&format!("process_id:{}\r", self.child.id())) && ask(self.port, "PING")?.contains("PONG") {
                return Ok(true);
            }
            sleep(Duration::from_millis(10)).await;
        }
        bail!("redis-server did not answer within {START:?}")
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        // It may have been killed by the scene.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &Path, port: u16, settings: &[&str]) -> Result<Child> {
    let port = port.to_string();
    let mut command = Command::new("redis-server");
    command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--daemonize", "no", "--dir"]).arg(folder);
    command.args(settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    match command.spawn() {
        Ok(child) => Ok(child),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "redis-server is missing, and this specification needs it: `cargo xtask test` installs it where it can; \
             Debian: sudo apt-get install redis-server; Fedora: sudo dnf install redis; macOS: brew install redis"
        ),
        Err(error) => Err(error).context("failed to start redis-server"),
    }
}

fn free_port() -> Result<u16> {
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        if port != DEFAULT_PORT {
            return Ok(port);
        }
    }
}

/// The folder of the append-only file.
const KEPT: &str = "appendonlydir";

/// And of a copy of it.
const REMEMBERED: &str = "remembered";

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        std::fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The lines of an answer that are numbers.
fn numbers(answer: &str) -> Vec<u64> {
    answer.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// One command in Redis's inline form, and the beginning of its answer.
fn ask(port: u16, command: &str) -> Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, START)?;
    stream.set_read_timeout(Some(START))?;
    write!(stream, "{command}\r\n")?;
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer)?;
    Ok(String::from_utf8_lossy(answer.get(..length).unwrap_or_default()).into_owned())
}
