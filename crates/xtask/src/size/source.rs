//! Source text as tokens: enough to know code from comments, and where an item ends.

/// The languages of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Language {
    Rust,
    Lua,
    Sql,
}

impl Language {
    pub(super) const ALL: [Self; 3] = [Self::Rust, Self::Lua, Self::Sql];

    /// By the end of a file's name.
    pub(super) fn of(extension: &str) -> Option<Self> {
        match extension {
            "rs" => Some(Self::Rust),
            "lua" => Some(Self::Lua),
            "sql" => Some(Self::Sql),
            _ => None,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rust => "Rust",
            Self::Lua => "Lua",
            Self::Sql => "SQL",
        }
    }

    /// How long the comment is with which `rest` begins.
    fn comment(self, rest: &str) -> Option<usize> {
        let line = || Some(rest.find('\n').unwrap_or(rest.len()));
        match self {
            Self::Rust if rest.starts_with("//") => line(),
            Self::Rust if rest.starts_with("/*") => Some(nested(rest)),
            Self::Lua if rest.starts_with("--") => {
                rest.get(2..).and_then(long_bracket).map(|length| length + 2).or_else(line)
            }
            Self::Sql if rest.starts_with("--") => line(),
            Self::Sql if rest.starts_with("/*") => Some(through(rest, 2, "*/")),
            Self::Rust | Self::Lua | Self::Sql => None,
        }
    }

    /// How long the string or character literal is with which `rest` begins.
    fn literal(self, rest: &str) -> Option<usize> {
        match (self, rest.chars().next()?) {
            (Self::Rust, '"') => Some(escaped(rest, '"')),
            (Self::Rust, '\'') => character(rest),
            (Self::Rust, 'b' | 'c' | 'r') => prefixed(rest),
            (Self::Lua, quote @ ('"' | '\'')) => Some(escaped(rest, quote)),
            (Self::Lua, '[') => long_bracket(rest),
            // A doubled quote is two literals side by side, which makes no difference here.
            (Self::Sql, quote @ ('"' | '\'')) => Some(through(rest, 1, quote.encode_utf8(&mut [0; 4]))),
            (Self::Rust | Self::Lua | Self::Sql, _) => None,
        }
    }
}

/// A word, a literal or one character, and the line (from 0) on which it begins. Neither space nor comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
}

/// The tokens of `source`.
pub(super) fn tokens(source: &str, language: Language) -> Vec<Token<'_>> {
    let (mut tokens, mut rest, mut line) = (Vec::new(), source, 0);
    while let Some(first) = rest.chars().next() {
        let comment = language.comment(rest);
        let length = comment.or_else(|| language.literal(rest)).unwrap_or_else(|| word(rest, first));
        let (text, after) = rest.split_at(length);
        if comment.is_none() && !first.is_whitespace() {
            tokens.push(Token { text, line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// How long the word is with which `rest` begins, or its first character.
fn word(rest: &str, first: char) -> usize {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    if is_part(first) { rest.find(|letter| !is_part(letter)).unwrap_or(rest.len()) } else { first.len_utf8() }
}

/// To the end of `end`, searched from `from` on; to the end of all if it is not there.
fn through(rest: &str, from: usize, end: &str) -> usize {
    rest.get(from..).and_then(|inner| inner.find(end)).map_or(rest.len(), |found| from + found + end.len())
}

/// A string between `quote`s, in which a backslash escapes the next character.
fn escaped(rest: &str, quote: char) -> usize {
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter == quote {
            return at + quote.len_utf8();
        }
    }
    rest.len()
}

/// `'a'` or `'\n'`, but not a lifetime.
fn character(rest: &str) -> Option<usize> {
    let mut letters = rest.char_indices().skip(1);
    let (_, first) = letters.next()?;
    let (end, closing) = letters.next()?;
    if first == '\\' { Some(escaped(rest, '\'')) } else { (closing == '\'').then_some(end + 1) }
}

/// `b'a'`, `b"a"`, `c"a"`, `r"a"`, `br#"a"#`; but neither a word nor `r#type`.
fn prefixed(rest: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r"].into_iter().find(|prefix| rest.starts_with(prefix))?;
    let body = rest.get(prefix.len()..)?;
    let length = if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let quoted = body.get(hashes..)?.starts_with('"');
        quoted.then(|| through(body, hashes + 1, &format!("\"{}", "#".repeat(hashes))))
    } else if body.starts_with('"') {
        Some(escaped(body, '"'))
    } else if prefix == "b" && body.starts_with('\'') {
        character(body)
    } else {
        None
    };
    length.map(|length| prefix.len() + length)
}

/// A block comment of Rust, with those in it.
fn nested(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(inner) = rest.get(at..).filter(|inner| !inner.is_empty()) {
        if inner.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if inner.starts_with("*/") {
            (depth, at) = (depth.saturating_sub(1), at + 2);
        } else {
            at += inner.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// `[[…]]` or `[==[…]==]`.
fn long_bracket(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('[')?;
    let level = inner.len() - inner.trim_start_matches('=').len();
    inner.get(level..)?.starts_with('[').then(|| through(rest, level + 2, &format!("]{}]", "=".repeat(level))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str, language: Language) -> Vec<&str> {
        tokens(source, language).into_iter().map(|token| token.text).collect()
    }

    #[test]
    fn comments_of_rust_are_left_out_and_what_looks_like_one_in_a_string_is_not() {
        let source = "a /* b /* c */ d */ e // f\n/// g\n\"// h \\\" {\" 'i' r#\"/* \" j\"# k";
        assert_eq!(texts(source, Language::Rust), ["a", "e", "\"// h \\\" {\"", "'i'", "r#\"/* \" j\"#", "k"]);
    }

    #[test]
    fn characters_are_told_from_lifetimes_and_raw_words_from_raw_strings() {
        let source = r"'{' '\'' '\u{7d}' b'{' &'a x r#type bright 'ä'";
        let expected = ["'{'", r"'\''", r"'\u{7d}'", "b'{'", "&", "'", "a", "x", "r", "#", "type", "bright", "'ä'"];
        assert_eq!(texts(source, Language::Rust), expected);
    }

    #[test]
    fn long_strings_and_comments_of_lua_end_where_they_began() {
        let source = "a --[[ b\n]] c --[=[ d ]] ]=] e [[ -- f\n]] 'g -- \\' h' t[1] -- i";
        let expected = ["a", "c", "e", "[[ -- f\n]]", "'g -- \\' h'", "t", "[", "1", "]"];
        assert_eq!(texts(source, Language::Lua), expected);
    }

    #[test]
    fn comments_of_sql_are_left_out() {
        assert_eq!(texts("a -- b\n/* c\nd */ 'e -- f' g", Language::Sql), ["a", "'e -- f'", "g"]);
    }

    #[test]
    fn tokens_know_their_lines() {
        let tokens = tokens("a\n\n\"b\nc\" d\n", Language::Rust);
        assert_eq!(tokens.iter().map(|token| token.line).collect::<Vec<_>>(), [0, 2, 3]);
    }
}
