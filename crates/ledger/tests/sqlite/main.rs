//! What only the ledger in a file does: its clock is this machine's, and that one may be wrong.
#![expect(clippy::unwrap_used, reason = "a case that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use veobatch_core::{
    BatchId, Credits, JobId, Lane, Record, Spec, State, Task, TaskId, TimeRange, Timestamp, Token, millis,
};
use veobatch_ledger::{
    AccountUpdate, Admission, BatchUpdate, Blocked, Claimed, DailyBudget, Day, Ledger, NewJob, Nonce, PriceList, Put,
    SqliteLedger, SubmissionClaim,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const NEARLY_AN_HOUR: Duration = Duration::from_secs(3540);
const PRICE: Credits = Credits::whole(60);

/// What the machine's clock says.
fn wall() -> Timestamp {
    #[expect(clippy::disallowed_methods, reason = "the case's own clock")]
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    Timestamp::from_millis(0) + now
}

fn before(at: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(at.as_millis() - millis(by))
}

/// The ledger as a process sees it whose clock is so far ahead.
async fn opened(path: &Path, ahead: Duration) -> SqliteLedger {
    SqliteLedger::open_with(path, Arc::new(move || wall() + ahead)).await.unwrap()
}

fn night() -> BatchId {
    BatchId::parse("night").unwrap()
}

async fn admit(ledger: &SqliteLedger, count: usize) {
    let admission = Admission::random();
    let jobs: Vec<NewJob> =
        (0..count).map(|n| NewJob { id: JobId::parse(&format!("a{n}")).unwrap(), spec: Spec::default() }).collect();
    ledger.stage(&admission, &night(), &jobs).await.unwrap();
    ledger.publish(&admission, &[night()], None).await.unwrap();
    let rate = Some((1000, Duration::from_secs(1)));
    ledger.update_account(&AccountUpdate { rate, ..AccountUpdate::default() }).await.unwrap();
}

/// Asks until there is an answer.
async fn until<T>(mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), asking).await.unwrap()
}

async fn claim(ledger: &SqliteLedger) -> SubmissionClaim {
    until(async || {
        let token = Token::from_bits(Nonce::random().0.into());
        match ledger.claim_submission(&token, None, MINUTE, MINUTE).await.unwrap() {
            SubmissionClaim::Wait { why: Blocked::Slot, .. } => None,
            claim @ (SubmissionClaim::Granted(_) | SubmissionClaim::Wait { .. }) => Some(claim),
        }
    })
    .await
}

async fn submission(ledger: &SqliteLedger) -> Claimed {
    match claim(ledger).await {
        SubmissionClaim::Granted(claimed) => *claimed,
        wait @ SubmissionClaim::Wait { .. } => panic!("{wait:?}"),
    }
}

async fn hindrance(ledger: &SqliteLedger) -> (Blocked, Option<Timestamp>) {
    match claim(ledger).await {
        SubmissionClaim::Wait { why, until, .. } => (why, until),
        SubmissionClaim::Granted(claimed) => panic!("{claimed:?}"),
    }
}

async fn put(ledger: &SqliteLedger, claimed: &Claimed, record: Record) {
    let put = Put {
        job: claimed.stored.job,
        version: claimed.stored.version,
        fence: Some(claimed.lease.fence.clone()),
        nonce: Nonce::random(),
        body: record.body(),
        facets: record.facets(),
        task: None,
        settle: None,
        spec: None,
    };
    ledger.put(&put).await.unwrap();
}

fn generating(claimed: &Claimed, due: Timestamp) -> Record {
    let task = Task { id: TaskId::parse("task").unwrap(), attempt: 1, at: claimed.stored.now };
    let state = State::Generating { task, polls: 0, misses: 0, due, called: false };
    Record { state, ..claimed.stored.record.clone() }
}

