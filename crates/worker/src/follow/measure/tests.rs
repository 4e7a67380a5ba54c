use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use veobatch_api::FileHostConfig;

use super::*;
use crate::save::mp4::made::{STRAIGHT, chunk, part, tkhd, trak};

fn index() -> Vec<u8> {
    let track = trak(&tkhd(0, STRAIGHT, 3840, 2160), b"vide", &chunk(0, &[1]));
    part(b"moov", &[part(b"mvhd", &[0; 100]), track].concat())
}

/// What is read of a file, from a host that sends parts or not, and the parts that were asked for.
async fn read(file: Vec<u8>, sends_parts: bool) -> (Option<Picture>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/a.mp4", listener.local_addr().unwrap());
    let (asked, mut requests) = tokio::sync::mpsc::unbounded_channel();
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            let range = head.lines().find_map(|line| line.strip_prefix("range: bytes=")).unwrap().to_owned();
            let (first, last) = range.split_once('-').unwrap();
            let (first, last): (usize, usize) = (first.parse().unwrap(), last.parse().unwrap());
            asked.send(range.clone()).unwrap();
            let end = (last + 1).min(file.len());
            let (status, body) = match sends_parts {
                true if first < file.len() => {
                    (format!("206 P\r\ncontent-range: bytes {first}-{}/*", end - 1), &file[first..end])
                }
                true => ("416 R".to_owned(), &file[..0]),
                false => ("200 OK".to_owned(), &file[..]),
            };
            let head = format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            // One that has read enough hangs up.
            drop(stream.write_all(&[head.as_bytes(), body].concat()).await);
        }
    });
    let host = FileHost::new(&FileHostConfig::beside(&url.parse().unwrap())).unwrap();
    let picture = picture(&host, &url).await.unwrap();
    serving.shutdown().await;
    let mut parts = Vec::new();
    requests.close();
    while let Some(part) = requests.recv().await {
        parts.push(part);
    }
    (picture, parts)
}

const UHD: Picture = Picture { width: 3840, height: 2160 };

fn file(parts: &[Vec<u8>]) -> Vec<u8> {
    [&[part(b"ftyp", b"isom\0\0\x02\0isomiso2")], parts].concat().concat()
}

#[tokio::test]
async fn an_index_is_found_wherever_it_is_and_little_else_is_fetched() {
    let media = part(b"mdat", &vec![7; 1 << 20]);
    let (picture, parts) = read(file(&[index(), media.clone()]), true).await;
    assert_eq!((picture, parts), (Some(UHD), vec!["0-65535".to_owned()]));
    let (picture, parts) = read(file(&[media.clone(), index()]), true).await;
    let at = 24 + media.len();
    assert_eq!((picture, parts), (Some(UHD), vec!["0-65535".to_owned(), format!("{at}-{}", at + READ_BYTES - 1)]));
    // One that begins in what was fetched, and ends behind it.
    let filler = part(b"free", &vec![0; READ_BYTES - 100]);
    let (picture, parts) = read(file(&[filler, index(), media]), true).await;
    assert_eq!((picture, parts.len()), (Some(UHD), 2));
}

#[tokio::test]
async fn a_host_that_sends_no_parts_tells_the_index_where_it_comes_first() {
    let media = part(b"mdat", &vec![7; 1 << 20]);
    assert_eq!(read(file(&[index(), media.clone()]), false).await.0, Some(UHD));
    assert_eq!(read(file(&[media, index()]), false).await.0, None);
}

#[tokio::test]
async fn what_has_no_index_has_no_size() {
    for odd in [
        b"<html>gone</html>".to_vec(),
        Vec::new(),
        file(&[]),
        file(&[part(b"mdat", b"x")]),
        file(&[part(b"moov", b"")]),
    ] {
        assert_eq!(read(odd, true).await.0, None);
    }
}
