//! The program on a terminal: what a person sees there, and types.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use pty_process::{OwnedReadPty, OwnedWritePty, Size};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::running::Ended;
use crate::scene::PATIENCE;

/// What Ctrl-C sends; the terminal makes a signal of it.
const CTRL_C: &[u8] = &[3];

/// A process of the program with a terminal of its own, which is its controlling one; dropping it kills it.
#[derive(Debug)]
pub struct Terminal {
    child: Child,
    shown: String,
    keyboard: OwnedWritePty,
    screen: watch::Receiver<Screen>,
    reader: JoinSet<()>,
}

/// Everything that appeared so far.
#[derive(Debug, Default)]
struct Screen {
    plain: String,
    is_coloured: bool,
}

impl Terminal {
    /// Starts `command`; what appears is kept in the file `log`, too.
    pub(crate) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let shown = format!("{:?}", command.as_std());
        command.env("TERM", "xterm-256color").kill_on_drop(true);
        let (pty, pts) = pty_process::open().context("failed to open a terminal")?;
        pty.resize(Size::new(40, 160))?;
        let log = std::fs::File::create(log)?;
        let child =
            pty_process::Command::from(command).spawn(pts).with_context(|| format!("failed to start {shown}"))?;
        let (screen, keyboard) = pty.into_split();
        let (seen, is_seen) = watch::channel(Screen::default());
        let mut reader = JoinSet::new();
        reader.spawn(read(screen, seen, log));
        Ok(Self { child, shown, keyboard, screen: is_seen, reader })
    }

    /// Everything that appeared so far, one under the other, without colours and movements of the cursor.
    pub fn seen(&self) -> String {
        self.screen.borrow().plain.clone()
    }

    /// Whether anything appeared in a colour, or bold.
    pub fn is_coloured(&self) -> bool {
        self.screen.borrow().is_coloured
    }

    /// Returns once `words` appeared.
    pub async fn until_seen(&mut self, words: &str) -> Result<()> {
        let is_seen = timeout(PATIENCE, self.screen.wait_for(|seen| seen.plain.contains(words)))
            .await
            .is_ok_and(|seen| seen.is_ok());
        if is_seen { Ok(()) } else { bail!("{} never shows {words:?}:\n{}", self.shown, self.seen()) }
    }

    /// Types a line, and Enter.
    pub async fn answer(&mut self, line: &str) -> Result<()> {
        self.press(format!("{line}\r").as_bytes()).await
    }

    /// Ctrl-C, as a key.
    pub async fn interrupt(&mut self) -> Result<()> {
        self.press(CTRL_C).await
    }

    async fn press(&mut self, keys: &[u8]) -> Result<()> {
        self.keyboard.write_all(keys).await.context("failed to type")
    }

    /// Waits until it ends by itself. All that appeared counts as words: on a terminal nobody can tell the two streams apart.
    pub async fn wait(mut self, patience: Duration) -> Result<Ended> {
        let Ok(status) = timeout(patience, self.child.wait()).await else {
            bail!("{} did not end within {patience:?}; it showed:\n{}", self.shown, self.seen());
        };
        // The reader ends when nobody has the terminal open any more.
        while self.reader.join_next().await.is_some() {}
        let seen = self.seen();
        Ok(Ended::new(status?, String::new(), seen, self.shown))
    }
}

async fn read(mut screen: OwnedReadPty, seen: watch::Sender<Screen>, mut log: std::fs::File) {
    let (mut bytes, mut piece) = (Vec::new(), vec![0; 4096]);
    // Linux says EIO once the last process has closed the terminal.
    while let Ok(length @ 1..) = screen.read(&mut piece).await {
        let piece = piece.get(..length).unwrap_or_default();
        bytes.extend_from_slice(piece);
        let text = String::from_utf8_lossy(&bytes);
        seen.send_replace(Screen { plain: plain(&text), is_coloured: is_coloured(&text) });
        // Only to be shown with a specification that fails, and searched for what must not be in it.
        let _ = log.write_all(piece);
    }
}

/// The text without escape sequences: `ESC [ … letter`, `ESC ] … BEL`, `ESC` and a character.
fn plain(text: &str) -> String {
    let mut chars = text.chars();
    let mut plain = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            match chars.next() {
                Some('[') => drop(chars.find(char::is_ascii_alphabetic)),
                Some(']') => drop(chars.find(|c| *c == '\u{7}')),
                Some(_) | None => (),
            }
        } else if c == '\n' || !c.is_control() {
            plain.push(c);
        } else if c == '\r' && !plain.ends_with('\n') && !plain.is_empty() {
            plain.push('\n');
        }
    }
    plain
}

/// Whether there is an escape sequence `ESC [ … m` other than those that end colours.
fn is_coloured(text: &str) -> bool {
    text.split("\u{1b}[").skip(1).any(|rest| {
        let codes = rest.find(|c: char| c.is_ascii_alphabetic()).map(|end| rest.split_at(end));
        codes.is_some_and(|(codes, rest)| rest.starts_with('m') && !matches!(codes, "" | "0"))
    })
}
