//! A model of the service, strict about money and pace: a third reading of the wire, beside api's and the simulator's.
//!
//! It knows what nobody else may: which attempt each payment was for, and whether there was any excuse for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};
use url::Url;
use veobatch_core::{MAX_PRESUMED_ATTEMPTS, Stray, TaskId, Timestamp, Token};

use crate::simulation::state::rng::Rng;

/// The account's window, in milliseconds.
pub(crate) const WINDOW: u64 = 10_000;

/// What becomes of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TaskEnd {
    Made,
    Failed,
    Refused,
}

/// Something that was paid for.
#[derive(Clone, Debug)]
pub(crate) struct Task {
    pub(crate) id: TaskId,
    pub(crate) token: Token,
    pub(crate) job: String,
    pub(crate) end: TaskEnd,
    /// The service has said that it failed.
    pub(crate) told: bool,
    /// The ledger knows it.
    pub(crate) stored: bool,
    at: u64,
    ready: u64,
    /// When the larger version is there, once it was asked for.
    larger: Option<u64>,
    /// There will be no larger version.
    only_base: bool,
}

/// What a person did that explains payments of a job, or that it was not made.
#[derive(Clone, Debug, Default)]
pub(crate) struct Orders {
    pub(crate) retries: u64,
    pub(crate) resubmits: u64,
    pub(crate) cancels: u64,
    pub(crate) given_up: u64,
    /// Attempts that were given up as in doubt, by anybody: as the ledger said when it granted a later one.
    pub(crate) doubted: BTreeSet<Token>,
    /// Attempts whose tasks a person was told of before he ordered another one, or that were there when he settled a doubt
    /// again, which he had settled before them.
    pub(crate) overruled: BTreeSet<Token>,
}

/// A batch's terms, as far as they bind.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BatchLimits {
    /// So many videos may be paid for: the most that was ever allowed.
    pub(crate) videos: Option<u64>,
    /// Nothing is granted before.
    pub(crate) start: Option<Timestamp>,
}

/// An answer's status and body.
pub(crate) type Said = (u16, String);

#[derive(Debug)]
pub(crate) struct Service {
    /// Submissions in [`WINDOW`] that are taken.
    pub(crate) rate: usize,
    /// How often a job may be paid for by itself.
    pub(crate) max_attempts: u64,
    arrivals: VecDeque<u64>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) orders: BTreeMap<String, Orders>,
    /// Jobs that are never accepted.
    refused: BTreeSet<String>,
    /// Jobs that were told so.
    pub(crate) told_refused: BTreeSet<String>,
    /// Tokens whose calls were begun.
    pub(crate) sent: BTreeMap<Token, u32>,
    /// Task ids that a process was told, or its journal holds: by token, and by which process.
    pub(crate) delivered: Vec<(TaskId, u32)>,
    pub(crate) journaled: BTreeSet<TaskId>,
    /// Task ids that the ledger was told by callbacks: only it knows them.
    pub(crate) called: BTreeSet<TaskId>,
    turned_away: Option<u16>,
    /// Jobs in doubt are submitted again by a policy.
    pub(crate) has_policy: bool,
    pub(crate) broken: Option<String>,
    /// Whom to call about the task that was made last, and when.
    pub(crate) callback: Option<(TaskId, Url, u64, TaskEnd)>,
    /// By batch, as its jobs' names begin.
    bounds: BTreeMap<String, BatchLimits>,
    rng: Rng,
}

