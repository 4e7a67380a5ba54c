//! The program as a child process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// A running process of the program; dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    shown: String,
    stdout: PathBuf,
    stderr: PathBuf,
}

/// A process that ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed: data.
    pub stdout: String,
    /// What it said: words.
    pub stderr: String,
    shown: String,
}

impl Running {
    /// Starts `command`, its output going to files in `folder` whose names begin with `name`.
    pub(crate) fn start(mut command: Command, folder: &Path, name: &str) -> Result<Self> {
        let (stdout, stderr) = (folder.join(format!("{name}.stdout")), folder.join(format!("{name}.stderr")));
        let shown = format!("{:?}", command.as_std());
        command.stdout(File::create(&stdout)?).stderr(File::create(&stderr)?).kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("failed to start {shown}"))?;
        Ok(Self { child, shown, stdout, stderr })
    }

    /// Ctrl-C.
    pub async fn interrupt(&self) -> Result<()> {
        self.signal("-INT").await
    }

    /// What a supervisor sends.
    pub async fn terminate(&self) -> Result<()> {
        self.signal("-TERM").await
    }

    /// SIGHUP: the terminal closes.
    pub async fn hang_up(&self) -> Result<()> {
        self.signal("-HUP").await
    }

    /// SIGSTOP: the process does nothing until [`Running::go_on`], like one on a laptop that was closed.
    pub async fn stop(&self) -> Result<()> {
        self.signal("-STOP").await
    }

    /// SIGCONT.
    pub async fn go_on(&self) -> Result<()> {
        self.signal("-CONT").await
    }

    /// SIGKILL: the process does nothing more. Returns once it is gone.
    pub async fn kill(mut self) -> Result<Ended> {
        self.child.kill().await.context("failed to kill the program")?;
        self.wait(Duration::from_secs(5)).await
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// What it said so far.
    pub fn said(&self) -> String {
        text(&self.stderr)
    }

    /// Waits until it ends by itself.
    pub async fn wait(mut self, patience: Duration) -> Result<Ended> {
        match timeout(patience, self.child.wait()).await {
            Ok(status) => Ok(self.ended(status?)),
            Err(_) => bail!("{} did not end within {patience:?}; it said:\n{}", self.shown, self.said()),
        }
    }

    fn ended(&self, status: ExitStatus) -> Ended {
        Ended::new(status, text(&self.stdout), self.said(), self.shown.clone())
    }

    async fn signal(&self, signal: &str) -> Result<()> {
        let id = self.child.id().context("the program has ended already")?;
        let mut kill = Command::new("kill");
        let status = kill.args([signal, &id.to_string()]).stdin(Stdio::null()).status().await?;
        if !status.success() {
            bail!("failed to send {signal} to process {id}");
        }
        Ok(())
    }
}

impl Ended {
    pub(crate) fn new(status: ExitStatus, stdout: String, stderr: String, shown: String) -> Self {
        Self { code: status.code(), stdout, stderr, shown }
    }

    /// Fails, with all that was said, unless it ended with this exit code.
    pub fn with_code(self, code: i32) -> Result<Self> {
        if self.code == Some(code) {
            return Ok(self);
        }
        let Self { code: other, stdout, stderr, shown } = self;
        bail!("{shown} ended with {other:?} instead of {code}\n--- stdout\n{stdout}\n--- stderr\n{stderr}")
    }

    /// Fails unless its words for people contain `words`, in whatever case.
    pub fn saying(self, words: &str) -> Result<Self> {
        if self.stderr.to_lowercase().contains(&words.to_lowercase()) {
            return Ok(self);
        }
        bail!("{} does not say {words:?}:\n{}", self.shown, self.stderr)
    }
}

/// What is in a file so far.
fn text(path: &Path) -> String {
    std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}
