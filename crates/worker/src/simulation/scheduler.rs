//! The scheduler: every simulated part is a future here, and at each turn one of those that were woken is polled, drawn by
//! the seed. So the interleaving follows from the seed, and so does where a process is killed: after any poll, that is
//! at any await, by dropping all of its futures.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};

use super::crash::killed;
use crate::simulation::state::SimState;
use crate::simulation::state::processes::{ENVIRONMENT, Owner};

/// So many turns without the clock moving on: something runs in circles.
const MOST_TURNS: u32 = 200_000;

struct Part {
    owner: Owner,
    name: &'static str,
    future: Pin<Box<dyn Future<Output = ()>>>,
    awake: Arc<Awake>,
}

/// Wakes one part, and the stage with it.
struct Awake {
    woken: AtomicBool,
    scheduler: Arc<Mutex<Option<Waker>>>,
}

impl Wake for Awake {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        let scheduler = self.scheduler.lock().unwrap().clone();
        if let Some(scheduler) = scheduler {
            scheduler.wake();
        }
    }
}

/// All parts, and what is about to become of their processes.
pub(super) struct Scheduler {
    state: Arc<SimState>,
    parts: RefCell<Vec<Part>>,
    entering: RefCell<Vec<Part>>,
    /// Stopped processes, which are not polled.
    stopped: RefCell<BTreeSet<Owner>>,
    doomed: RefCell<Vec<Owner>>,
    waker: Arc<Mutex<Option<Waker>>>,
    turns: Cell<u32>,
}

impl Scheduler {
    pub(super) fn new(state: Arc<SimState>) -> Rc<Self> {
        Rc::new(Self {
            state,
            parts: RefCell::default(),
            entering: RefCell::default(),
            stopped: RefCell::default(),
            doomed: RefCell::default(),
            waker: Arc::default(),
            turns: Cell::new(0),
        })
    }

    /// A new part of `owner`. It outlives nothing of it.
    pub(super) fn spawn(&self, owner: Owner, name: &'static str, future: impl Future<Output = ()> + 'static) {
        let awake = Arc::new(Awake { woken: AtomicBool::new(true), scheduler: Arc::clone(&self.waker) });
        // The budget of tokio's own scheduler is not ours.
        let future = Box::pin(tokio::task::unconstrained(future));
        self.entering.borrow_mut().push(Part { owner, name, future, awake });
        self.stir();
    }

    /// SIGKILL, before anything else happens.
    pub(super) fn kill(&self, owner: Owner) {
        self.doomed.borrow_mut().push(owner);
        self.stir();
    }

    /// SIGSTOP: `owner` is not polled, though time goes on.
    pub(super) fn stop(&self, owner: Owner) {
        self.stopped.borrow_mut().insert(owner);
    }

    /// SIGCONT.
    pub(super) fn go_on(&self, owner: Owner) {
        self.stopped.borrow_mut().remove(&owner);
        self.stir();
    }

    fn stir(&self) {
        if let Some(waker) = self.waker.lock().unwrap().clone() {
            waker.wake();
        }
    }

    /// Runs until `end` is over or something is broken.
    pub(super) async fn run(&self, end: impl Future<Output = ()> + 'static) {
        let over = Rc::new(Cell::new(false));
        let is_over = Rc::clone(&over);
        self.spawn(ENVIRONMENT, "director", async move {
            end.await;
            is_over.set(true);
        });
        let at = Cell::new(0);
        poll_fn(|cx| {
            *self.waker.lock().unwrap() = Some(cx.waker().clone());
            loop {
                if over.get() || self.state.is_broken() {
                    return Poll::Ready(());
                }
                if !self.turn() {
                    return Poll::Pending;
                }
                self.turns.set(if at.replace(self.state.now()) == self.state.now() { self.turns.get() + 1 } else { 0 });
                if self.turns.get() > MOST_TURNS {
                    self.state.violated("something runs in circles without time going on".to_owned());
                }
            }
        })
        .await;
        // Everything that still runs is dropped here, inside the runtime.
        self.parts.borrow_mut().clear();
        self.entering.borrow_mut().clear();
    }

    /// One part takes one poll; `false` if none was woken.
    fn turn(&self) -> bool {
        self.bury();
        let mut entering = self.entering.take();
        self.parts.borrow_mut().append(&mut entering);
        let Some(mut part) = self.draw() else { return false };
        part.awake.woken.store(false, Ordering::Relaxed);
        self.state.polled(part.owner, part.name);
        let waker = Waker::from(Arc::clone(&part.awake));
        let ended = part.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        let owner = part.owner;
        if ended {
            drop(part);
        } else {
            self.parts.borrow_mut().push(part);
        }
        if owner != ENVIRONMENT && self.state.strikes(owner) {
            self.doomed.borrow_mut().push(owner);
        }
        true
    }

    /// Takes one of the woken parts off the list.
    fn draw(&self) -> Option<Part> {
        let mut parts = self.parts.borrow_mut();
        let stopped = self.stopped.borrow();
        let can = |part: &Part| part.awake.woken.load(Ordering::Relaxed) && !stopped.contains(&part.owner);
        let woken = parts.iter().filter(|part| can(part)).count();
        if woken == 0 {
            return None;
        }
        let chosen = self.state.below(woken as u64) as usize;
        let at = parts.iter().enumerate().filter(|(_, part)| can(part)).nth(chosen).unwrap().0;
        Some(parts.remove(at))
    }

    /// Drops all futures of those who were killed, at the awaits where they are.
    fn bury(&self) {
        let doomed = self.doomed.take();
        for owner in doomed {
            let theirs = |list: &RefCell<Vec<Part>>| {
                let (theirs, others): (Vec<_>, Vec<_>) = list.take().into_iter().partition(|part| part.owner == owner);
                *list.borrow_mut() = others;
                theirs
            };
            let (playing, entering) = (theirs(&self.parts), theirs(&self.entering));
            if playing.is_empty() && entering.is_empty() {
                continue;
            }
            self.stopped.borrow_mut().remove(&owner);
            killed(&self.state, owner, move || drop((playing, entering)));
        }
    }
}
