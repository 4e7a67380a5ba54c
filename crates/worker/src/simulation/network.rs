//! The wire of one process: carries what api sends to the model of the service, or loses it on the way.
//!
//! A submission that has left arrives whatever becomes of its sender: arrivals wait in the service's own inbox.

use std::collections::BTreeMap;
use std::future::{Future, pending};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::sleep;
use veobatch_api::simulated::{Answer, Lost, Network, Sent};
use veobatch_core::{TaskId, Token};

use crate::simulation::state::SimState;
use crate::simulation::state::processes::Owner;
use crate::simulation::state::service::{Said, envelope, file};

/// Submissions on their way, by the time of their arrival.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    arriving: Mutex<BTreeMap<(u64, u64), Arriving>>,
    sent: AtomicU64,
    news: Notify,
}

/// A submission that is on its way.
#[derive(Debug)]
pub(super) struct Arriving {
    pub(super) token: Token,
    pub(super) body: Vec<u8>,
    pub(super) answer: oneshot::Sender<Said>,
}

impl Inbox {
    /// Time has jumped: what was to arrive meanwhile has arrived.
    pub(super) fn wake(&self) {
        self.news.notify_one();
    }

    /// The arrival time of the next submission.
    pub(super) fn next(&self) -> Option<u64> {
        self.arriving.lock().unwrap().first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes out the next submission.
    pub(super) fn take(&self) -> Option<Arriving> {
        self.arriving.lock().unwrap().pop_first().map(|(_, arriving)| arriving)
    }

    /// Resolves when a submission was sent, or time has jumped.
    pub(super) async fn changed(&self) {
        self.news.notified().await;
    }

    fn send(&self, at: u64, token: Token, body: Vec<u8>) -> oneshot::Receiver<Said> {
        let (answer, answered) = oneshot::channel();
        let number = self.sent.fetch_add(1, Ordering::Relaxed);
        self.arriving.lock().unwrap().insert((at, number), Arriving { token, body, answer });
        self.news.notify_one();
        answered
    }
}

/// The wire of one process.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) state: Arc<SimState>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) owner: Owner,
}

impl Network for Wire {
    fn carry(&self, sent: Sent) -> Pin<Box<dyn Future<Output = Result<Answer, Lost>> + Send>> {
        let wire = Self { state: Arc::clone(&self.state), inbox: Arc::clone(&self.inbox), owner: self.owner };
        Box::pin(async move {
            match sent.attempt.clone() {
                Some(token) if sent.url.path().ends_with("/veo/generate") => wire.pay(token, sent).await,
                _ if sent.url.path().starts_with("/files/") => wire.fetch(sent).await,
                _ => wire.ask(sent).await,
            }
        })
    }
}

impl Wire {
    /// A span with a long tail in bad faults: mostly quick, as a network is.
    fn way(&self, trouble: f64) -> Duration {
        self.state.random(|rng| if rng.chance(trouble / 2.0) { rng.ms(100, 20_000) } else { rng.ms(30, 50) })
    }

    async fn pay(&self, token: Token, sent: Sent) -> Result<Answer, Lost> {
        let (state, owner) = (&self.state, self.owner);
        let trouble = state.faults().payments;
        state.service.lock().unwrap().sent.insert(token.clone(), owner);
        state.say(|| format!("p{owner} pays for {token}"));
        if !state.processes.is_written_down(owner, &token) {
            state.violated(format!("p{owner} pays for {token}, which its journal does not say"));
        }
        if state.chance(trouble / 4.0) {
            sleep(self.way(trouble)).await;
            return Err(Lost::NotSent("connection refused".to_owned()));
        }
        state.matters(owner);
        if state.chance(trouble / 4.0) {
            self.silence().await;
            return Err(Lost::NoAnswer("connection reset on the way there".to_owned()));
        }
        let at = state.now() + u64::try_from(self.way(trouble).as_millis()).unwrap();
        let answered = self.inbox.send(at, token.clone(), sent.body);
        let said = answered.await.map_err(|_| Lost::NoAnswer("the service is gone".to_owned()))?;
        sleep(self.way(trouble)).await;
        if state.chance(trouble / 3.0) {
            self.silence().await;
            return Err(Lost::NoAnswer("connection reset on the way back".to_owned()));
        }
        let (status, body, cut) = self.garbled(said, trouble);
        state.say(|| format!("p{owner} is answered about {token}: {status} {body}"));
        if let Some(task) = named(&body) {
            state.service.lock().unwrap().delivered.push((task, owner));
        }
        state.matters(owner);
        Ok(whole(status, Vec::new(), body.into_bytes(), cut))
    }

