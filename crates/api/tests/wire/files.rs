//! Fetching result files.

use std::time::Duration;

use url::Url;
use veobatch_api::{Download, DownloadError, FileHost, FileHostConfig, Part, Resume};

use crate::server::{Act, Server, answer, nobody, with};

fn host(base: &Url) -> FileHost {
    FileHost::new(&FileHostConfig::beside(base)).unwrap()
}

/// One that loses patience soon.
fn hasty(base: &Url) -> FileHost {
    let config = FileHostConfig { read_timeout: Duration::from_millis(500), ..FileHostConfig::beside(base) };
    FileHost::new(&config).unwrap()
}

async fn open(url: &Url, from: Option<Resume>) -> Result<Download, DownloadError> {
    host(url).open(url.as_str(), from).await
}

async fn rest(download: &mut Download) -> Result<Vec<u8>, DownloadError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = download.chunk().await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

fn resume(offset: u64) -> Resume {
    Resume { offset, validator: "\"v1\"".to_owned() }
}

#[tokio::test]
async fn a_file_comes_whole_with_its_facts_and_without_the_key() {
    let headers = "etag: \"v1\"\r\nlast-modified: yesterday\r\ncontent-type: video/mp4\r\n";
    let server = Server::saying(with(200, headers, "0123456789"));
    let mut download = open(&server.url(), None).await.unwrap();
    assert_eq!((download.starts_at, download.length, download.total), (0, Some(10), Some(10)));
    assert_eq!(download.validator.as_deref(), Some("\"v1\""));
    assert_eq!(download.content_type.as_deref(), Some("video/mp4"));
    assert_eq!(rest(&mut download).await.unwrap(), b"0123456789");
    let [seen] = server.seen().try_into().unwrap();
    assert_eq!((seen.header("authorization"), seen.header("range")), (None, None));
    assert_eq!(seen.header("accept-encoding").as_deref(), Some("identity"));
}

#[tokio::test]
async fn a_weak_tag_is_no_validator() {
    let server = Server::saying(with(200, "etag: W/\"v1\"\r\nlast-modified: yesterday\r\n", ""));
    assert_eq!(open(&server.url(), None).await.unwrap().validator.as_deref(), Some("yesterday"));
}

#[tokio::test]
async fn a_file_goes_on_where_it_broke_off_if_it_is_still_the_same() {
    let server = Server::saying(with(206, "content-range: bytes 4-9/10\r\netag: \"v1\"\r\n", "456789"));
    let mut download = open(&server.url(), Some(resume(4))).await.unwrap();
    assert_eq!((download.starts_at, download.length, download.total), (4, Some(6), Some(10)));
    assert_eq!(rest(&mut download).await.unwrap(), b"456789");
    let [seen] = server.seen().try_into().unwrap();
    assert_eq!(seen.header("range").as_deref(), Some("bytes=4-"));
    assert_eq!(seen.header("if-range").as_deref(), Some("\"v1\""));
}

#[tokio::test]
async fn a_file_that_has_changed_or_has_no_such_part_starts_over() {
    let changed = Server::saying(answer(200, "new"));
    assert_eq!(open(&changed.url(), Some(resume(4))).await.unwrap().starts_at, 0);
    for odd in [answer(416, ""), with(206, "content-range: bytes 2-9/10\r\n", "23456789"), answer(206, "?")] {
        let server = Server::start(move |seen, _| {
            Act::Say(if seen.header("range").is_some() { odd.clone() } else { answer(200, "all") })
        });
        let mut download = open(&server.url(), Some(resume(4))).await.unwrap();
        assert_eq!((download.starts_at, rest(&mut download).await.unwrap()), (0, b"all".to_vec()));
    }
}

#[tokio::test]
async fn some_bytes_of_a_file_come_and_no_more() {
    let part = async |server: &Server, from| host(&server.url()).part(server.url().as_str(), from, 4).await;
    let server = Server::saying(with(206, "content-range: bytes 4-7/10\r\n", "4567"));
    assert_eq!(part(&server, 4).await, Ok(Part { starts_at: 4, bytes: b"4567".to_vec() }));
    assert_eq!(server.seen()[0].header("range").as_deref(), Some("bytes=4-7"));
    let whole = Server::saying(answer(200, "0123456789"));
    assert_eq!(part(&whole, 4).await, Ok(Part { starts_at: 0, bytes: b"0123".to_vec() }));
    let short = Server::saying(answer(416, ""));
    assert_eq!(part(&short, 40).await, Ok(Part { starts_at: 40, bytes: Vec::new() }));
    let other = Server::saying(with(206, "content-range: bytes 0-3/10\r\n", "0123"));
    assert_eq!(part(&other, 4).await, Ok(Part { starts_at: 4, bytes: Vec::new() }));
    let gone = Server::saying(answer(403, ""));
    assert!(matches!(part(&gone, 4).await, Err(DownloadError::Link(_))));
}

