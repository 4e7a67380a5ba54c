//! `docs/settings.md`: prose from a template, and tables of the settings as the command line has them.

use clap::{Arg, ArgAction, Command};

/// The prose; a line `<!-- settings: ID… -->` becomes a table.
const TEMPLATE: &str = include_str!("settings.template.md");

/// The page, from the whole command line. Every setting is one of the program or of `veobatch worker`.
pub(crate) fn settings(root: &Command) -> String {
    let worker = root.find_subcommand("worker");
    let find = |id: &str| {
        let mut all = root.get_arguments().chain(worker.into_iter().flat_map(Command::get_arguments));
        all.find(|arg| arg.get_id() == id)
    };
    let mut page = String::new();
    for line in TEMPLATE.lines() {
        let ids = line.strip_prefix("<!-- settings: ").and_then(|line| line.strip_suffix(" -->"));
        match ids {
            Some(ids) => page.push_str(&table(ids.split(' ').filter_map(find))),
            None => page.push_str(line),
        }
        page.push('\n');
    }
    page
}

fn table<'a>(settings: impl Iterator<Item = &'a Arg>) -> String {
    let head = "| flag | environment | default | |\n|---|---|---|---|";
    settings.fold(head.to_owned(), |table, arg| table + "\n" + &row(arg))
}

fn row(arg: &Arg) -> String {
    let long = arg.get_long().unwrap_or_default();
    let value = arg.get_value_names().filter(|_| arg.get_action().takes_values());
    let value = value.and_then(|names| names.first()).map(|name| format!(" {name}")).unwrap_or_default();
    let short = if matches!(arg.get_action(), ArgAction::Count) { ", `-v`, `-vv`" } else { "" };
    let env = arg.get_env().map_or_else(dash, |env| format!("`{}`", env.to_string_lossy()));
    let help = arg.get_long_help().or(arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let help = help.split("\n\n[env: ").next().unwrap_or_default();
    let (help, told) = match help.split_once("[default: ") {
        Some((help, default)) => (help.trim().to_owned(), default.trim().strip_suffix(']').map(str::to_owned)),
        None => (help.to_owned(), None),
    };
    let own = arg.get_default_values().first().filter(|_| arg.get_action().takes_values());
    let default = told.or(own.map(|value| format!("`{}`", value.to_string_lossy()))).unwrap_or_else(dash);
    // The first line is a fragment, and what follows are sentences.
    let help = help.split("\n\n").filter(|part| !part.is_empty()).collect::<Vec<_>>().join(". ");
    let help = help.replace('\n', " ").replace('|', "\\|").replace('<', "\\<");
    format!("| `--{long}{value}`{short} | {env} | {default} | {help} |")
}

fn dash() -> String {
    "–".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::command;

    #[test]
    fn the_page_in_docs_is_the_one_that_the_program_writes() {
        let page = include_str!("../../../../docs/settings.md");
        let is_current = page == settings(&command());
        assert!(is_current, "docs/settings.md is out of date: cargo xtask docs");
    }

    #[test]
    fn every_setting_is_on_the_page() {
        let root = command();
        let page = settings(&root);
        let worker = root.find_subcommand("worker").unwrap();
        let own = ["until_idle"];
        for arg in
            root.get_arguments().chain(worker.get_arguments()).filter(|arg| !own.contains(&arg.get_id().as_str()))
        {
            let long = format!("| `--{}", arg.get_long().unwrap());
            assert!(page.contains(&long), "{long} is not on the page");
            if let Some(env) = arg.get_env() {
                assert!(page.contains(&format!("`{}`", env.to_str().unwrap())), "{env:?} is not on the page");
            }
        }
    }
}
