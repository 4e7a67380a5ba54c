//! Blocking work (mostly files), off the runtime's threads. All blocking work of this crate goes through here.
//!
//! A simulation has one thread and a clock that stands still while it works: there, blocking work is done inline.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::mpsc;

/// Does `work` on a thread that may block. An error means that it panicked, or that the runtime is shutting down.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    #[cfg(test)]
    if inline::is_set() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

/// Work that may never return, such as a call to a network disk. One at a time, because each that hangs holds a thread.
pub(crate) struct Slow<T>(Option<Pin<Box<dyn Future<Output = io::Result<T>> + Send>>>);

impl<T: Send + 'static> Slow<T> {
    /// The result of `work`, if it is there `within` this time. If not, the next call waits for the same work.
    pub(crate) async fn run(
        &mut self,
        within: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<io::Result<T>> {
        let under_way = self.0.get_or_insert_with(|| Box::pin(run(work)));
        let result = tokio::time::timeout(within, under_way.as_mut()).await.ok()?;
        self.0 = None;
        Some(result)
    }
}

impl<T> Default for Slow<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> fmt::Debug for Slow<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Slow").field(&self.0.is_some()).finish()
    }
}

/// Feeds everything from `inbox` into `fed` on a thread that may block, then calls `finish`.
pub(crate) async fn feed<T, S, R>(
    mut inbox: mpsc::Receiver<T>,
    mut fed: S,
    take: impl Fn(S, T) -> io::Result<S> + Send + 'static,
    finish: impl FnOnce(S) -> io::Result<R> + Send + 'static,
) -> io::Result<R>
where
    T: Send + 'static,
    S: Send + 'static,
    R: Send + 'static,
{
    #[cfg(test)]
    if inline::is_set() {
        while let Some(next) = inbox.recv().await {
            fed = take(fed, next)?;
        }
        return finish(fed);
    }
    let fed = move || {
        while let Some(next) = inbox.blocking_recv() {
            fed = take(fed, next)?;
        }
        finish(fed)
    };
    tokio::task::spawn_blocking(fed).await.map_err(io::Error::other).flatten()
}

/// Whether this thread runs a simulation.
#[cfg(test)]
pub(crate) mod inline {
    use std::cell::Cell;

    thread_local! {
        static SET: Cell<bool> = const { Cell::new(false) };
    }

    pub(crate) fn set(on: bool) {
        SET.set(on);
    }

    pub(crate) fn is_set() -> bool {
        SET.get()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::*;

    async fn sum(numbers: &[u64]) -> (io::Result<u64>, thread::ThreadId) {
        let (sender, inbox) = mpsc::channel(1);
        let send = async move {
            for number in numbers {
                let _ = sender.send(*number).await;
            }
        };
        let add = |sum: u64, next: u64| if next == 13 { Err(io::Error::other("thirteen")) } else { Ok(sum + next) };
        let ((), sum) = tokio::join!(send, feed(inbox, 0, add, Ok));
        (sum, run(|| thread::current().id()).await.unwrap())
    }

    #[tokio::test]
    async fn what_hangs_is_asked_once_and_its_answer_is_heard_when_it_comes() {
        let asked = Arc::new(AtomicU32::new(0));
        let (answer, hangs) = std::sync::mpsc::channel::<u32>();
        let hangs = Arc::new(Mutex::new(hangs));
        let mut disk = Slow::default();
        let mut ask = async || {
            let (asked, hangs) = (Arc::clone(&asked), Arc::clone(&hangs));
            let question = move || {
                asked.fetch_add(1, Ordering::SeqCst);
                hangs.lock().unwrap().recv().unwrap()
            };
            disk.run(Duration::from_millis(20), question).await.map(Result::unwrap)
        };
        assert_eq!((ask().await, ask().await), (None, None));
        assert_eq!(asked.load(Ordering::SeqCst), 1, "one thread waits, however often it is asked");
        answer.send(7).unwrap();
        let heard = async {
            loop {
                if let Some(heard) = ask().await {
                    return heard;
                }
            }
        };
        assert_eq!(tokio::time::timeout(Duration::from_secs(20), heard).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_simulation_does_on_its_own_thread_what_otherwise_another_one_does() {
        for simulates in [false, true] {
            inline::set(simulates);
            let (total, thread) = sum(&[1, 2, 3]).await;
            assert_eq!(total.unwrap(), 6);
            assert!(sum(&[1, 13, 3]).await.0.is_err());
            assert_eq!(thread == thread::current().id(), simulates);
        }
    }
}