#[tokio::test]
async fn a_refused_link_asks_for_a_new_one_and_a_failing_host_for_patience() {
    for status in [400, 401, 403, 404, 410] {
        let server = Server::saying(answer(status, ""));
        let error = open(&server.url(), None).await.unwrap_err();
        assert!(matches!(error, DownloadError::Link(_)), "{status}: {error:?}");
    }
    for status in [408, 429, 500, 502, 503] {
        let server = Server::saying(with(status, "retry-after: 5\r\n", ""));
        let DownloadError::Transfer { retry_after, .. } = open(&server.url(), None).await.unwrap_err() else {
            panic!()
        };
        assert_eq!(retry_after, Some(Duration::from_secs(5)), "{status}");
    }
    assert!(matches!(open(&nobody(), None).await, Err(DownloadError::Transfer { .. })));
}

#[tokio::test]
async fn a_file_that_breaks_off_or_falls_silent_is_an_error_not_an_end() {
    for act in [Act::Say, Act::Stall] {
        let server = Server::start(move |_, _| act("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123".to_owned()));
        let mut download = hasty(&server.url()).open(server.url().as_str(), None).await.unwrap();
        assert!(matches!(rest(&mut download).await, Err(DownloadError::Transfer { .. })));
    }
    let silent = Server::start(|_, _| Act::Stall(String::new()));
    let opened = hasty(&silent.url()).open(silent.url().as_str(), None).await;
    assert!(matches!(opened, Err(DownloadError::Transfer { .. })));
}

#[tokio::test]
async fn an_encoded_file_is_not_taken_for_a_video() {
    let server = Server::saying(with(200, "content-encoding: gzip\r\n", "x"));
    assert!(matches!(open(&server.url(), None).await, Err(DownloadError::Transfer { .. })));
}

#[tokio::test]
async fn redirects_are_followed_five_times_with_the_part_that_was_asked_for() {
    let server = Server::start(|seen, number| match number {
        0..5 => Act::Say(with(302, "location: /next?sig=1\r\n", "")),
        _ if seen.header("range").is_some() => Act::Say(with(206, "content-range: bytes 4-9/10\r\n", "456789")),
        _ => Act::Say(answer(500, "")),
    });
    assert_eq!(open(&server.url(), Some(resume(4))).await.unwrap().starts_at, 4);
    assert_eq!(server.seen().last().unwrap().line(), "GET /next?sig=1");
    let endless = Server::saying(with(302, "location: /\r\n", ""));
    assert!(matches!(open(&endless.url(), None).await, Err(DownloadError::Link(_))));
    assert_eq!(endless.seen().len(), 6);
}

#[tokio::test]
async fn a_redirect_to_something_else_than_the_web_is_refused() {
    let server = Server::saying(with(302, "location: file:///etc/passwd\r\n", ""));
    assert!(matches!(open(&server.url(), None).await, Err(DownloadError::Refused(_))));
    let nowhere = Server::saying(answer(302, ""));
    assert!(matches!(open(&nowhere.url(), None).await, Err(DownloadError::Link(_))));
}

#[tokio::test]
async fn private_addresses_are_refused_as_numbers_and_as_names_unless_the_api_is_there() {
    let server = Server::saying(answer(200, "secret"));
    let port = server.url().port().unwrap();
    let strict = host(&Url::parse("https://api.kie.ai/").unwrap());
    for name in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0x7f.1", "169.254.169.254", "10.0.0.1"] {
        let error = strict.open(&format!("http://{name}:{port}/latest?key=1"), None).await.unwrap_err();
        assert!(matches!(error, DownloadError::Refused(_)), "{name}: {error:?}");
        assert!(!error.to_string().contains("key=1"), "{error}");
    }
    assert!(server.seen().is_empty());
    assert!(open(&server.url(), None).await.is_ok());
}

#[tokio::test]
async fn what_is_no_web_address_is_not_fetched() {
    let host = host(&nobody());
    assert!(matches!(host.open("nonsense", None).await, Err(DownloadError::Link(_))));
    assert!(matches!(host.open("ftp://h.example/x", None).await, Err(DownloadError::Refused(_))));
}

#[tokio::test]
async fn an_error_does_not_say_the_links_secrets() {
    let url = nobody().join("x.mp4?X-Amz-Signature=secret").unwrap();
    let error = open(&url, None).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
}
