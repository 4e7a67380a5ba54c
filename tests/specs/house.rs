//! The house of each crate: files that do not import each other, first folders that can be taken in at once, and sources that
//! exist where they are cited.
//!
//! An import is a `use`, or any other path that begins with `crate`, `super` or `self`. A crate's root hands names on and is
//! not counted, nor is what only tests use.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use syn::visit::Visit;
use syn::{Attribute, ItemMod, ItemUse, Path as SynPath, UseTree, Visibility};

/// A module by the names on the way to it; the crate's root has none.
type Module = Vec<String>;

/// Most files flat in a crate's `src`.
const MOST_FILES: usize = 14;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The source folders of all crates.
fn houses() -> Result<Vec<PathBuf>> {
    let folders = std::fs::read_dir(root().join("crates"))?.map(|entry| Ok(entry?.path().join("src")));
    let folders: Vec<PathBuf> = folders.collect::<Result<_>>()?;
    Ok(folders.into_iter().filter(|folder| folder.is_dir()).collect())
}

/// Every file below `folder` with one of these extensions.
fn files(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path, extensions)?);
        } else if path.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted)) {
            found.push(path);
        }
    }
    Ok(found)
}

/// The modules of a crate that have a file of their own.
fn modules(house: &Path) -> Result<BTreeMap<Module, PathBuf>> {
    let module = |path: &Path| -> Option<Module> {
        let inside = path.strip_prefix(house).ok()?.with_extension("");
        let names: Module = inside.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        Some(if names == ["lib"] || names == ["main"] { Vec::new() } else { names })
    };
    Ok(files(house, &["rs"])?.into_iter().filter_map(|path| Some((module(&path)?, path))).collect())
}

/// What one file imports.
struct Imports<'a> {
    modules: &'a BTreeMap<Module, PathBuf>,
    file: Module,
    /// The module that is read: the file's, or one inside of it.
    scope: Module,
    found: BTreeSet<Module>,
}

impl Imports<'_> {
    fn note(&mut self, names: &[String]) {
        let mut at = match names.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.scope.clone(),
            _ => return,
        };
        for (n, name) in names.iter().enumerate() {
            match name.as_str() {
                "super" => drop(at.pop()),
                "self" | "crate" if n == 0 => {}
                _ => at.push(name.clone()),
            }
        }
        while !at.is_empty() && !self.modules.contains_key(&at) {
            at.pop();
        }
        if at != self.file && !at.is_empty() {
            self.found.insert(at);
        }
    }

    fn tree(&mut self, before: &mut Vec<String>, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.tree(before, &path.tree);
                before.pop();
            }
            UseTree::Group(group) => group.items.iter().for_each(|item| self.tree(before, item)),
            UseTree::Name(name) => self.note(&[before.as_slice(), &[name.ident.to_string()]].concat()),
            UseTree::Rename(name) => self.note(&[before.as_slice(), &[name.ident.to_string()]].concat()),
            UseTree::Glob(_) => self.note(before),
        }
    }
}

/// Whether something exists in tests alone.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg") && attribute.parse_args::<SynPath>().is_ok_and(|path| path.is_ident("test"))
    })
}

impl<'ast> Visit<'ast> for Imports<'_> {
    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if !is_test(&module.attrs) {
            self.scope.push(module.ident.to_string());
            syn::visit::visit_item_mod(self, module);
            self.scope.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if !is_test(&item.attrs) {
            self.tree(&mut Vec::new(), &item.tree);
        }
    }

    /// `pub(super)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast SynPath) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&names);
        syn::visit::visit_path(self, path);
    }
}

/// Who imports whom in one crate.
fn imports(house: &Path) -> Result<BTreeMap<Module, BTreeSet<Module>>> {
    let modules = modules(house)?;
    let read =
        modules.iter().filter(|(module, _)| !module.is_empty() && module.last().is_none_or(|name| name != "tests"));
    read.map(|(module, path)| {
        let source = std::fs::read_to_string(path)?;
        let file = syn::parse_file(&source).with_context(|| format!("failed to parse {}", path.display()))?;
        let (file_module, scope) = (module.clone(), module.clone());
        let mut found = Imports { modules: &modules, file: file_module, scope, found: BTreeSet::new() };
        found.visit_file(&file);
        Ok((module.clone(), found.found))
    })
    .collect()
}

/// A way from `from` back to it, if there is one.
fn circle(imports: &BTreeMap<Module, BTreeSet<Module>>, from: &Module) -> Option<Vec<Module>> {
    let mut ways = vec![vec![from.clone()]];
    let mut seen = BTreeSet::new();
    while let Some(way) = ways.pop() {
        for next in way.last().and_then(|last| imports.get(last)).into_iter().flatten() {
            let longer = [way.as_slice(), std::slice::from_ref(next)].concat();
            if next == from {
                return Some(longer);
            }
            if seen.insert(next.clone()) {
                ways.push(longer);
            }
        }
    }
    None
}

