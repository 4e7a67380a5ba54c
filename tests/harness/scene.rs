//! One scene: a service, a ledger, a folder, and the program in it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{Instant, sleep};
use veobatch_simulator::{Bill, Config, Rate, Simulator};

use crate::counts::{Counts, Job, Status};
use crate::prompts::Prompts;
use crate::redis::RedisServer;
use crate::running::{Ended, Running};
use crate::secrets;
use crate::terminal::Terminal;

/// The key of the scenes' account. It must not appear anywhere the program writes.
pub const KEY: &str = "key-of-the-scene-0123456789abcdef";

/// How long a scene waits for a state. Longer than a lease and a few retries.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A service in a hurry: videos in a tenth of a second, small files, an allowance that is out of the way.
pub fn quick() -> Config {
    let mut config = Config { keys: vec![KEY.to_owned()], ..Config::default() };
    config.generation.median_ms = 100;
    config.generation.sigma = 0.3;
    config.upgrade_1080p.median_ms = 100;
    config.files.video_bytes = 0;
    config.files.signed = true;
    config.limits.rate = Some(Rate { requests: 200, window_ms: 1000 });
    config
}

/// A service, a ledger, a folder, and the program.
#[derive(Debug)]
pub struct Scene {
    /// The service.
    pub simulator: Simulator,
    /// The ledger's server, if it is Redis.
    pub redis: Option<RedisServer>,
    program: &'static str,
    folder: TempDir,
    settings: Vec<(&'static str, String)>,
    started: AtomicUsize,
}

impl Scene {
    /// With a file in its folder as the ledger.
    pub async fn on_sqlite(program: &'static str, config: Config) -> Result<Self> {
        Self::new(program, config, None).await
    }

    /// With a Redis server of its own.
    pub async fn on_redis(program: &'static str, config: Config) -> Result<Self> {
        let redis = RedisServer::start().await?;
        Self::new(program, config, Some(redis)).await
    }

    async fn new(program: &'static str, config: Config, redis: Option<RedisServer>) -> Result<Self> {
        let simulator = Simulator::start(config, ([127, 0, 0, 1], 0).into(), None).await?;
        let settings = vec![
            ("KIE_API_KEY", KEY.to_owned()),
            ("VEOBATCH_API_BASE", simulator.base_url()),
            ("VEOBATCH_LEDGER", redis.as_ref().map_or_else(|| "sqlite:veobatch.db".to_owned(), RedisServer::url)),
            ("VEOBATCH_RATE", "200/1s".to_owned()),
            ("VEOBATCH_POLL_FIRST", "100ms".to_owned()),
            ("VEOBATCH_POLL_MAX", "200ms".to_owned()),
            ("VEOBATCH_POLL_RATE", "1000".to_owned()),
        ];
        let folder = TempDir::with_prefix("veobatch-scene-")?;
        std::fs::create_dir(folder.path().join("said"))?;
        Ok(Self { simulator, redis, program, folder, settings, started: AtomicUsize::new(0) })
    }

    /// The same with a service that remembers what is in `store`.
    pub async fn remembering(mut self, config: Config, store: &Path) -> Result<Self> {
        let simulator = Simulator::start(config, ([127, 0, 0, 1], 0).into(), Some(store.to_owned())).await?;
        let base = simulator.base_url();
        self.simulator = simulator;
        Ok(self.with("VEOBATCH_API_BASE", &base))
    }

    /// The same with an environment variable of the program's set to this.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.settings.retain(|(known, _)| *known != name);
        self.settings.push((name, value.to_owned()));
        self
    }

