//! Every setting, with its flag, its environment variable and its default, in groups. A command takes the groups that it
//! obeys; what it does not take is an error, and [`crate::args`] then says which command does.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::{ArgAction, Args, ValueEnum};
use veobatch_api::Dialect;
use veobatch_core::{InDoubtPolicy, PollPolicy, UpgradePolicy};
use veobatch_ledger::DailyBudget;
use veobatch_producer::Setting;
use veobatch_worker::{Concurrency, Downloads};

use super::parse::{
    CompactAfter, Rate, parse_compact_after, parse_daily, parse_duration, parse_in_doubt, parse_rate, parse_size,
};

/// The real API.
const API_BASE: &str = "https://api.kie.ai";

/// What every command takes, before or after its name.
#[derive(Args, Clone, Debug)]
pub(crate) struct Settings {
    /// Ledger: sqlite:PATH or redis://HOST:PORT/DB
    ///
    /// Where the jobs are kept. A Redis URL is redis://[user:password@]host:port/db[?queue=NAME], or rediss:// for TLS.
    ///
    /// [default: sqlite:veobatch.db; with --simulate: sqlite:veobatch-simulate.db]
    #[arg(long, global = true, value_name = "URL", env = "VEOBATCH_LEDGER")]
    pub(crate) ledger: Option<String>,

    /// Simulated API and ledger: no key, no cost
    #[arg(long, global = true)]
    pub(crate) simulate: bool,

    /// Print one JSON document on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Format of log lines
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "VEOBATCH_LOG_FORMAT",
        default_value = "text",
        hide_short_help = true
    )]
    pub(crate) log_format: LogFormat,

    /// Write the log to this file instead of standard error
    #[arg(long, global = true, value_name = "FILE", env = "VEOBATCH_LOG_FILE", hide_short_help = true)]
    pub(crate) log_file: Option<PathBuf>,

    /// What is logged, such as `info` or `veobatch_worker=debug`
    #[arg(long = "log", global = true, value_name = "FILTER", env = "VEOBATCH_LOG", hide_short_help = true)]
    pub(crate) log: Option<String>,

    /// Log more: -v for debug, -vv for trace
    #[arg(short, long, global = true, action = ArgAction::Count, hide_short_help = true)]
    pub(crate) verbose: u8,
}

/// The format of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Which service is called.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Service {
    /// Base URL of the API
    #[arg(long, value_name = "URL", env = "VEOBATCH_API_BASE", default_value = API_BASE, hide_short_help = true)]
    pub(crate) api_base: String,
}

/// Where videos go.
#[derive(Args, Clone, Debug)]
pub(crate) struct Output {
    /// Where videos are saved, as DIR/<batch>/<job>.mp4
    #[arg(long, value_name = "DIR", env = "VEOBATCH_OUTPUT", default_value = "videos", help_heading = None::<&str>)]
    pub(crate) output: PathBuf,
}

/// The account's pace and prices: what `check` estimates with.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings of the account")]
pub(crate) struct PaceSettings {
    /// Maximum rate of submissions [default: 20/10s]
    #[arg(long, value_name = "N/TIME", env = "VEOBATCH_RATE", value_parser = parse_rate, hide_short_help = true)]
    pub(crate) rate: Option<Rate>,

    /// Maximum number of videos in progress [default: 100]
    #[arg(long, value_name = "N", env = "VEOBATCH_MAX_IN_FLIGHT", value_parser = clap::value_parser!(u32).range(1..),
          hide_short_help = true)]
    pub(crate) max_in_flight: Option<u32>,

    /// Prices for estimates and budgets, as YAML or JSON
    ///
    /// {MODEL: {720p: CREDITS, 1080p: CREDITS, 4k: CREDITS}}
    #[arg(long, value_name = "FILE", env = "VEOBATCH_PRICES", hide_short_help = true)]
    pub(crate) prices: Option<PathBuf>,
}

/// What is stored in the ledger for every worker. What is not given stays as it is.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings of the account")]
pub(crate) struct AccountSettings {
    #[command(flatten)]
    pub(crate) pace: PaceSettings,

    /// Maximum number of status polls per second
    ///
    /// Across all workers. [default: --max-in-flight / 5, at least 10]
    #[arg(long, value_name = "N", env = "VEOBATCH_POLL_RATE", value_parser = clap::value_parser!(u32).range(1..=100_000),
          hide_short_help = true)]
    pub(crate) poll_rate: Option<u32>,

    /// Most credits that a day's submissions may cost
    ///
    /// With the time zone of the day: "5000 Europe/Berlin"; without one, it is UTC. `none` removes the budget. Only
    /// submissions after it is set count.
    #[arg(long, value_name = "BUDGET", env = "VEOBATCH_DAILY_BUDGET", value_parser = parse_daily, hide_short_help = true)]
    pub(crate) daily_budget: Option<Setting<DailyBudget>>,
}

/// How this process works.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Settings of this process")]
pub(crate) struct WorkSettings {
    #[command(flatten)]
    pub(crate) output: Output,

