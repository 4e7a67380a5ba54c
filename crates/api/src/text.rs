//! Words for a person, made of what strangers sent: short, on one line, without secrets.

use url::Url;

/// Longest text of the service that is repeated, in characters.
const MAX_CHARS: usize = 300;

/// Longest part of an answer that is repeated beside its words.
const PART_CHARS: usize = 160;

/// `url` as it may be shown and logged: scheme, host and path. A signed link's secrets are in its query.
pub fn redact(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "(not a URL)".to_owned() };
    let Some(host) = url.host_str() else { return format!("{}:…", url.scheme()) };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    line(&format!("{}://{host}{port}{}", url.scheme(), url.path()), MAX_CHARS)
}

/// `text` on one line of at most [`MAX_CHARS`] characters, without control characters and without any URL's query.
pub(crate) fn plain(text: &str) -> String {
    line(&without_queries(text), MAX_CHARS)
}

/// A short part of `text`, otherwise as [`plain`].
pub(crate) fn part(text: &str) -> String {
    line(&without_queries(text), PART_CHARS)
}

/// Why `error` happened, outermost cause first, as one line; without the layers that only say that it did.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    const LAYERS: [&str; 3] = ["error sending request", "client error (", "request or response body error"];
    let mut words: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        next = error.source();
        let says_nothing = next.is_some() && LAYERS.iter().any(|layer| text.starts_with(layer));
        if !says_nothing && !words.iter().any(|known| known.contains(&text)) {
            words.push(text);
        }
    }
    plain(&words.join(": "))
}

/// What a body that is no envelope seems to be, for a message.
pub(crate) fn page(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..body.len().min(4096)).unwrap_or_default());
    let lower = text.to_ascii_lowercase();
    let title = lower.find("<title>").and_then(|start| {
        let start = start + "<title>".len();
        text.get(start..)?.split('<').next().map(plain).filter(|title| !title.is_empty())
    });
    match title {
        Some(title) => format!("a web page, \"{title}\""),
        None if lower.trim_start().starts_with('<') => "a web page".to_owned(),
        None if text.trim().is_empty() => "an empty answer".to_owned(),
        None => plain(&text),
    }
}

fn line(text: &str, most: usize) -> String {
    let mut words = String::new();
    let mut chars = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control() || is_invisible(c)).filter(|w| !w.is_empty()) {
        if chars > 0 {
            words.push(' ');
            chars += 1;
        }
        for c in word.chars() {
            if chars >= most {
                words.push('…');
                return words;
            }
            words.push(c);
            chars += 1;
        }
    }
    words
}

/// Characters that reorder or hide what stands around them on a terminal.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn without_queries(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, from) = rest.split_at(at);
        let end = from.find(|c: char| c.is_whitespace() || "\"'<>)]}`\\".contains(c)).unwrap_or(from.len());
        let (url, after) = from.split_at(end);
        let shown = url.split(['?', '#']).next().unwrap_or_default();
        out.push_str(before);
        match shown.rsplit_once('@') {
            Some((_, host)) => out.extend(["://", host]),
            None => out.push_str(shown),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_url_has_no_query_and_no_password() {
        for (url, shown) in [
            ("https://u:p@host.example:8443/a/b.mp4?X-Amz-Signature=1#f", "https://host.example:8443/a/b.mp4"),
            ("http://[::1]/x?y", "http://[::1]/x"),
            ("data:text/plain,secret", "data:…"),
            ("nonsense?secret", "(not a URL)"),
        ] {
            assert_eq!(redact(url), shown);
        }
    }

    #[test]
    fn urls_inside_a_text_lose_their_queries() {
        assert_eq!(
            plain("fetching \"https://h/a?sig=1\" failed, see (http://u:p@x/y#z) and a?b"),
            "fetching \"https://h/a\" failed, see (http://x/y) and a?b"
        );
    }

    #[test]
    fn a_text_is_one_short_line_without_control_characters() {
        assert_eq!(plain("a\r\n\tb\u{1b}[31m\u{202e}c"), "a b [31m c");
        assert_eq!(plain(&"ä".repeat(400)).chars().count(), 301);
    }

    #[test]
    fn a_page_is_named_by_its_title() {
        for (body, words) in [
            ("<html><TITLE>502 Bad Gateway</TITLE>", "a web page, \"502 Bad Gateway\""),
            (" <!doctype html>", "a web page"),
            ("", "an empty answer"),
            ("upstream down", "upstream down"),
        ] {
            assert_eq!(page(body.as_bytes()), words);
        }
    }
}
