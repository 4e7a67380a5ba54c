use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use veobatch_api::FileHostConfig;
use veobatch_core::{Lane, TaskId};
use veobatch_ledger::{Fence, JobRef, Lease};

use super::*;
use crate::runtime::leases::Leases;
use crate::save::mp4::made::video;
use crate::save::part::PartName;

/// Whoever ends with the connection says no length.
const CLOSE: &str = "connection: close";

/// Fetches from a host that serves `file` with this line in its head, and goes on for ever if there is more to come. Tells
/// how often it was asked.
async fn fetched(
    folder: &Path,
    (line, file, is_more): (&'static str, Vec<u8>, bool),
    limits: &Downloads,
) -> (Result<Fetched, SaveError>, usize) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v.mp4", listener.local_addr().unwrap());
    let (mut host, asked) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    let times = Arc::clone(&asked);
    host.spawn(async move {
        loop {
            let (mut connection, _) = listener.accept().await.unwrap();
            times.fetch_add(1, Ordering::SeqCst);
            let _ = connection.read(&mut [0; 4096]).await.unwrap();
            let head = format!("HTTP/1.1 200 OK\r\ncontent-type: video/mp4\r\n{line}\r\n\r\n");
            // Whoever has enough hangs up.
            drop(connection.write_all(&[head.as_bytes(), &file].concat()).await);
            if is_more {
                std::future::pending::<()>().await;
            }
        }
    });
    let (fence, task) = (Fence::random(), TaskId::parse("task").unwrap());
    let part =
        Part::create(PartName { folder: folder.to_owned(), stem: "cat".into(), fence: fence.clone(), number: 1, task });
    let hold = Arc::new(Leases::default()).hold(Lease { job: JobRef { batch: 1, seq: 1 }, fence }, Lane::Save);
    let files = FileHost::new(&FileHostConfig::beside(&url.parse().unwrap())).unwrap();
    let fetched = fetch(&files, &url, part.unwrap(), &hold, limits).await;
    (fetched, asked.load(Ordering::SeqCst))
}

#[tokio::test]
async fn a_file_that_is_too_large_is_not_fetched_further_than_that_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (file, length) = (video(&vec![7; 100_000]), |file: &[u8]| file.len() as u64);
    let limits = Downloads { largest: length(&file), ..Downloads::default() };
    let whole = fetched(dir.path(), (CLOSE, file.clone(), false), &limits).await.0.unwrap();
    assert_eq!(whole.content.bytes, length(&file));
    whole.part.discard();

    let limits = Downloads { largest: length(&file) - 1, ..Downloads::default() };
    // The last one tells how long it is, and then nothing.
    let told = ("content-length: 4000000", Vec::new(), true);
    for (line, file, is_more) in [(CLOSE, file.clone(), false), (CLOSE, file, true), told] {
        let too_large = fetched(dir.path(), (line, file, is_more), &limits);
        let too_large = tokio::time::timeout(READ_TIMEOUT / 2, too_large).await.expect("it waits for more");
        let (Err(SaveError::Transfer(why)), 1) = too_large else { panic!() };
        assert!(why.contains("the file is not fetched") && why.contains("--max-download-size"), "{why}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing of it is left");
    }
}

#[tokio::test]
async fn once_the_time_for_the_whole_is_over_the_file_is_not_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Downloads { within: Duration::ZERO, ..Downloads::default() };
    let (late, asked) = fetched(dir.path(), (CLOSE, video(&vec![7; 100_000]), false), &limits).await;
    let Err(SaveError::Transfer(why)) = late else { panic!() };
    assert!(why.contains("did not come within"), "{why}");
    assert_eq!(asked, 1);
}