    /// Submit nothing while the output's disk has less free space
    ///
    /// 0 never waits.
    #[arg(long, value_name = "SIZE", env = "VEOBATCH_MIN_FREE", default_value = "1GiB", value_parser = parse_size,
          hide_short_help = true)]
    pub(crate) min_free: u64,

    /// Largest file that is saved
    ///
    /// The job of a larger one waits and reports it. 0 sets no limit.
    #[arg(long, value_name = "SIZE", env = "VEOBATCH_MAX_DOWNLOAD_SIZE", default_value = "4GiB", value_parser = parse_size,
          hide_short_help = true)]
    pub(crate) max_download_size: u64,

    /// Field names of submissions: the current ones, those of 2025, or both
    #[arg(long, value_name = "NAME", env = "VEOBATCH_DIALECT", default_value = "both",
          value_parser = PossibleValuesParser::new(dialects()), hide_short_help = true)]
    pub(crate) dialect: String,

    /// Time from a submission to its first status poll
    ///
    /// [default: when videos of its kind usually begin to finish; 45s until 8 durations are known]
    #[arg(long, value_name = "TIME", env = "VEOBATCH_POLL_FIRST", value_parser = parse_duration, hide_short_help = true)]
    pub(crate) poll_first: Option<Duration>,

    /// Longest gap between two status polls of a video
    ///
    /// [default: 120s; with --simulate: 500ms]
    #[arg(long, value_name = "TIME", env = "VEOBATCH_POLL_MAX", value_parser = parse_duration, hide_short_help = true)]
    pub(crate) poll_max: Option<Duration>,

    /// Where the journal of paid calls is kept
    ///
    /// [default: beside the ledger's file; with Redis: .veobatch]
    #[arg(long, value_name = "DIR", env = "VEOBATCH_STATE_DIR", hide_short_help = true)]
    pub(crate) state_dir: Option<PathBuf>,

    /// Submit even though this ledger may lose the record of what was paid for
    #[arg(long, hide_short_help = true)]
    pub(crate) accept_data_loss: bool,

    /// Maximum number of paid calls at a time
    #[arg(long, value_name = "N", env = "VEOBATCH_CONCURRENCY_SUBMIT", default_value_t = 16, value_parser = steps,
          hide_short_help = true)]
    pub(crate) concurrency_submit: usize,

    /// Maximum number of status polls at a time
    #[arg(long, value_name = "N", env = "VEOBATCH_CONCURRENCY_FOLLOW", default_value_t = 16, value_parser = steps,
          hide_short_help = true)]
    pub(crate) concurrency_follow: usize,

    /// Maximum number of downloads at a time
    #[arg(long, value_name = "N", env = "VEOBATCH_CONCURRENCY_SAVE", default_value_t = 4, value_parser = steps,
          hide_short_help = true)]
    pub(crate) concurrency_save: usize,

    /// Address to receive the service's callbacks on; needs --callback-url
    #[arg(long, value_name = "HOST:PORT", env = "VEOBATCH_CALLBACK_LISTEN", hide_short_help = true)]
    pub(crate) callback_listen: Option<String>,

    /// Public URL of that address, which submissions carry
    #[arg(long, value_name = "URL", env = "VEOBATCH_CALLBACK_URL", hide_short_help = true)]
    pub(crate) callback_url: Option<String>,

    /// What becomes of a job whose paid call was cut off
    ///
    /// hold: a person decides; resubmit: it is submitted again, and may be paid for twice; silence=TIME: it is submitted
    /// again if no callback came in that time, although later ones did.
    #[arg(long, value_name = "POLICY", env = "VEOBATCH_IN_DOUBT", default_value = "hold", value_parser = parse_in_doubt,
          hide_short_help = true)]
    pub(crate) in_doubt: InDoubtPolicy,

    /// Age at which the details of finished jobs are dropped, or `never`
    ///
    /// Ids and content stay known (see `veobatch purge`).
    #[arg(long, value_name = "TIME", env = "VEOBATCH_COMPACT_AFTER", default_value = "7d",
          value_parser = parse_compact_after, hide_short_help = true)]
    pub(crate) compact_after: CompactAfter,
}

impl AccountSettings {
    /// Whether nothing is to be changed.
    pub(crate) fn is_empty(&self) -> bool {
        let PaceSettings { rate, max_in_flight, prices } = &self.pace;
        let is_paced = rate.is_some() || max_in_flight.is_some() || prices.is_some();
        !is_paced && self.poll_rate.is_none() && self.daily_budget.is_none()
    }
}

impl WorkSettings {
    /// How the real API spells submissions.
    pub(crate) fn dialect(&self) -> Dialect {
        Dialect::WORDS.iter().find(|(word, _)| *word == self.dialect).map(|(_, dialect)| *dialect).unwrap_or_default()
    }

    /// How often to poll; simulated videos take seconds.
    pub(crate) fn policy(&self, settings: &Settings) -> PollPolicy {
        let usual = if settings.simulate {
            PollPolicy {
                first: Some(Duration::from_secs(2)),
                longest_gap: Duration::from_millis(500),
                upgrades: UpgradePolicy { gap: Duration::from_secs(1), ..UpgradePolicy::default() },
                ..PollPolicy::default()
            }
        } else {
            PollPolicy::default()
        };
        let longest_gap = self.poll_max.unwrap_or(usual.longest_gap);
        PollPolicy { first: self.poll_first.or(usual.first), longest_gap, ..usual }
    }

    /// The age at which finished jobs are made compact, if at all.
    pub(crate) fn compact_after(&self) -> Option<Duration> {
        match self.compact_after {
            CompactAfter::Age(age) => Some(age),
            CompactAfter::Never => None,
        }
    }

    /// What is accepted from file hosts.
    pub(crate) fn downloads(&self) -> Downloads {
        let largest = if self.max_download_size == 0 { u64::MAX } else { self.max_download_size };
        Downloads { largest, ..Downloads::default() }
    }

    pub(crate) fn concurrency(&self) -> Concurrency {
        Concurrency { submit: self.concurrency_submit, follow: self.concurrency_follow, save: self.concurrency_save }
    }
}

fn dialects() -> Vec<&'static str> {
    Dialect::WORDS.iter().map(|(word, _)| *word).collect()
}

fn steps(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(steps @ 1..=1024) => Ok(steps),
        Ok(_) | Err(_) => Err("it must be a number from 1 to 1024".to_owned()),
    }
}
