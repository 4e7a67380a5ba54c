//! How far an order to many jobs is: a bar on a terminal, a line every few seconds elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;

use crate::output::format::number;
use crate::output::ui;

/// Fewer jobs than this are done before anybody could read how many.
const WORTH_TELLING: u64 = 5_000;

/// Shortest time between two lines.
const PAUSE: Duration = Duration::from_secs(3);

/// The display; takes itself away when it is dropped.
#[derive(Debug)]
pub(crate) struct Counting {
    /// What happens, such as "retrying".
    what: &'static str,
    total: u64,
    done: u64,
    shown: Option<Shown>,
}

#[derive(Debug)]
enum Shown {
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl Counting {
    /// Of `total` jobs; `what` happens to them.
    pub(crate) fn new(what: &'static str, total: u64) -> Self {
        let show = || {
            if ui::can_show_bars() {
                let bar = ProgressBar::new(total).with_style(style()).with_prefix(what);
                Shown::Bar(ui::bars().add(bar))
            } else {
                Shown::Lines { last: Instant::now() }
            }
        };
        Self { what, total, done: 0, shown: (total >= WORTH_TELLING).then(show) }
    }

    /// Of too few to tell.
    pub(crate) fn none() -> Self {
        Self::new("", 0)
    }

    /// So many more are done.
    pub(crate) fn add(&mut self, more: u64) {
        self.set(self.done + more);
    }

    /// So many are done.
    pub(crate) fn set(&mut self, done: u64) {
        self.done = done;
        match &mut self.shown {
            Some(Shown::Bar(bar)) => bar.set_position(done),
            Some(Shown::Lines { last }) if last.elapsed() >= PAUSE => {
                *last = Instant::now();
                ui::message(format_args!("{} {} of {}", self.what, number(done), number(self.total)));
            }
            Some(Shown::Lines { .. }) | None => {}
        }
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Some(Shown::Bar(bar)) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("{prefix:>12} {bar:24.green/dim} {human_pos}/{human_len} {per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━╸─")
}
