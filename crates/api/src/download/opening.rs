//! From a link to the first byte: redirects, refusals, and the facts in the answer's head.

use std::error::Error as _;

use hyper_util::client::proxy::matcher::Matcher;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, IF_RANGE,
    LAST_MODIFIED, LOCATION, RANGE,
};
use reqwest::{Response, StatusCode};
use url::Url;

use super::file::{Download, DownloadError, Part, Resume};
use super::host::FileHost;
use crate::text;
use crate::transport::address::{RefusedAddress, check_literal, is_loopback, is_public};
use crate::transport::exchange::retry_after;

/// Most redirects that are followed.
const MAX_REDIRECTS: usize = 5;

impl FileHost {
    /// Opens the file at `url`, from where an earlier fetch ended if the host still has the same file.
    ///
    /// # Errors
    ///
    /// [`DownloadError`]'s variants are what to do next.
    pub async fn open(&self, url: &str, from: Option<Resume>) -> Result<Download, DownloadError> {
        let asked = from.as_ref().filter(|from| from.offset > 0).map_or(Asked::Whole, Asked::Rest);
        let opened = open(self, url, asked).await?;
        match opened {
            Some(download) => Ok(download),
            // What is there is no beginning of this file: all of it, then.
            None => open(self, url, Asked::Whole).await?.ok_or_else(|| {
                let message = "the host refuses a part of the file that was not asked for".to_owned();
                DownloadError::Transfer { message, retry_after: None }
            }),
        }
    }

    /// Fetches at most `most` bytes of the file at `url` from byte `from` on, or its first ones from a host that sends no
    /// parts; none if the file ends before. Keeps nothing open.
    ///
    /// # Errors
    ///
    /// As [`FileHost::open`].
    pub async fn part(&self, url: &str, from: u64, most: usize) -> Result<Part, DownloadError> {
        let Some(mut download) = open(self, url, Asked::Part(from, most)).await? else {
            return Ok(Part { starts_at: from, bytes: Vec::new() });
        };
        let mut bytes = Vec::new();
        while bytes.len() < most
            && let Some(chunk) = download.chunk().await?
        {
            bytes.extend_from_slice(&chunk);
        }
        bytes.truncate(most);
        Ok(Part { starts_at: download.starts_at, bytes })
    }
}

/// What of a file is asked for.
#[derive(Clone, Copy, Debug)]
enum Asked<'a> {
    Whole,
    /// What is still missing, if it is the same file.
    Rest(&'a Resume),
    /// So many bytes from there on; at least one.
    Part(u64, usize),
}

impl Asked<'_> {
    /// The first byte, if it is not all.
    fn offset(self) -> Option<u64> {
        match self {
            Self::Whole => None,
            Self::Rest(from) => Some(from.offset),
            Self::Part(from, _) => Some(from),
        }
    }
}

/// Opens `link`; `None` if the host says that the file has no such part.
async fn open(host: &FileHost, link: &str, from: Asked<'_>) -> Result<Option<Download>, DownloadError> {
    let mut url = Url::parse(link).map_err(|_| DownloadError::Link("it is not a URL".to_owned()))?;
    for _ in 0..=MAX_REDIRECTS {
        let response = fetch(host, &url, from).await?;
        if !is_redirect(response.status()) {
            return accept(response, from);
        }
        let target = header(response.headers(), &LOCATION).and_then(|target| url.join(&target).ok());
        let target = target.ok_or_else(|| DownloadError::Link("it leads nowhere".to_owned()))?;
        check_descent(&url, &target)?;
        url = target;
    }
    Err(DownloadError::Link(format!("it leads on and on, more than {MAX_REDIRECTS} times")))
}

/// A link that was private on the wire stays so.
fn check_descent(from: &Url, to: &Url) -> Result<(), DownloadError> {
    if from.scheme() == "https" && to.scheme() == "http" {
        return Err(DownloadError::Refused(format!("it leads from https to {}", text::redact(to.as_str()))));
    }
    Ok(())
}

async fn fetch(host: &FileHost, url: &Url, from: Asked<'_>) -> Result<Response, DownloadError> {
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(DownloadError::Refused(format!("{} is no web address", text::redact(url.as_str()))));
    }
    if !host.private {
        check_literal(url).map_err(|error| DownloadError::Refused(error.to_string()))?;
    }
    let through_proxy = is_proxied(&host.proxy, url);
    let client = if through_proxy { &host.proxied } else { &host.direct };
    let request = client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
    let request = match from {
        Asked::Whole => request,
        Asked::Rest(Resume { offset, validator }) => {
            request.header(RANGE, format!("bytes={offset}-")).header(IF_RANGE, validator)
        }
        Asked::Part(first, most) => {
            let last = first.saturating_add(most as u64).saturating_sub(1);
            request.header(RANGE, format!("bytes={first}-{last}"))
        }
    };
    #[cfg(feature = "simulated")]
    if let Some(network) = &host.simulated {
        return simulated(network.as_ref(), &request.build().map_err(failed)?).await;
    }
    let response = request.send().await.map_err(failed)?;
    // The resolver has refused such an address already; this is for what it never saw.
    let peer = response.remote_addr().filter(|_| !through_proxy && !host.private);
    match peer.filter(|peer| !is_public(peer.ip())) {
        Some(peer) => Err(DownloadError::Refused(format!("{} is not a public address", peer.ip()))),
        None => Ok(response),
    }
}

#[cfg(feature = "simulated")]
async fn simulated(
    network: &dyn crate::transport::simulated::Network,
    request: &reqwest::Request,
) -> Result<Response, DownloadError> {
    use crate::transport::simulated::{Lost, Sent};
    let carried = network.carry(Sent::of(request, None)).await;
    carried.map(Into::into).map_err(|lost| {
        let (Lost::NotSent(message) | Lost::NoAnswer(message)) = lost;
        DownloadError::Transfer { message, retry_after: None }
    })
}

