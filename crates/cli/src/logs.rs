//! The log: to standard error without tearing the progress bars, or to a file.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;

use tracing::Level;
use tracing_subscriber::filter::{FilterExt as _, filter_fn};
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, registry};

use crate::args::settings::{LogFormat, Settings};
use crate::environment;
use crate::failure::{Failure, Result};
use crate::output::ui;

/// Starts logging as `settings` say; `usual` is the level where they say nothing.
pub(crate) fn start(settings: &Settings, usual: &str) -> Result<()> {
    let filter = filter(settings, usual)?;
    let (sink, is_terminal) = match &settings.log_file {
        None => (Sink::Words, io::stderr().is_terminal() && !environment::is_colourless()),
        Some(path) => {
            let file =
                OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
                    Failure::bad_input(format!("open the log file {}", path.display())).because(&error)
                })?;
            (Sink::File(Arc::new(file)), false)
        }
    };
    // A line at any level says which job it is about, and that is in spans at `info`.
    let spans =
        filter_fn(|meta| meta.is_span() && *meta.level() <= Level::INFO && meta.target().starts_with("veobatch"));
    let log = fmt::layer().with_writer(sink).with_ansi(is_terminal);
    let started = match settings.log_format {
        LogFormat::Text => registry().with(log.compact().with_filter(filter.or(spans))).try_init(),
        LogFormat::Json => {
            if settings.log_file.is_none() {
                ui::as_json();
            }
            registry().with(log.json().with_filter(filter.or(spans))).try_init()
        }
    };
    // A second start in one process (a specification) keeps the first one's log.
    drop(started);
    Ok(())
}

fn filter(settings: &Settings, usual: &str) -> Result<EnvFilter> {
    let words = match (settings.verbose, &settings.log) {
        (0, Some(words)) => words.clone(),
        (0, None) => format!("warn,{}", ours(usual)),
        (1, _) => format!("info,{}", ours("debug")),
        (_, _) => format!("debug,{}", ours("trace")),
    };
    EnvFilter::try_new(&words)
        .map_err(|error| Failure::bad_input(format!("read the log filter {words:?}")).because(&error))
}

/// The level for our own crates; others speak only when something is wrong.
fn ours(level: &str) -> String {
    ["veobatch", "veobatch_api", "veobatch_ledger", "veobatch_producer", "veobatch_worker"]
        .map(|name| format!("{name}={level}"))
        .join(",")
}

/// Where lines go.
#[derive(Clone)]
enum Sink {
    Words,
    File(Arc<File>),
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line { sink: self.clone(), text: Vec::new() }
    }
}

/// One line, written as a whole when it is complete.
struct Line {
    sink: Sink,
    text: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        match &self.sink {
            Sink::Words => ui::line(String::from_utf8_lossy(&self.text).trim_end()),
            // A full disk must not stop the work.
            Sink::File(file) => drop((&**file).write_all(&self.text)),
        }
    }
}