impl Service {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        Self {
            rate: rng.between(2, 6) as usize,
            max_attempts: rng.one_of(&[1, 1, 2, 3]),
            arrivals: VecDeque::new(),
            tasks: Vec::new(),
            orders: BTreeMap::new(),
            refused: BTreeSet::new(),
            told_refused: BTreeSet::new(),
            sent: BTreeMap::new(),
            delivered: Vec::new(),
            journaled: BTreeSet::new(),
            called: BTreeSet::new(),
            turned_away: None,
            has_policy: false,
            broken: None,
            callback: None,
            bounds: BTreeMap::new(),
            rng: Rng::new(rng.next()),
        }
    }

    /// With which code submissions are refused: for want of credits, for maintenance, for the key.
    pub(crate) fn turn_away(&mut self, code: Option<u16>) {
        self.turned_away = code;
    }

    /// What is answered instead of anything else, with a key that is refused.
    fn locked_out(&self) -> Option<Said> {
        self.turned_away.filter(|code| matches!(code, 401 | 403)).map(|code| envelope(code, "You do not have access"))
    }

    /// Whether a journal or a callback's answer says that `task` is known.
    pub(crate) fn is_known(&self, task: &TaskId) -> bool {
        self.journaled.contains(task) || self.called.contains(task)
    }

    /// The ledger took a body: it knows the tasks in it.
    pub(crate) fn stored(&mut self, body: &[u8]) {
        let text = String::from_utf8_lossy(body);
        for task in self.tasks.iter_mut().filter(|task| !task.stored) {
            task.stored = text.contains(task.id.as_str());
        }
    }

    /// The ledger granted another payment of `job`, of which `doubted` attempts were given up as in doubt. It must know
    /// of none that is under way, or was made: but a person may order anything.
    pub(crate) fn granted(&mut self, job: &str, token: &Token, doubted: &[Token]) {
        let orders = self.orders(job);
        orders.doubted.extend(doubted.iter().cloned());
        if orders.retries + orders.resubmits > 0 {
            return;
        }
        let known = self.tasks.iter().find(|task| task.job == job && task.stored && !task.told);
        if let Some(task) = known.filter(|task| task.token != *token) {
            let words = format!("{token} of {job} was granted, though the ledger knew of task {}", task.id);
            self.violated(words);
        }
    }

    /// A person orders that `job` is submitted again, as `token` is in doubt. What is known to have been paid for `beside` it
    /// is told to him first, so it speaks no longer against a payment. If that was ordered and granted before, the
    /// ledger went back and forgot it, and what was paid for meanwhile is told beside the job. To pay once more is the
    /// person's decision: what is there by now speaks no longer against a payment, and whatever comes later does.
    pub(crate) fn ordered(&mut self, job: &str, token: &Token, beside: &[Stray]) {
        let paid: Vec<_> = self.tasks.iter().filter(|task| task.job == job).map(|task| task.token.clone()).collect();
        let orders = self.orders(job);
        orders.overruled.extend(beside.iter().map(|stray| stray.token.clone()));
        if orders.doubted.contains(token) {
            orders.overruled.extend(paid);
        }
    }

    /// What binds a batch.
    pub(crate) fn bound(&mut self, batch: &str) -> &mut BatchLimits {
        self.bounds.entry(batch.to_owned()).or_default()
    }

    /// The ledger granted a payment at `now`: its batch must have started.
    pub(crate) fn started(&mut self, batch: &str, now: Timestamp) {
        if let Some(start) = self.bound(batch).start.filter(|start| now < *start) {
            self.violated(format!("a job of {batch} was granted at {now}, before it starts at {start}"));
        }
    }

    /// From now on `job` is refused.
    pub(crate) fn refuse(&mut self, job: &str) {
        self.refused.insert(job.to_owned());
    }

    pub(crate) fn paid(&self) -> u64 {
        self.tasks.len() as u64
    }

    pub(crate) fn orders(&mut self, job: &str) -> &mut Orders {
        self.orders.entry(job.to_owned()).or_default()
    }

    fn violated(&mut self, words: String) {
        self.broken.get_or_insert(words);
    }

    /// A submission arrives; accepted or not, this is the answer.
    pub(crate) fn submitted(&mut self, now: u64, token: &Token, body: &[u8], failures: f64, turns_away: bool) -> Said {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let Some(job) = body["prompt"].as_str().and_then(|prompt| prompt.strip_prefix("a video of ")) else {
            self.violated(format!("a submission without a prompt of ours: {body}"));
            return (400, String::new());
        };
        if turns_away {
            return envelope(429, "Too many requests, please try again later");
        }
        while self.arrivals.front().is_some_and(|at| at + WINDOW <= now) {
            self.arrivals.pop_front();
        }
        if self.arrivals.len() >= self.rate {
            self.violated(format!("429: {} submissions within 10 s where {} are allowed", self.rate + 1, self.rate));
        }
        self.arrivals.push_back(now);
        if let Some(code) = self.turned_away {
            return envelope(code, "Not now");
        }
        if self.refused.contains(job) {
            self.told_refused.insert(job.to_owned());
            return envelope(422, "Invalid prompt");
        }
        let id = self.accept(now, token, job, failures);
        let url = body["callBackUrl"].as_str().and_then(|url| Url::parse(url).ok());
        let task = self.tasks.last().map(|task| (task.id.clone(), task.ready, task.end));
        self.callback = task.zip(url).map(|((task, ready, end), url)| (task, url, ready, end));
        json_envelope(200, "success", json!({ "taskId": id.as_str() }))
    }

    /// Pays, and looks whether there was any reason to.
    fn accept(&mut self, now: u64, token: &Token, job: &str, failures: f64) -> TaskId {
        if self.tasks.iter().any(|task| task.token == *token) {
            self.violated(format!("attempt {token} of {job} was paid for twice"));
        }
        let orders = self.orders(job).clone();
        let earlier = self.tasks.iter().filter(|task| task.job == job);
        let count = earlier.clone().count() as u64;
        // One that was given up explains no payment but its own: a call that was thought lost may arrive after the next.
        let is_explained = |token| orders.doubted.contains(token) || orders.overruled.contains(token);
        let mut unexplained = earlier.filter(|task| !task.told && !is_explained(&task.token));
        if unexplained.next().is_some() && !orders.doubted.contains(token) {
            self.violated(format!("{job} was paid for again, though its last attempt did not fail: {orders:?}"));
        }
        if !self.has_policy && orders.doubted.len() as u64 > orders.resubmits {
            self.violated(format!("an attempt of {job} was given up by nobody: {orders:?}"));
        }
        // A policy pays for nobody more than three times.
        let wanted = self.max_attempts + orders.retries + orders.resubmits;
        let most = if self.has_policy { wanted.max(u64::from(MAX_PRESUMED_ATTEMPTS)) } else { wanted };
        if count + 1 > most {
            self.violated(format!("{job} was paid for {} times, more often than anybody wanted", count + 1));
        }
        let id = TaskId::parse(&format!("{:016x}{:03}", self.rng.next(), self.tasks.len())).unwrap();
        let batch = job.split('-').next().unwrap_or_default();
        let spent = 1 + self.tasks.iter().filter(|task| task.job.starts_with(&format!("{batch}-"))).count() as u64;
        if let Some(videos) = self.bound(batch).videos.filter(|videos| spent > *videos) {
            self.violated(format!("{spent} videos of {batch} were paid for, and its budget is for {videos}"));
        }
        let fails = self.rng.chance(failures);
        let end =
            if fails { self.rng.one_of(&[TaskEnd::Failed, TaskEnd::Failed, TaskEnd::Refused]) } else { TaskEnd::Made };
        self.tasks.push(Task {
            id: id.clone(),
            token: token.clone(),
            job: job.to_owned(),
            end,
            told: false,
            stored: false,
            at: now,
            ready: now + self.rng.between(5_000, 70_000),
            larger: None,
            only_base: self.rng.chance(0.2),
        });
        id
    }

    /// A call that is free.
    pub(crate) fn asked(&mut self, now: u64, url: &Url, body: &[u8]) -> Said {
        if let Some(said) = self.locked_out() {
            return said;
        }
        let wanted = url.query_pairs().find(|(name, _)| name == "taskId").map(|(_, id)| id.into_owned());
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let wanted = wanted.or_else(|| body["taskId"].as_str().map(str::to_owned)).unwrap_or_default();
        let lifetime = self.rng.one_of(&[8_000, 60_000, 600_000]);
        let odd = self.rng.chance(0.3);
        let known = self.tasks.iter_mut().find(|task| task.id.as_str() == wanted);
        match (url.path().trim_start_matches("/api/v1/"), known) {
            ("veo/record-info", Some(task)) => task.info(now, now + lifetime, odd),
            ("veo/get-1080p-video", Some(task)) => task.larger(now, now + lifetime),
            ("chat/credit", _) => json_envelope(200, "success", 1_000_000 - 60 * self.tasks.len()),
            ("common/download-url", _) => match body["url"].as_str().and_then(|url| url.split_once('?')) {
                Some((file, _)) => json_envelope(200, "success", json!(format!("{file}?until={}", now + 1_200_000))),
                None => envelope(422, "foreign url"),
            },
            (_, _) => envelope(422, "recordInfo is null"),
        }
    }
}