#[tokio::test]
async fn after_one_start_with_a_clock_ahead_time_goes_on_and_paid_work_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    {
        let wrong = opened(&path, 2 * HOUR).await;
        admit(&wrong, 2).await;
        let claimed = submission(&wrong).await;
        // Due after the clock is corrected.
        put(&wrong, &claimed, generating(&claimed, claimed.stored.now + Duration::from_millis(300))).await;
    }
    let ledger = opened(&path, Duration::ZERO).await;
    let begun = ledger.info().await.unwrap().now;
    assert!(begun >= wall() + HOUR + NEARLY_AN_HOUR, "never back: {begun}");
    let polled = until(async || ledger.claim(Lane::Follow, 1, MINUTE).await.unwrap().0.pop()).await;
    assert!(polled.stored.now > begun && polled.stored.now < begun + MINUTE, "{begun} {}", polled.stored.now);
    let account = ledger.account(0).await.unwrap();
    let ahead = account.now.since(account.calendar);
    assert!(ahead > HOUR + NEARLY_AN_HOUR && ahead <= 2 * HOUR, "{ahead:?}");
    assert!(wall().since(account.calendar) < MINUTE, "{}", account.calendar);

    // Another process sees the same time, though this one has changed nothing since.
    let other = opened(&path, Duration::ZERO).await;
    until(async || {
        ledger.claim(Lane::Save, 1, MINUTE).await.unwrap();
        (other.account(0).await.unwrap().now > begun).then_some(())
    })
    .await;
}

#[tokio::test]
async fn windows_follow_the_wall_clock_while_it_is_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    admit(&opened(&path, 2 * HOUR).await, 2).await;
    let ledger = opened(&path, Duration::ZERO).await;
    let arrange = async |from: Timestamp, until: Timestamp| {
        let range = Some(TimeRange { from, until });
        ledger.update_batch(&night(), &BatchUpdate { range, ..BatchUpdate::default() }).await.unwrap();
    };
    // By the ledger's own time this one is over, and the next one is open.
    let now = wall();
    arrange(before(now, HOUR), now + HOUR).await;
    submission(&ledger).await;
    arrange(now + HOUR, now + 3 * HOUR).await;
    let (why, Some(opens)) = hindrance(&ledger).await else { panic!("it says until when") };
    assert_eq!(why, Blocked::Window);
    let wait = opens.since(ledger.info().await.unwrap().now);
    assert!(wait > NEARLY_AN_HOUR && wait <= HOUR, "{wait:?}");
}

#[tokio::test]
async fn days_follow_the_wall_clock_while_it_is_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.db");
    let wrong = opened(&path, 2 * HOUR).await;
    admit(&wrong, 4).await;
    let by_class = vec![(Spec::default().price_class(), PRICE)];
    let prices = Some(PriceList { by_class, asked: true });
    let daily = Some(Some(DailyBudget { credits: PRICE.times(1), zone: "UTC".into() }));
    wrong.update_account(&AccountUpdate { prices, daily, ..AccountUpdate::default() }).await.unwrap();
    drop(wrong);

    let ledger = opened(&path, Duration::ZERO).await;
    let begin = async |from: Timestamp, until: Timestamp| {
        let day = Some(Day { zone: "UTC".into(), range: TimeRange { from, until } });
        ledger.update_account(&AccountUpdate { day, ..AccountUpdate::default() }).await.unwrap();
        ledger.account(0).await.unwrap().daily.unwrap()
    };
    // By the ledger's own time it would be over.
    let (now, end) = (wall(), wall() + HOUR);
    begin(before(now, HOUR), end).await;
    let claimed = submission(&ledger).await;
    let (why, Some(over)) = hindrance(&ledger).await else { panic!("it says until when") };
    assert_eq!((why, ledger.account(0).await.unwrap().daily.unwrap().spent), (Blocked::Budget, PRICE));
    assert!(over.since(ledger.info().await.unwrap().now) > NEARLY_AN_HOUR);
    assert_eq!(begin(end, end + HOUR).await.day.until, end, "the next one does not begin before this one is over");
    // What comes back comes back to this day.
    let Record { credits, .. } = claimed.stored.record;
    let refused = Record {
        state: State::Queued { due: None },
        credits: credits.saturating_sub(PRICE),
        ..claimed.stored.record.clone()
    };
    put(&ledger, &claimed, refused).await;
    assert_eq!(ledger.account(0).await.unwrap().daily.unwrap().spent, Credits::default());
    submission(&ledger).await;
}
