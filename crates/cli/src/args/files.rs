//! The prompt files that a command is given, and what is asked for their batches.

use std::path::PathBuf;

use clap::Args;

use super::batch_options::BatchOptionArgs;

/// Prompt files.
#[derive(Args, Debug)]
pub(crate) struct PromptFiles {
    /// YAML, JSON or JSON lines; - reads JSON lines from standard input
    #[arg(value_name = "FILE", required = true)]
    pub(crate) paths: Vec<PathBuf>,

    /// Batch name for jobs read from standard input
    #[arg(long, value_name = "NAME")]
    pub(crate) batch: Option<String>,

    #[command(flatten)]
    pub(crate) options: BatchOptionArgs,
}

/// Prompt files that are admitted.
#[derive(Args, Debug)]
pub(crate) struct Admissible {
    /// Admit only the first N new jobs
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// Do not ask before money is spent
    #[arg(short, long)]
    pub(crate) yes: bool,

    #[command(flatten)]
    pub(crate) files: PromptFiles,
}