/// The file at `url`, or the status that is answered instead.
pub(crate) fn file(now: u64, url: &Url) -> Result<Vec<u8>, u16> {
    let until = url.query_pairs().find_map(|(name, at)| (name == "until").then(|| at.parse::<u64>().ok())?);
    if until.is_none_or(|until| until < now) {
        return Err(403);
    }
    let mut path = url.path().trim_start_matches("/files/").split('/');
    let (task, version) = (path.next().unwrap_or_default(), path.next().unwrap_or_default());
    Ok(content(task, version))
}

impl Task {
    fn link(&self, version: &str, until: u64) -> String {
        format!("http://127.0.0.1/files/{}/{version}?until={until}", self.id)
    }

    fn info(&mut self, now: u64, until: u64, odd: bool) -> Said {
        if now < self.at + 3_000 && odd {
            return envelope(422, "recordInfo is null");
        }
        let mut data = json!({ "taskId": self.id.as_str(), "paramJson": json!({"prompt": format!("a video of {}", self.job)}).to_string() });
        if now < self.ready {
            data["successFlag"] = json!(0);
            return json_envelope(200, "success", data);
        }
        match self.end {
            TaskEnd::Made => {
                let links = json!([self.link("base", until)]);
                // Where the answer does not say it, the file does.
                let size = if now.is_multiple_of(2) { json!("720p") } else { Value::Null };
                data["successFlag"] = json!(1);
                if odd {
                    data["resultUrls"] = json!(links.to_string());
                } else {
                    data["response"] = json!({ "resultUrls": links, "resolution": size });
                }
            }
            TaskEnd::Failed => {
                self.told = true;
                data["successFlag"] = json!(if odd { 2 } else { 3 });
                data["errorCode"] = json!(501);
                data["errorMessage"] = json!("Generation failed");
            }
            TaskEnd::Refused => {
                self.told = true;
                data["successFlag"] = json!(2);
                data["errorCode"] = json!(400);
                data["errorMessage"] = json!("Your prompt violates the content policy");
            }
        }
        json_envelope(200, "success", data)
    }

    fn larger(&mut self, now: u64, until: u64) -> Said {
        if self.only_base {
            return envelope(422, "The 1080P version of this video is not available");
        }
        let there = *self.larger.get_or_insert(now + 25_000);
        if now < there {
            return envelope(400, "1080P is processing. It should be ready in 1-2 minutes. Please check back shortly.");
        }
        json_envelope(200, "success", json!({ "resultUrl": self.link("larger", until) }))
    }
}

pub(crate) fn envelope(code: u16, words: &str) -> Said {
    json_envelope(code, words, Value::Null)
}

fn json_envelope(code: u16, words: &str, data: impl Into<Value>) -> Said {
    (200, json!({ "code": code, "msg": words, "data": data.into() }).to_string())
}

/// The bytes of a task's video: an MP4 as far as its structure and picture's size go, and no two the same.
pub(crate) fn content(task: &str, version: &str) -> Vec<u8> {
    let (width, height) = if version == "larger" { (1920, 1080) } else { (1280, 720) };
    crate::save::mp4::made::video_of(width, height, format!("{version} of {task} ").repeat(20).as_bytes())
}