#[test]
fn no_two_files_of_a_crate_import_each_other_be_it_by_way_of_others() -> Result<()> {
    let mut circles = Vec::new();
    for house in houses()? {
        let imports = imports(&house)?;
        ensure!(
            imports.len() == 1 || imports.values().any(|found| !found.is_empty()),
            "{}: no imports",
            house.display()
        );
        let found = imports.keys().filter_map(|module| circle(&imports, module));
        let shown = |way: Vec<Module>| way.iter().map(|module| module.join("/")).collect::<Vec<_>>().join(" → ");
        circles.extend(found.map(|way| format!("{}: {}", house.display(), shown(way))));
    }
    ensure!(circles.is_empty(), "files import each other in circles:\n{}", circles.join("\n"));
    Ok(())
}

#[test]
fn no_crate_has_more_files_in_its_first_folder_than_can_be_taken_in_at_once() -> Result<()> {
    for house in houses()? {
        let flat = files(&house, &["rs"])?.iter().filter(|path| path.parent() == Some(house.as_path())).count();
        ensure!(flat <= MOST_FILES, "{} has {flat} files; group them in folders", house.display());
    }
    Ok(())
}

/// The numbers that a citation names: `section 3`, `sections 4 and 5`, `sections 2 to 4`.
fn cited(text: &str) -> Vec<u32> {
    let text = text.split(['(', ':', ';', ')', '.']).next().unwrap_or_default();
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let numbers = words.skip(1).map_while(|word| match word {
        "and" | "to" => Some(None),
        number => number.parse::<u32>().ok().map(Some),
    });
    numbers.flatten().collect()
}

#[test]
fn every_citation_of_the_wires_contract_leads_to_its_section() -> Result<()> {
    const CONTRACT: &str = "docs/kie-api.md";
    let contract = std::fs::read_to_string(root().join(CONTRACT))?;
    let (mut count, mut wrong) = (0, Vec::new());
    for path in [files(&root().join("crates"), &["rs", "lua", "md"])?, files(&root().join("tests"), &["rs"])?].concat()
    {
        // A citation may go on in the next line of a comment.
        let source =
            std::fs::read_to_string(&path)?.replace("\n//! ", " ").replace("\n/// ", " ").replace("\n-- ", " ");
        for after in source.split(CONTRACT).skip(1) {
            let text = after.trim_start_matches([',', ' ', '`', ')', '\n', '/']);
            let sections = if text.starts_with("section") { cited(text) } else { Vec::new() };
            count += sections.len();
            let is_there = |number: &u32| contract.contains(&format!("\n## {number}. "));
            wrong.extend(sections.iter().filter(|number| !is_there(number)).map(|number| (path.clone(), *number)));
            let sentence = text.split([';', ')', '.', '\n']).next().unwrap_or_default();
            for conflict in sentence.split(|c: char| !c.is_ascii_alphanumeric()) {
                let number = conflict.strip_prefix('C').and_then(|digits| digits.parse::<u32>().ok());
                let is_known = contract.contains(&format!("\n| {conflict} |"));
                wrong.extend(number.filter(|_| !is_known).map(|number| (path.clone(), number)));
            }
        }
    }
    ensure!(count > 40, "only {count} citations were found");
    ensure!(wrong.is_empty(), "citations that lead nowhere: {wrong:?}");
    Ok(())
}

/// The anchor of a heading, as the common viewers make it.
fn anchor(heading: &str) -> String {
    let heading = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_link_and_every_path_in_the_documents_leads_to_something_that_is_there() -> Result<()> {
    let mut wrong = Vec::new();
    let documents =
        [files(&root().join("docs"), &["md"])?, vec![root().join("README.md"), root().join("crates/README.md")]];
    for document in documents.concat() {
        let (text, folder) = (std::fs::read_to_string(&document)?, document.parent().context("a folder")?);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.contains("://") {
                continue;
            }
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { document.clone() } else { folder.join(file) };
            let is_there = path.exists()
                && (place.is_empty()
                    || std::fs::read_to_string(&path)?
                        .lines()
                        .any(|line| line.starts_with('#') && anchor(line) == place));
            wrong.extend((!is_there).then(|| format!("{}: {target}", document.display())));
        }
        // Sources are named from the crates' folder on.
        for path in
            text.split('`').skip(1).step_by(2).filter(|word| word.contains("/src/") && !word.contains([' ', '*', '{']))
        {
            let is_there = root().join("crates").join(path).exists() || root().join(path).exists();
            wrong.extend((!is_there).then(|| format!("{}: {path}", document.display())));
        }
    }
    ensure!(wrong.is_empty(), "documents point to what is not there:\n{}", wrong.join("\n"));
    Ok(())
}
