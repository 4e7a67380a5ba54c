//! `cargo xtask size`: how much product code there is, by crate and language.

mod product;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::{report, root};
use product::{File, read};
use source::Language;

const HELP: &str = "\
usage: cargo xtask size

Counts the lines of product code in crates/*/src (Rust, Lua, SQL), by crate and in all.

Counted: every line with code on it. Strings are code, so SQL inside Rust counts as Rust.
Not counted: blank lines; comments and documentation; items under `#[cfg(test)]`, with the files of such
modules; the folders tests and examples; xtask itself.";

/// Lines by language.
type Sizes = BTreeMap<Language, usize>;

/// Prints a table; its last line is the sum.
pub(crate) fn run(words: &[String]) -> Result<()> {
    match words {
        [] => {}
        [word] if word == "-h" || word == "--help" => {
            report(HELP);
            return Ok(());
        }
        [word, ..] => bail!("{word}: `size` takes nothing but `--help`"),
    }
    let mut all = Sizes::new();
    report(&row("", &Language::ALL.map(|language| language.name().to_owned()), "in all"));
    for (name, folder) in crates(&root().join("crates"))? {
        let sizes = size(&folder)?;
        report(&row(&name, &counts(&sizes), &sum(&sizes).to_string()));
        for (language, lines) in sizes {
            *all.entry(language).or_default() += lines;
        }
    }
    let [rust, lua, sql] = counts(&all);
    report(&format!("product code: {} lines (Rust {rust}, Lua {lua}, SQL {sql})", sum(&all)));
    Ok(())
}

fn row(name: &str, counts: &[String; 3], sum: &str) -> String {
    let [rust, lua, sql] = counts;
    format!("{name:12}{rust:>8}{lua:>8}{sql:>8}{sum:>8}")
}

fn counts(sizes: &Sizes) -> [String; 3] {
    Language::ALL.map(|language| sizes.get(&language).copied().unwrap_or_default().to_string())
}

fn sum(sizes: &Sizes) -> usize {
    sizes.values().sum()
}

/// The product's crates: their names, and where their sources are.
fn crates(folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut crates = BTreeMap::new();
    for path in entries(folder)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name != "xtask" && path.join("src").is_dir() {
            crates.insert(name, path.join("src"));
        }
    }
    Ok(crates)
}

/// What is in `folder` and its folders.
fn size(folder: &Path) -> Result<Sizes> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    let mut tests = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            let language = path.extension().and_then(|extension| Language::of(&extension.to_string_lossy()));
            if path.is_dir() {
                folders.push(path);
            } else if let Some(language) = language {
                let source = std::fs::read_to_string(&path).with_context(|| failed(&path))?;
                let File { lines, tests: more } = read(&path, &source, language);
                tests.extend(more);
                found.push((path, language, lines));
            }
        }
    }
    // A test module is its file and the folder of the same name.
    let is_test =
        |path: &Path| path.ancestors().any(|part| tests.contains(part) || tests.contains(&part.with_extension("rs")));
    let mut sizes = Sizes::new();
    for (_, language, lines) in found.iter().filter(|(path, ..)| !is_test(path)) {
        *sizes.entry(*language).or_default() += lines;
    }
    Ok(sizes)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let read = || std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>();
    read().with_context(|| failed(folder))
}

fn failed(path: &Path) -> String {
    format!("failed to read {}", path.display())
}
