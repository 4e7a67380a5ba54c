//! What of a file is product code: lines with code on them, without what is compiled for tests only.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::source::{Language, Token, tokens};

/// One file, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    /// Lines of product code.
    pub(super) lines: usize,
    /// Files of modules that are compiled for tests only. The folders of their names belong to them.
    pub(super) tests: Vec<PathBuf>,
}

/// Reads `source`, which is at `path`.
pub(super) fn read(path: &Path, source: &str, language: Language) -> File {
    let tokens = tokens(source, language);
    let (mut lines, mut tests) = (BTreeSet::new(), Vec::new());
    let mut rest = tokens.as_slice();
    while let Some((token, after)) = rest.split_first() {
        if language == Language::Rust && is_for_tests(rest) {
            let (item, after) = after.split_at(length(after));
            tests.extend(module(path, item));
            rest = after;
        } else {
            let text = token.text.lines().enumerate().filter(|(_, text)| !text.trim().is_empty());
            lines.extend(text.map(|(below, _)| token.line + below));
            rest = after;
        }
    }
    File { lines: lines.len(), tests }
}

/// Whether an item follows that is compiled for tests only.
fn is_for_tests(tokens: &[Token]) -> bool {
    let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
    tokens.len() >= attribute.len() && tokens.iter().zip(attribute).all(|(token, expected)| token.text == expected)
}

/// How many tokens the item has that begins here, behind the `#` of its first attribute.
fn length(tokens: &[Token]) -> usize {
    let (mut depth, mut angles) = (0_usize, 0_usize);
    // `let` and its like end with `;` only: a `}` may be that of a value.
    let mut is_value = false;
    let mut before = "#";
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1).map_or("", |token| token.text);
        // Behind an attribute, `pub` or `pub(…)`: not in `if let`, `&'static` or `*const`.
        let is_first = depth == 0 && matches!(before, "]" | "pub" | ")");
        match token.text {
            "(" | "[" | "{" => depth += 1,
            // The end of what the item is in.
            ")" | "]" | "}" if depth == 0 => return at,
            ")" | "]" | "}" => {
                depth -= 1;
                let is_end = token.text == "}" && !is_value && !matches!(next, ";" | "," | "else");
                if depth == 0 && is_end {
                    return at + 1;
                }
            }
            "<" if depth == 0 => angles += 1,
            ">" if depth == 0 && !matches!(before, "-" | "=") => angles = angles.saturating_sub(1),
            ";" if depth == 0 => return at + 1,
            "," if depth == 0 && angles == 0 => return at + 1,
            "let" | "static" | "use" if is_first => is_value = true,
            "const" if is_first => is_value = !matches!(next, "fn" | "unsafe" | "async" | "extern"),
            _ => {}
        }
        before = token.text;
    }
    tokens.len()
}

/// The file of the module that `item` declares, if it declares one that is elsewhere.
fn module(path: &Path, item: &[Token]) -> Option<PathBuf> {
    let [.., keyword, name, end] = item else { return None };
    if keyword.text != "mod" || end.text != ";" {
        return None;
    }
    let folder = path.parent()?;
    let named = item.windows(3).find_map(|words| match words {
        [word, equals, text] if word.text == "path" && equals.text == "=" => Some(text.text.trim_matches('"')),
        _ => None,
    });
    let stem = path.file_stem()?;
    let is_root = stem == "lib" || stem == "main";
    Some(match named {
        Some(named) => folder.join(named),
        None if is_root => folder.join(name.text).with_extension("rs"),
        None => folder.join(stem).join(name.text).with_extension("rs"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rust(source: &str) -> File {
        read(Path::new("src/a.rs"), source, Language::Rust)
    }

    #[test]
    fn blank_lines_comments_and_documentation_are_not_counted_and_strings_are() {
        let source = "//! a\n\n/// b\nfn c() { // d\n    /* e\n    f */\n    g(\"\n\n  h {\n\");\n}\n";
        assert_eq!(rust(source).lines, 5);
    }

    #[test]
    fn a_test_module_is_left_out_whatever_its_strings_look_like() {
        let source =
            "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    const B: &str = \"}\";\n    fn c() { '}' }\n}\nfn d() {}\n";
        assert_eq!(rust(source).lines, 2);
    }

    #[test]
    fn a_statement_a_field_an_import_and_a_function_for_tests_are_left_out_alone() {
        let source = "\
use a::B;
#[cfg(test)]
use c::{D, E};
struct F {
    #[cfg(test)]
    g: Map<H, I>,
    j: K,
    #[cfg(test)]
    l: M
}
fn n() {
    #[cfg(test)]
    if let Some(o) = p() {
        return o;
    } else {
        q();
    }
    #[cfg(test)]
    let r = S { t: 1 };
    u();
}
#[cfg(test)]
#[expect(dead_code, reason = \"v\")]
pub(crate) const fn w<X, Y>(x: X) -> &'static Y {
    x
}
#[cfg(not(test))]
fn z() {}
";
        assert_eq!(rust(source).lines, 9);
    }

    #[test]
    fn modules_for_tests_in_other_files_are_named() {
        let source = "#[cfg(test)]\nmod b;\n#[cfg(test)]\n#[path = \"c/tests.rs\"]\nmod tests;\nmod d;";
        let expected = |paths: [&str; 2]| paths.map(PathBuf::from).to_vec();
        assert_eq!(rust(source), File { lines: 1, tests: expected(["src/a/b.rs", "src/c/tests.rs"]) });
        let root = read(Path::new("src/lib.rs"), source, Language::Rust);
        assert_eq!(root.tests, expected(["src/b.rs", "src/c/tests.rs"]));
    }

    #[test]
    fn lua_is_counted_without_its_comments() {
        assert_eq!(
            read(Path::new("a.lua"), "-- a\nlocal b = 1 -- c\n\n--[[ d\n]]\nreturn b\n", Language::Lua).lines,
            2
        );
    }
}
