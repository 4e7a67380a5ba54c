//! Prompt files.

use std::fmt::Write as _;

/// A batch of numbered prompts, to be written as YAML.
#[derive(Clone, Debug)]
pub struct Prompts {
    batch: String,
    defaults: String,
    jobs: Vec<String>,
}

/// The text of the n-th prompt of [`Prompts::numbered`], from 1.
pub fn prompt(n: usize) -> String {
    format!("Scene {n}: a small cat plays in a sunny garden")
}

impl Prompts {
    /// An empty batch.
    pub fn of(batch: &str) -> Self {
        Self { batch: batch.to_owned(), defaults: "{ model: veo3_fast }".to_owned(), jobs: Vec::new() }
    }

    /// A batch of `count` jobs `job-1` …, each with a prompt of its own.
    pub fn numbered(batch: &str, count: usize) -> Self {
        (1..=count).fold(Self::of(batch), |prompts, n| prompts.job(&format!("job-{n}"), &prompt(n), ""))
    }

    /// The same, with these defaults for all jobs, in YAML's short form.
    #[must_use]
    pub fn defaults(self, defaults: &str) -> Self {
        Self { defaults: defaults.to_owned(), ..self }
    }

    /// The same with one job more; `more` are further fields, one a line, in YAML.
    #[must_use]
    pub fn job(mut self, id: &str, prompt: &str, more: &str) -> Self {
        let mut job = format!("  - id: {id}\n    prompt: \"{prompt}\"\n");
        for line in more.lines() {
            // Writing to a text cannot fail.
            let _ = writeln!(job, "    {}", line.trim());
        }
        self.jobs.push(job);
        self
    }

    /// The file.
    pub fn yaml(&self) -> String {
        format!("batch: {}\ndefaults: {}\njobs:\n{}", self.batch, self.defaults, self.jobs.concat())
    }
}