    /// What arrives of an answer to a paid call.
    fn garbled(&self, (status, body): Said, trouble: f64) -> (u16, String, bool) {
        let (kind, end) = self.state.random(|rng| {
            let kind = if rng.chance(trouble / 2.0) { rng.below(7) } else { u64::MAX };
            (kind, rng.below(body.len() as u64) as usize)
        });
        match kind {
            0 => (502, "<html><title>Bad gateway</title></html>".to_owned(), false),
            1 => (500, envelope(500, "Internal error").1, false),
            2 => (200, envelope(500, "Internal error").1, false),
            3 => (200, envelope(408, "Upstream is silent").1, false),
            4 => (200, String::new(), false),
            5 => (500, body.replace("\"code\":200", "\"code\":501"), false),
            6 => (status, body[..end].to_owned(), true),
            _ => (status, body, false),
        }
    }

    async fn ask(&self, sent: Sent) -> Result<Answer, Lost> {
        let trouble = self.state.faults().calls;
        sleep(self.way(trouble)).await;
        if self.state.chance(trouble) {
            let kind = self.state.below(8);
            let page = |status, body: &str| Ok(whole(status, Vec::new(), body, false));
            return match kind {
                0 => Err(Lost::NotSent("connection refused".to_owned())),
                1 => Err(Lost::NoAnswer("connection reset".to_owned())),
                2 => pending().await,
                3 => page(503, "<html><title>Maintenance</title></html>"),
                4 => page(200, &envelope(500, "Timeout").1),
                5 => page(429, &envelope(429, "Too many requests").1),
                6 => page(200, "<html>"),
                _ => page(200, &envelope(455, "Maintenance").1),
            };
        }
        let (status, body) = self.state.service.lock().unwrap().asked(self.state.now(), &sent.url, &sent.body);
        self.state.say(|| format!("p{} asks {}: {body}", self.owner, sent.url.path()));
        sleep(self.way(trouble)).await;
        Ok(whole(status, Vec::new(), body.into_bytes(), false))
    }

    async fn fetch(&self, sent: Sent) -> Result<Answer, Lost> {
        let trouble = self.state.faults().files;
        sleep(self.way(trouble)).await;
        let kind = if self.state.chance(trouble) { self.state.below(6) } else { u64::MAX };
        match kind {
            0 => return Err(Lost::NoAnswer("connection reset".to_owned())),
            1 => return Ok(whole(200, Vec::new(), "<html>not a video</html>", false)),
            2 => return Ok(whole(503, Vec::new(), Vec::new(), false)),
            _ => {}
        }
        let found = file(self.state.now(), &sent.url);
        self.state.say(|| {
            format!("p{} fetches {} from {}: {:?}", self.owner, sent.url, sent.from, found.as_ref().map(Vec::len))
        });
        self.state.matters(self.owner);
        let file = match found {
            Ok(file) => file,
            Err(status) => return Ok(whole(status, Vec::new(), Vec::new(), false)),
        };
        let tag = ("etag", format!("\"{}\"", sent.url.path()));
        let (from, total) = (usize::try_from(sent.from).unwrap(), file.len());
        if from > 0 && from < total {
            let range = ("content-range", format!("bytes {from}-{}/{total}", total - 1));
            return Ok(whole(206, vec![tag, range], &file[from..], kind == 3));
        }
        Ok(whole(200, vec![tag], file, kind == 3))
    }

    /// A connection that says nothing more, or ends.
    async fn silence(&self) {
        if self.state.chance(0.5) {
            pending::<()>().await;
        }
        let wait = self.state.random(|rng| rng.ms(0, 30_000));
        sleep(wait).await;
    }
}

/// An answer with this body, or with the first half of it.
fn whole(status: u16, headers: Vec<(&'static str, String)>, body: impl AsRef<[u8]>, cut: bool) -> Answer {
    let body = body.as_ref();
    let (sender, receiver) = mpsc::channel(4);
    let length = Some(body.len() as u64);
    let end = if cut { body.len() / 2 } else { body.len() };
    // An envelope that is cut comes as it is: it was cut before.
    let envelope = headers.is_empty();
    let kept = if envelope { body.len() } else { end };
    let (first, second) = body[..kept].split_at(kept / 2);
    for chunk in [first, second] {
        let _ = sender.try_send(Ok(Bytes::copy_from_slice(chunk)));
    }
    if cut {
        let _ = sender.try_send(Err(io::Error::other("connection reset")));
    }
    let length = length.filter(|_| !(cut && envelope));
    Answer { status, headers, length, body: receiver }
}

/// The task id in an answer, if all of it is there.
fn named(body: &str) -> Option<TaskId> {
    let (_, rest) = body.split_once("\"taskId\":\"")?;
    TaskId::parse(rest.split_once('"')?.0)
}
