//! Work that blocks (files, mostly), off the runtime's threads; the one door to them.
//!
//! A simulation has one thread and a clock that stands still while it works: there, such work is done on the spot.

use std::io;

use tokio::sync::mpsc;

/// Does `work` on a thread that may block. An error says that it panicked, or that the runtime is going down.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    #[cfg(test)]
    if on_the_spot::is_set() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

/// Feeds `fed`, on a thread that may block, what comes through `inbox` until that ends, and finishes it.
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
    if on_the_spot::is_set() {
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

/// Whether this thread simulates.
#[cfg(test)]
pub(crate) mod on_the_spot {
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
    use std::thread;

    use super::*;

    async fn sum(numbers: &[u64]) -> (io::Result<u64>, thread::ThreadId) {
        let (sender, inbox) = mpsc::channel(1);
        let send = async move {
            for number in numbers {
                let _ = sender.send(*number).await;
            }
        };
        let add = |sum: u64, next: u64| if next == 13 { Err(io::Error::other("unlucky")) } else { Ok(sum + next) };
        let ((), sum) = tokio::join!(send, feed(inbox, 0, add, Ok));
        (sum, run(|| thread::current().id()).await.unwrap())
    }

    #[tokio::test]
    async fn a_simulation_does_on_its_own_thread_what_otherwise_another_one_does() {
        for simulates in [false, true] {
            on_the_spot::set(simulates);
            let (total, thread) = sum(&[1, 2, 3]).await;
            assert_eq!(total.unwrap(), 6);
            assert!(sum(&[1, 13, 3]).await.0.is_err());
            assert_eq!(thread == thread::current().id(), simulates);
        }
    }
}