/// Whether `proxy` is used for `url`: never for this machine itself.
fn is_proxied(proxy: &Matcher, url: &Url) -> bool {
    let intercepted = || Some(proxy.intercept(&url.as_str().parse().ok()?).is_some());
    !is_loopback(url) && intercepted().unwrap_or(false)
}

fn failed(error: reqwest::Error) -> DownloadError {
    let error = error.without_url();
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<RefusedAddress>() {
            return DownloadError::Refused(refused.to_string());
        }
        cause = error.source();
    }
    DownloadError::Transfer { message: text::causes(&error), retry_after: None }
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn accept(response: Response, from: Asked<'_>) -> Result<Option<Download>, DownloadError> {
    let (status, headers) = (response.status().as_u16(), response.headers());
    let transfer = |message: String| DownloadError::Transfer { message, retry_after: retry_after(headers) };
    let encoding = header(headers, &CONTENT_ENCODING).filter(|coding| !coding.eq_ignore_ascii_case("identity"));
    let (starts_at, total) = match status {
        200 => (0, response.content_length()),
        206 => match (header(headers, &CONTENT_RANGE).and_then(|range| content_range(&range)), from.offset()) {
            (Some((first, total)), Some(from)) if first == from => (first, total),
            // Another part than the one asked for, or a part where all was asked for.
            (_, Some(_)) => return Ok(None),
            (_, None) => return Err(transfer("HTTP 206 where the whole file was asked for".to_owned())),
        },
        416 if from.offset().is_some() => return Ok(None),
        408 | 416 | 425 | 429 | 500.. => return Err(transfer(format!("HTTP {status}"))),
        400..500 => return Err(DownloadError::Link(format!("HTTP {status}"))),
        _ => return Err(transfer(format!("HTTP {status}"))),
    };
    if let Some(coding) = encoding {
        return Err(transfer(format!("the file came encoded as {}", text::plain(&coding))));
    }
    let (validator, content_type) = (validator(headers), header(headers, &CONTENT_TYPE));
    Ok(Some(Download { starts_at, length: response.content_length(), total, validator, content_type, response }))
}

/// `bytes 5-9/10`: the first byte, and the whole length where it is known.
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim_start().split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()))
}

/// A weak `ETag` does not promise equal bytes, and must not stand in `If-Range` (RFC 9110, section 13.1.5).
fn validator(headers: &HeaderMap) -> Option<String> {
    let strong = header(headers, &ETAG).filter(|tag| tag.starts_with('"'));
    strong.or_else(|| header(headers, &LAST_MODIFIED))
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_never_leads_from_https_to_http() {
        let [secure, plain] = ["https://h.example/a", "http://h.example/a?b"].map(|url| Url::parse(url).unwrap());
        assert!(check_descent(&secure, &plain).is_err());
        for (from, to) in [(&plain, &secure), (&plain, &plain), (&secure, &secure)] {
            assert_eq!(check_descent(from, to), Ok(()));
        }
    }

    #[test]
    fn a_proxy_is_used_as_it_says_but_never_for_this_machine() {
        let proxy = Matcher::builder().all("http://proxy.example:3128").no("direct.example").build();
        let is_proxied = |url: &str| is_proxied(&proxy, &Url::parse(url).unwrap());
        assert!(is_proxied("https://h.example/a") && is_proxied("http://h.example/a?b"));
        assert!(!is_proxied("https://direct.example/a"));
        assert!(
            !is_proxied("http://localhost:80/a") && !is_proxied("http://127.0.0.1/a") && !is_proxied("http://[::1]/a")
        );
        assert!(!super::is_proxied(&Matcher::builder().build(), &Url::parse("https://h.example/a").unwrap()));
    }

    /// A listener that answers one request, and tells its first line.
    fn one_answer() -> (std::net::SocketAddr, std::thread::JoinHandle<String>) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let answered = std::thread::spawn(move || {
            use std::io::{BufRead as _, Write as _};
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = std::io::BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
            let first = lines.next().unwrap();
            lines.find(String::is_empty).unwrap();
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok").unwrap();
            first
        });
        (address, answered)
    }

    /// The system here names no such proxy: whoever asked it again at a fetch would not go through this one.
    #[tokio::test]
    async fn the_proxy_is_the_one_that_was_read_when_the_fetcher_was_made() {
        let (address, answered) = one_answer();
        let proxy = format!("http://{address}");
        let config = super::super::FileHostConfig::beside(&Url::parse("https://api.example").unwrap());
        let made = FileHost::new(&config).unwrap();
        let proxied = reqwest::Client::builder().proxy(reqwest::Proxy::all(&proxy).unwrap()).build().unwrap();
        let host = FileHost { proxied, proxy: std::sync::Arc::new(Matcher::builder().all(proxy).build()), ..made };
        let part = host.part("http://files.example/a.mp4", 0, 9).await.unwrap();
        assert_eq!(part.bytes, b"ok");
        assert_eq!(answered.join().unwrap(), "GET http://files.example/a.mp4 HTTP/1.1");
    }

    #[test]
    fn a_content_range_tells_the_first_byte_and_the_whole() {
        for (text, range) in [
            ("bytes 5-9/10", Some((5, Some(10)))),
            ("bytes 0-1/*", Some((0, None))),
            ("bytes */10", None),
            ("lines 1-2/3", None),
            ("", None),
        ] {
            assert_eq!(content_range(text), range, "{text}");
        }
    }
}
