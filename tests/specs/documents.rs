//! The commands that the documents show: each is understood, and those that can be run here are run, page by page.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use veobatch_tests::{Prompts, Scene, quick};

use crate::{PATIENCE, on_sqlite};

/// What cannot be run here, by a part of the line, and why. A line of veobatch is still checked to be understood.
const NOT_RUN: &[(&str, &str)] = &[
    ("cargo install", "it would install the program on this machine"),
    ("cargo xtask", "it is what runs this specification"),
    ("docker compose", "it needs Docker"),
    ("mkdir -p jobs", "it prepares what Docker runs"),
    ("export KIE_", "a scene has a key of its own"),
    (
        "redis://",
        "it names a server of another machine, or the usual port of this one; the specification `transfer` has its own",
    ),
    ("127.0.0.1:", "another process may have this port; the specifications `callbacks` and `answers` use free ones"),
    ("veobatch resolve", "it needs a job in doubt; the specification `doubt` has some"),
    ("--state in_doubt", "as above"),
    ("--forget", "it asks on a terminal; the specification `purge` answers"),
];

/// What commands of a reader's own do in a scene.
const OTHERS: &str = "generate-prompts() { echo '{\"prompt\": \"a cat\"}'; }";

fn pages() -> Result<Vec<PathBuf>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let docs = std::fs::read_dir(root.join("docs"))?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut pages: Vec<PathBuf> =
        docs.into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
    pages.push(root.join("README.md"));
    pages.sort();
    Ok(pages)
}

/// The lines of a page's `sh` and `console` blocks that are commands, as the program's own name.
fn commands(page: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(page).with_context(|| format!("failed to read {}", page.display()))?;
    let (mut commands, mut is_shell, mut is_block) = (Vec::new(), false, false);
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            (is_shell, is_block) = (!is_block && matches!(language, "sh" | "bash" | "console"), !is_block);
        } else if is_shell && !line.trim().is_empty() && !line.starts_with('#') {
            let line = line.strip_prefix("$ ").unwrap_or(line);
            commands.push(line.replacen("cargo run --release --", "veobatch", 1));
        }
    }
    Ok(commands)
}

/// Runs a line in a shell, where `veobatch` is the program under test, called with these further words.
async fn shell(scene: &Scene, line: &str, further: &str) -> Result<(Option<i32>, String)> {
    let script = format!("set -o pipefail\nveobatch() {{ \"$0\" \"$@\" {further}; }}\n{OTHERS}\n{line}");
    let ended = scene.start_command(scene.shell(&script), "shell")?.wait(PATIENCE).await?;
    Ok((ended.code, format!("{}{}", ended.stdout, ended.stderr)))
}

#[tokio::test]
async fn every_command_of_the_documents_is_understood() -> Result<()> {
    let scene = on_sqlite(quick()).await?;
    let mut count = 0;
    for page in pages()? {
        for line in commands(&page)? {
            if !line.contains("veobatch ") {
                let is_known = NOT_RUN.iter().any(|(part, _)| line.contains(part));
                ensure!(is_known, "{}: nobody checks this line: {line}", page.display());
                continue;
            }
            count += 1;
            let (code, said) = shell(&scene, &line.replace(" | jq", " > /dev/null && : | jq"), "--help").await?;
            ensure!(code == Some(0), "{}: {line}\n{said}", page.display());
        }
    }
    ensure!(count > 50, "only {count} commands were found");
    Ok(())
}

#[tokio::test]
async fn the_commands_of_the_documents_do_what_they_say() -> Result<()> {
    let example = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../jobs.example.yaml"))?;
    for page in pages()? {
        let lines = commands(&page)?;
        let mut lines = lines.iter().filter(|line| NOT_RUN.iter().all(|(part, _)| !line.contains(part))).peekable();
        if lines.peek().is_none() {
            continue;
        }
        let scene = on_sqlite(quick()).await?.without("VEOBATCH_LEDGER");
        let garden = Prompts::of("garden").job("cat-01", "a cat", "").job("cat-02", "a bad one [refuse]", "");
        scene.prompts("jobs.yaml", &garden)?;
        for name in ["later", "daily"] {
            scene.prompts(&format!("{name}.yaml"), &Prompts::numbered(name, 1))?;
        }
        scene.write("jobs.example.yaml", &example)?;
        scene.run(&["enqueue", "jobs.yaml"]).await?.with_code(0)?;
        for line in lines {
            // A worker would never end.
            let further = if line.contains("veobatch worker") { "--until-idle" } else { "" };
            let (code, said) = shell(&scene, line, further).await?;
            // 1: some job ended otherwise, or was left as it was.
            ensure!(matches!(code, Some(0 | 1)), "{}: {line} ended with {code:?}:\n{said}", page.display());
        }
    }
    Ok(())
}
