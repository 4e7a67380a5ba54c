//! What no log may tell: the key, tokens, signed links, prompts, whole records.

use std::path::{Path, PathBuf};

use veobatch_simulator::Simulator;

use crate::scene::KEY;

/// Parts of links that let whoever has them fetch a file; and of records and their parts, as Rust writes them for debugging.
const NEVER: &[&str] = &["signature=", "Record {", "Stored {", "Attempt {", "Spec {", "Token("];

/// A part of every prompt of [`crate::prompt`]. Answers to a person may have it, log lines may not.
const PROMPT: &str = "a small cat plays in a sunny garden";

/// Digits of a token, and of a task's id, which may be told.
const TOKEN: usize = 32;

/// Every line with a secret in what the processes of the scene in `folder` said or logged.
pub(crate) fn told(folder: &Path, simulator: &Simulator) -> Vec<String> {
    let is_task = tasks_of_simulations(folder);
    let is_token = |word: &str| !simulator.has_task(word) && !is_task.contains(word);
    let mut found = Vec::new();
    for path in logs(folder) {
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap_or_default()).into_owned();
        let is_answer = path.extension().is_some_and(|extension| extension == "stdout");
        for line in text.lines() {
            if let Some(what) = secret(line, is_answer, is_token) {
                found.push(format!("{}: {what}: {line}", path.display()));
            }
        }
    }
    found
}

/// What each process wrote to its streams, and the log files beside them.
fn logs(folder: &Path) -> Vec<PathBuf> {
    let files = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let is_log = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
    let mut logs: Vec<PathBuf> = files(&folder.join("said")).chain(files(folder).filter(is_log)).collect();
    logs.sort();
    logs
}

/// All that `--simulate` kept, for the ids of its tasks are in it.
fn tasks_of_simulations(folder: &Path) -> String {
    let files = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|file| file.path());
    let kept = files.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"));
    kept.map(|path| std::fs::read_to_string(path).unwrap_or_default()).collect()
}

/// Which secret a line tells. What a command answers may have a token or a prompt in it, if that was asked for.
fn secret(line: &str, is_answer: bool, is_token: impl Fn(&str) -> bool) -> Option<&'static str> {
    if line.contains(KEY) {
        return Some("the key");
    }
    if is_answer {
        return None;
    }
    if let Some(part) = NEVER.iter().find(|part| line.contains(**part)) {
        return Some(part);
    }
    let is_log_line = line.starts_with("{\"timestamp\"") || line.starts_with(|c: char| c.is_ascii_digit());
    if is_log_line && line.contains(PROMPT) {
        return Some("a prompt");
    }
    // A journal's name is as long, and no secret.
    let line = line.replace("journal-", "journal_");
    let mut words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.any(|word| is_digits(word) && is_token(word)).then_some("a token")
}

fn is_digits(word: &str) -> bool {
    word.len() == TOKEN && word.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_wherever_they_stand_and_nothing_else_is() {
        let token = "00112233445566778899aabbccddeecb";
        let secret = |line: &str| secret(line, false, |word| word == token);
        for line in [
            format!("error: key {KEY} was refused"),
            format!("2026-11-28T10:00:00Z INFO {token} was sent"),
            format!("called back at http://h/{token}/Z2Fy"),
            "got https://h/a.mp4?expires=1&signature=2".to_owned(),
            "changed=Moved { from: Record { state: Queued".to_owned(),
            format!("2026-11-28T10:00:00Z INFO sent Scene 1: {PROMPT}"),
            format!("{{\"timestamp\":\"2026\",\"prompt\":\"{PROMPT}\"}}"),
        ] {
            assert!(secret(&line).is_some(), "{line}");
        }
        for line in [
            format!("task {}", "f".repeat(TOKEN)),
            format!("replayed journal-{token}.log"),
            format!("sha256 {}", token.repeat(2)),
            format!("warning: jobs.yaml:3:5: is given twice: \"{PROMPT}\""),
        ] {
            assert_eq!(secret(&line), None, "{line}");
        }
        assert_eq!(super::secret(&format!("token {token}"), true, |_| true), None);
        assert!(super::secret(KEY, true, |_| true).is_some());
    }
}
