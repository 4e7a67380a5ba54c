//! Asking a person before money is spent.

use crate::failure::{Failure, Result};
use crate::output::ui;

/// Asks `question` and returns the answer; only "y" and "yes" mean yes.
pub(crate) async fn confirmed(question: &str) -> Result<bool> {
    ui::question(format!("{question} [y/N]"));
    let answer = tokio::task::spawn_blocking(|| {
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).map(|_| answer)
    })
    .await;
    let answer = answer
        .map_err(std::io::Error::other)
        .flatten()
        .map_err(|error| Failure::bad_input("read the answer").because(&error))?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_a_yes() {
        assert!(is_yes("Y\n") && is_yes(" yes "));
        assert!(!is_yes("\n") && !is_yes("yeah, well") && !is_yes("n"));
    }
}
