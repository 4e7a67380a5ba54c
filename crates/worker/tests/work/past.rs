//! A worker that starts with more past than its ledger knows of, and a ledger that does not take all of it.

use std::sync::Arc;

use veobatch_core::StateName;
use veobatch_worker::{Options, Past, Stop, Until, WorkError, WorkerExit, reconcile};

use crate::faulty::{Faulty, Trick};
use crate::scene::{Scene, hurried};

/// A paid job, of which only a journal tells: its worker was cut off before it could tell the ledger.
async fn of_which_only_a_journal_tells() -> Scene {
    let scene = Scene::new(hurried()).await;
    scene.admit("garden", 1).await;
    let (faulty, stop) = (Arc::new(Faulty::new(scene.ledger(), Trick::RefuseEvidence)), Stop::default());
    let cut_off = async {
        faulty.tricked().await;
        stop.graceful.cancel();
        stop.now.cancel();
    };
    let (ended, ()) = tokio::join!(scene.work_on(faulty.clone(), Until::Stopped, stop.clone()), cut_off);
    assert_eq!((ended.unwrap(), scene.journals()), (WorkerExit::Stopped, 1));
    scene
}

fn stopped() -> Stop {
    let stop = Stop::default();
    stop.graceful.cancel();
    stop
}

fn refused(ended: Result<WorkerExit, WorkError>) -> String {
    let Err(WorkError::Ledger(error)) = ended else { panic!("{ended:?}") };
    error.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_adopts_journals_does_not_start_before_the_ledger_took_all_of_them() {
    let (emptied, anew) = (of_which_only_a_journal_tells().await, Scene::new(hurried()).await);
    anew.admit("garden", 1).await;
    let past = Past { adopt_journals: true, ..Past::default() };
    let options = || Options { state_dir: emptied.path("state"), past, ..anew.options(Until::Stopped) };
    // The first look for a task is lost.
    let bad_line = Arc::new(Faulty::new(anew.ledger(), Trick::Recover));
    let why = refused(anew.work_over(bad_line, options(), stopped()).await);
    assert!(why.contains("did not take everything that the adopted journals know"), "{why}");
    assert_eq!(anew.count(StateName::Queued).await, 1);
    assert_eq!(anew.work_as(options(), stopped()).await.unwrap(), WorkerExit::Stopped);
    assert_eq!(anew.count(StateName::Generating).await, 1, "its journal was kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_older_than_its_journals_is_not_worked_on_before_it_took_all_of_them() {
    let scene = of_which_only_a_journal_tells().await;
    let (copy, options) = (Arc::new(Faulty::new(scene.ledger(), Trick::Copy)), || scene.options(Until::Stopped));
    let told = reconcile(copy.as_ref(), &options()).await;
    assert!(matches!(&told, Err(WorkError::Ledger(error)) if error.to_string().contains("did not take")), "{told:?}");
    let accept = Past { accept_restored: true, ..Past::default() };
    for past in [Past::default(), accept] {
        let why = refused(scene.work_over(copy.clone(), Options { past, ..options() }, stopped()).await);
        assert!(why.contains("did not take everything that the journals know"), "{why}");
    }
    assert_eq!(scene.journals(), 1);
    assert_eq!(scene.work_as(options(), stopped()).await.unwrap(), WorkerExit::Stopped);
    assert_eq!((scene.count(StateName::Generating).await, scene.simulator.bill().await.submissions), (1, 1));
}
