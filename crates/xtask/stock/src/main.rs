//! Tasks that do nothing, on the stock apalis Redis storage: `stock URL TASKS CONCURRENCY`.
//!
//! They are pushed first; then it says `ready`, and after a line of input one worker runs them all. It says how many seconds
//! that took, and ends with its input.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use apalis::prelude::*;
use apalis_redis::{Config, RedisStorage};

static DONE: AtomicU32 = AtomicU32::new(0);

async fn nothing(_: String) -> Result<(), BoxDynError> {
    DONE.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxDynError> {
    let words: Vec<String> = std::env::args().collect();
    let [_, url, tasks, concurrency] = words.as_slice() else { return Err("URL TASKS CONCURRENCY".into()) };
    let (tasks, concurrency): (u32, usize) = (tasks.parse()?, concurrency.parse()?);
    let config = Config { batch_size: concurrency, ..Config::default() };
    let mut storage = RedisStorage::new(apalis_redis::connect(url.as_str()).await?).with_config(config);
    for n in 0..tasks {
        storage.push(format!("{n:08} {}", "a small cat plays in a sunny garden ".repeat(5))).await?;
    }
    println!("ready");
    std::io::stdin().lines().next();
    let since = Instant::now();
    let worker = WorkerBuilder::new("stock").backend(storage).concurrency(concurrency).build(nothing);
    let all = async {
        while DONE.load(Ordering::Relaxed) < tasks {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        ended = worker.run() => ended?,
        () = all => {}
    }
    println!("{}", since.elapsed().as_secs_f64());
    std::io::stdin().lines().next();
    Ok(())
}
