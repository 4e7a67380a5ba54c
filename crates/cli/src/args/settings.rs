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
#[command(next_help_heading = "Settings")]
pub(crate) struct Settings {
    /// Where the jobs are kept: sqlite:PATH, or redis://[user:password@]host:port/db[?queue=NAME] (rediss:// for TLS)
    /// [default: sqlite:veobatch.db; with --simulate: sqlite:veobatch-simulate.db]
    #[arg(long, global = true, value_name = "URL", env = "VEOBATCH_LEDGER", hide_env_values = true)]
    pub(crate) ledger: Option<String>,

    /// Use a simulated API inside this process, with a ledger of its own: no key, no cost
    #[arg(long, global = true)]
    pub(crate) simulate: bool,

    /// Print one JSON document on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// The form of log lines
    #[arg(long, global = true, value_name = "FORM", env = "VEOBATCH_LOG_FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,

    /// Write the log to this file instead of standard error
    #[arg(long, global = true, value_name = "FILE", env = "VEOBATCH_LOG_FILE")]
    pub(crate) log_file: Option<PathBuf>,

    /// What is logged, such as `info` or `veobatch_worker=debug`
    #[arg(long = "log", global = true, value_name = "FILTER", env = "VEOBATCH_LOG")]
    pub(crate) log: Option<String>,

    /// Log more: -v for debug, -vv for trace
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Which service is called.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Service {
    /// The API's base URL
    #[arg(long, value_name = "URL", env = "VEOBATCH_API_BASE", default_value = API_BASE)]
    pub(crate) api_base: String,
}

/// Where videos go.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Settings")]
pub(crate) struct Output {
    /// Where finished videos are written: DIR/<batch>/<job>.mp4
    #[arg(long, value_name = "DIR", env = "VEOBATCH_OUTPUT", default_value = "videos")]
    pub(crate) output: PathBuf,
}

/// The account's pace and prices: what `check` reckons with.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings of the account")]
pub(crate) struct PaceSettings {
    /// Maximum rate of submissions [default: 20/10s]
    #[arg(long, value_name = "N/TIME", env = "VEOBATCH_RATE", value_parser = parse_rate)]
    pub(crate) rate: Option<Rate>,

    /// Maximum number of videos being generated at once [default: 100]
    #[arg(long, value_name = "N", env = "VEOBATCH_MAX_IN_FLIGHT", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_in_flight: Option<u32>,

    /// Prices for estimates and budgets, as YAML or JSON: {MODEL: {720p: N, 1080p: N, 4k: N}}
    #[arg(long, value_name = "FILE", env = "VEOBATCH_PRICES")]
    pub(crate) prices: Option<PathBuf>,
}

/// What is stored in the ledger for every worker. What is not given stays as it is.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Settings of the account")]
pub(crate) struct AccountSettings {
    #[command(flatten)]
    pub(crate) pace: PaceSettings,

    /// Maximum number of status polls per second, across all workers [default: --max-in-flight / 5, at least 10]
    #[arg(long, value_name = "N", env = "VEOBATCH_POLL_RATE", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) poll_rate: Option<u32>,

    /// What the submissions of a day may cost, and whose days: "5000 Europe/Berlin", or 5000 for those of UTC; `none`
    /// removes it. Counted from when it is set
    #[arg(long, value_name = "CREDITS [ZONE]", env = "VEOBATCH_DAILY_BUDGET", value_parser = parse_daily)]
    pub(crate) daily_budget: Option<Setting<DailyBudget>>,
}

/// How this process works.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Settings of this process")]
pub(crate) struct WorkSettings {
    #[command(flatten)]
    pub(crate) output: Output,

    /// Submit nothing while the output's disk has less free space than this; 0 never waits
    #[arg(long, value_name = "SIZE", env = "VEOBATCH_MIN_FREE", default_value = "1GiB", value_parser = parse_size)]
    pub(crate) min_free: u64,

    /// Save no file that is larger than this; its job waits and says so. 0 sets no limit
    #[arg(long, value_name = "SIZE", env = "VEOBATCH_MAX_DOWNLOAD_SIZE", default_value = "4GiB", value_parser = parse_size)]
    pub(crate) max_download_size: u64,

    /// How submissions are spelled: both names of the aspect ratio, the current one, or that of 2025
    #[arg(long, value_name = "NAME", env = "VEOBATCH_DIALECT", default_value = "both",
          value_parser = PossibleValuesParser::new(dialects()))]
    pub(crate) dialect: String,

    /// Time from a submission to its first status poll [default: when videos of its kind usually begin to finish; 45s until 8 durations are known]
    #[arg(long, value_name = "TIME", env = "VEOBATCH_POLL_FIRST", value_parser = parse_duration)]
    pub(crate) poll_first: Option<Duration>,

    /// Longest gap between two status polls of one video [default: 120s; with --simulate: 500ms]
    #[arg(long, value_name = "TIME", env = "VEOBATCH_POLL_MAX", value_parser = parse_duration)]
    pub(crate) poll_max: Option<Duration>,

    /// Where the journal of paid calls is kept [default: beside the ledger's file; with Redis: .veobatch]
    #[arg(long, value_name = "DIR", env = "VEOBATCH_STATE_DIR")]
    pub(crate) state_dir: Option<PathBuf>,

    /// Submit although this ledger may lose the record of what was paid for
    #[arg(long)]
    pub(crate) accept_data_loss: bool,

    /// Paid calls at a time
    #[arg(long, value_name = "N", env = "VEOBATCH_CONCURRENCY_SUBMIT", default_value_t = 16, value_parser = steps)]
    pub(crate) concurrency_submit: usize,

    /// Looks at a time
    #[arg(long, value_name = "N", env = "VEOBATCH_CONCURRENCY_FOLLOW", default_value_t = 16, value_parser = steps)]
    pub(crate) concurrency_follow: usize,

    /// Downloads at a time
    #[arg(long, value_name = "N", env = "VEOBATCH_CONCURRENCY_SAVE", default_value_t = 4, value_parser = steps)]
    pub(crate) concurrency_save: usize,

    /// Listen here for the service's callbacks; with --callback-url
    #[arg(long, value_name = "HOST:PORT", env = "VEOBATCH_CALLBACK_LISTEN")]
    pub(crate) callback_listen: Option<String>,

    /// How the service reaches that: the base of the callback URLs that submissions carry
    #[arg(long, value_name = "URL", env = "VEOBATCH_CALLBACK_URL")]
    pub(crate) callback_url: Option<String>,

    /// What becomes of a job whose paid call was cut off: hold (a person decides), resubmit (it may be paid for twice), or
    /// silence=TIME (submitted again if no callback came in that time although later ones did)
    #[arg(long, value_name = "POLICY", env = "VEOBATCH_IN_DOUBT", default_value = "hold",
          value_parser = parse_in_doubt)]
    pub(crate) in_doubt: InDoubtPolicy,

    /// Drop the details of jobs that are done for so long, or `never`; ids and content stay known (see `purge`)
    #[arg(long, value_name = "TIME", env = "VEOBATCH_COMPACT_AFTER", default_value = "7d", value_parser = parse_compact_after)]
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

    /// How often to poll. The simulated videos take seconds.
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

    /// At which age finished jobs are made compact, if at all.
    pub(crate) fn compact_after(&self) -> Option<Duration> {
        match self.compact_after {
            CompactAfter::Age(age) => Some(age),
            CompactAfter::Never => None,
        }
    }

    /// What is put up with from file hosts.
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
        Ok(_) | Err(_) => Err("a number from 1 to 1024 is wanted".to_owned()),
    }
}