    /// The same with this variable absent.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.settings.retain(|(known, _)| *known != name);
        self
    }

    /// A path in the scene's folder, where the program is started.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the scene's folder.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        std::fs::write(self.path(name), text).with_context(|| format!("failed to write {name}"))
    }

    /// Writes a prompt file into the scene's folder.
    pub fn prompts(&self, name: &str, prompts: &Prompts) -> Result<()> {
        self.write(name, &prompts.yaml())
    }

    /// The program, called with these words: in the scene's folder, and with nothing of this process's environment.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command.args(words);
        self.furnish(&mut command);
        command
    }

    /// The program, called through a shell that runs `before` first (limits, mostly).
    pub fn command_after(&self, before: &str, words: &[&str]) -> Command {
        let mut command = Command::new("bash");
        command.args(["-c", &format!("{before}; exec \"$0\" \"$@\""), self.program]).args(words);
        self.furnish(&mut command);
        command
    }

    /// A shell that runs `script`, in which `$0` is the program.
    pub fn shell(&self, script: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-c", script, self.program]);
        self.furnish(&mut command);
        command
    }

    fn furnish(&self, command: &mut Command) {
        command.current_dir(self.folder.path()).env_clear().env("HOME", self.folder.path());
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin").stdin(std::process::Stdio::null());
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
    }

    /// Starts the program with these words.
    pub fn start(&self, words: &[&str]) -> Result<Running> {
        self.start_command(self.command(words), words.first().unwrap_or(&"veobatch"))
    }

    /// Starts a command; what it says is kept under `name`.
    pub fn start_command(&self, command: Command, name: &str) -> Result<Running> {
        Running::start(command, &self.path("said"), &self.log_name(name))
    }

    /// Starts the program with these words on a terminal, where it asks, draws, and hears Ctrl-C.
    pub fn start_on_a_terminal(&self, words: &[&str]) -> Result<Terminal> {
        let name = self.log_name(words.first().unwrap_or(&"veobatch"));
        Terminal::start(self.command(words), &self.path("said").join(format!("{name}.terminal")))
    }

    fn log_name(&self, name: &str) -> String {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        format!("{number:03}-{name}")
    }

    /// Runs the program with these words to its end.
    pub async fn run(&self, words: &[&str]) -> Result<Ended> {
        self.start(words)?.wait(PATIENCE).await
    }

    /// What the service was asked, and what it charged.
    pub async fn bill(&self) -> Bill {
        self.simulator.bill().await
    }

    /// How often each prompt was accepted, at most.
    pub async fn most_per_prompt(&self) -> usize {
        let bill = self.bill().await;
        let times = |prompt: &str| bill.accepted.iter().filter(|accepted| accepted.prompt == prompt).count();
        bill.accepted.iter().map(|accepted| times(&accepted.prompt)).max().unwrap_or_default()
    }

    /// Lets somebody else on the same account submit a prompt; the task that the service made of it.
    pub async fn submit_beside(&self, prompt: &str) -> Result<String> {
        let body = serde_json::json!({"prompt": prompt, "model": "veo3_fast"}).to_string();
        let mut stream = TcpStream::connect(self.simulator.address()).await?;
        let head = format!(
            "POST /api/v1/veo/generate HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\nconnection: close"
        );
        stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (_, body) = answer.split_once("\r\n\r\n").context("no answer")?;
        let body: serde_json::Value = serde_json::from_str(body)?;
        let task = body.pointer("/data/taskId").and_then(serde_json::Value::as_str);
        task.map(str::to_owned).with_context(|| format!("no task: {body}"))
    }

    /// The counts of a batch; all 0 if there is none (yet).
    pub async fn counts(&self, batch: &str) -> Result<Counts> {
        let ended = self.run(&["status", "--json"]).await?.with_code(0)?;
        let status: Status = serde_json::from_str(&ended.stdout).context("status --json is not as agreed")?;
        Ok(status.batches.into_iter().find(|counts| counts.batch == batch).unwrap_or_default())
    }

    /// The jobs of a batch.
    pub async fn jobs(&self, batch: &str) -> Result<Vec<Job>> {
        let ended = self.run(&["jobs", batch, "--json", "--limit", "10000"]).await?.with_code(0)?;
        serde_json::from_str(&ended.stdout).context("jobs --json is not as agreed")
    }

    /// Waits until the counts of `batch` are as wanted; `what` completes "waited in vain for …".
    pub async fn until(&self, batch: &str, what: &str, wanted: impl Fn(&Counts) -> bool) -> Result<Counts> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let counts = self.counts(batch).await;
            match counts {
                Ok(counts) if wanted(&counts) => return Ok(counts),
                // Before the first admission there may be no ledger to ask.
                Ok(_) | Err(_) if Instant::now() < deadline => sleep(Duration::from_millis(50)).await,
                counts => bail!("waited in vain for {what}; last seen: {counts:?}\n{}", self.said()),
            }
        }
    }

    /// Waits until a process has said these words.
    pub async fn until_said(&self, running: &Running, words: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !running.said().contains(words) {
            if Instant::now() > deadline {
                bail!("waited in vain for the words {words:?}\n{}", self.said());
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until the bill is as wanted; `what` completes "waited in vain for …".
    pub async fn until_billed(&self, what: &str, wanted: impl Fn(&Bill) -> bool) -> Result<Bill> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let bill = self.bill().await;
            if wanted(&bill) {
                return Ok(bill);
            }
            if Instant::now() > deadline {
                bail!("waited in vain for {what}; last seen: {bill:?}\n{}", self.said());
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Every line of what its processes said or logged that tells a secret: of everything in `said`, and of `*.log`.
    pub fn secrets_told(&self) -> Vec<String> {
        secrets::told(self.folder.path(), &self.simulator)
    }

    /// The last words of every process that said anything, for the message of a failed specification.
    fn said(&self) -> String {
        let folder = std::fs::read_dir(self.path("said")).into_iter().flatten().flatten();
        let mut files: Vec<PathBuf> = folder.map(|file| file.path()).collect();
        files.sort();
        // `status` is asked too often to be of interest.
        files.retain(|path| !path.to_string_lossy().contains("-status."));
        let said: Vec<String> =
            files.iter().map(|path| format!("--- {}\n{}", path.display(), last_lines(path))).collect();
        said.join("\n")
    }
}

impl Drop for Scene {
    /// Whatever a specification is about: no process of it may have told a secret.
    fn drop(&mut self) {
        let told = self.secrets_told();
        // Two panics at once would abort all specifications.
        assert!(told.is_empty() || std::thread::panicking(), "logs must not tell this:\n{}", told.join("\n"));
    }
}

fn last_lines(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(40)..).unwrap_or_default().join("\n")
}
