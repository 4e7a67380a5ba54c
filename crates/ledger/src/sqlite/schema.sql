-- Everything that a file holds. Run at every opening: what an older file has not is made. Times are ms of the ledger's clock,
-- amounts thousandths of a credit. Numbers of states and lanes: `row.rs`. Notes on columns stand above their table, since its own text is kept
-- in every file. The older words stay in names here, where a change would need a step of the format: `tally` counts, `level` and
-- `turn` are virtual time, `flying` and `flight` are in flight, `asleep` is outside of its window, `short` over its budget.

-- One row: clock, binding, pace, gate, allowance, round trips, daily budget, jobs in flight. Written by every change.
--   tat: µs; the next slot by spacing
--   gate_until: NULL: open
--   low: the lowered allowance
--   idle: why no slot is used
--   idle_from: µs
--   fast: the fastest answers
--   priced: a person named the prices
CREATE TABLE IF NOT EXISTS account (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    ledger_time INTEGER NOT NULL DEFAULT 0,
    salt BLOB NOT NULL,
    api_base TEXT,
    fingerprint TEXT,
    submissions INTEGER NOT NULL,
    per INTEGER NOT NULL,
    cap INTEGER NOT NULL,
    tat INTEGER NOT NULL DEFAULT 0,
    flying INTEGER NOT NULL DEFAULT 0,
    troubles INTEGER NOT NULL DEFAULT 0,
    gate_until INTEGER,
    gate_why TEXT,
    gate_credits INTEGER NOT NULL DEFAULT 0,
    gate_closings INTEGER NOT NULL DEFAULT 0,
    probe TEXT,
    probe_until INTEGER NOT NULL DEFAULT 0,
    low REAL,
    low_since INTEGER NOT NULL DEFAULT 0,
    peak REAL NOT NULL DEFAULT 0,
    idle TEXT,
    idle_from INTEGER NOT NULL DEFAULT 0,
    fast INTEGER,
    fast_n INTEGER NOT NULL DEFAULT 0,
    fast_was INTEGER,
    priced INTEGER NOT NULL DEFAULT 0,
    daily INTEGER,
    zone TEXT,
    day_from INTEGER NOT NULL DEFAULT 0,
    day_until INTEGER NOT NULL DEFAULT 0,
    day_spent INTEGER NOT NULL DEFAULT 0
) STRICT;
-- Until when no submission takes a slot, as an upgrade waits for one. Gone as the upgrade takes it.
CREATE TABLE IF NOT EXISTS upgrade_turn (one INTEGER PRIMARY KEY CHECK (one = 1), until INTEGER NOT NULL) STRICT;
-- A submission and the upper bound of its arrival: made by claims, lowered by `put`, gone a minute after it stopped mattering.
CREATE TABLE IF NOT EXISTS arrival (id INTEGER PRIMARY KEY, token TEXT NOT NULL UNIQUE, bound INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS arrival_bound ON arrival (bound);
-- What became of the slots of an hour, by reason. Gone after three days.
CREATE TABLE IF NOT EXISTS slot (hour INTEGER, why TEXT, n REAL NOT NULL, PRIMARY KEY (hour, why)) STRICT, WITHOUT ROWID;
-- Polls per second (NULL: as the cap needs them), and until when they are used up, in µs. One row.
CREATE TABLE IF NOT EXISTS polls (one INTEGER PRIMARY KEY CHECK (one = 1), rate INTEGER, used INTEGER NOT NULL DEFAULT 0) STRICT;
-- What submissions of a class are expected to cost, and the jobs that wait for a price.
CREATE TABLE IF NOT EXISTS price (class TEXT PRIMARY KEY, credits INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unpriced (job INTEGER PRIMARY KEY) STRICT;
-- Hints by kind and name: text that the ledger does not understand.
CREATE TABLE IF NOT EXISTS hint (kind TEXT, name TEXT, at INTEGER NOT NULL, text TEXT NOT NULL, PRIMARY KEY (kind, name))
    STRICT, WITHOUT ROWID;
-- The ledger's id, and how many submissions it has granted. One row, for good.
CREATE TABLE IF NOT EXISTS lineage (one INTEGER PRIMARY KEY CHECK (one = 1), id TEXT, grants INTEGER NOT NULL DEFAULT 0) STRICT;
-- How often the ledger was changed and when last (the stamp of an export); where its jobs were moved; the import that it is the
-- target of, how many entries that has added, and whether it is a copy. One row.
CREATE TABLE IF NOT EXISTS transfer (one INTEGER PRIMARY KEY CHECK (one = 1), changes INTEGER NOT NULL DEFAULT 0,
    at INTEGER NOT NULL DEFAULT 0, moved TEXT, import TEXT, added INTEGER NOT NULL DEFAULT 0, copy INTEGER NOT NULL DEFAULT 0) STRICT;

-- A batch, its flags, settings and credits, its turn, and the admission that stages into it. Jobs below `shown` are published,
-- those up to `next` are staged. Gone with `abandon` if nothing was published, or cleared away once it was forgotten: until then
-- it has a name that no file can have, and `forgotten` says how far the table `task` was looked through for it.
CREATE TABLE IF NOT EXISTS batch (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    folded TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    created INTEGER NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    paused_because TEXT,
    cancelling INTEGER NOT NULL DEFAULT 0,
    next INTEGER NOT NULL DEFAULT 0,
    shown INTEGER NOT NULL DEFAULT 0,
    published TEXT,
    forgotten TEXT,
    admission TEXT,
    progress INTEGER NOT NULL DEFAULT 0,
    ready INTEGER NOT NULL DEFAULT 0,
    vt INTEGER NOT NULL DEFAULT 0,
    weight INTEGER NOT NULL DEFAULT 1,
    priority INTEGER NOT NULL DEFAULT 0,
    schedule TEXT NOT NULL DEFAULT '',
    opens INTEGER NOT NULL DEFAULT 0,
    closes INTEGER NOT NULL DEFAULT 9007199254740991,
    budget INTEGER,
    credits INTEGER NOT NULL DEFAULT 0,
    asleep INTEGER NOT NULL DEFAULT 0,
    short INTEGER NOT NULL DEFAULT 0,
    turn INTEGER AS (CASE WHEN ready > 0 AND paused = 0 AND cancelling = 0 AND asleep = 0 AND short = 0
        THEN vt - (priority << 49) END) VIRTUAL
) STRICT;
CREATE INDEX IF NOT EXISTS batch_asleep ON batch (opens) WHERE asleep = 1;
CREATE INDEX IF NOT EXISTS batch_short ON batch (id) WHERE short = 1;
CREATE INDEX IF NOT EXISTS batch_forgotten ON batch (id) WHERE forgotten IS NOT NULL;
CREATE INDEX IF NOT EXISTS batch_turn ON batch (turn) WHERE turn IS NOT NULL;
-- The virtual time that the batches of a priority have come to.
CREATE TABLE IF NOT EXISTS level (priority INTEGER PRIMARY KEY, turn INTEGER NOT NULL) STRICT;
-- How many jobs of a batch are in a state. Changes with every change of a job.
CREATE TABLE IF NOT EXISTS tally (batch INTEGER, state INTEGER, n INTEGER NOT NULL, PRIMARY KEY (batch, state)) STRICT, WITHOUT ROWID;
-- Published batches that are not at rest, and those that are, since when.
CREATE TABLE IF NOT EXISTS live (batch INTEGER PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS rest (batch INTEGER PRIMARY KEY, since INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS rest_since ON rest (since);
-- Admissions that were taken for dead, so that they cannot go on half-way. Never gone: one short row for each.
CREATE TABLE IF NOT EXISTS dropped (admission TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
-- Second names of jobs that were brought from format 1; and how many compact jobs of a batch may be lines without an id, whose
-- names are not known any more.
CREATE TABLE IF NOT EXISTS alias (batch INTEGER, name TEXT, job INTEGER NOT NULL, PRIMARY KEY (batch, name)) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS unsure (batch INTEGER PRIMARY KEY, jobs INTEGER NOT NULL) STRICT;

-- Where a job is, its lease, its body. Gone with its batch, or with the admission that staged it.
--   id: batch's number << 32 | sequence: a batch is a range in file order
--   rank: orders the queued ones
--   due: in its lane; of a leased one when its lease ends
--   flight: until when it counts towards the cap
--   writer: token, at, writer: the intent, and the fence of the claim that made it
--   folded: NULL: as `name`
--   digest: of the content, in place of a spec that was dropped
--   compact: finished, with a short body
--   body: NULL: nobody has touched it
CREATE TABLE IF NOT EXISTS job (
    id INTEGER PRIMARY KEY,
    batch INTEGER NOT NULL,
    state INTEGER NOT NULL,
    rank INTEGER,
    lane INTEGER,
    due INTEGER,
    version INTEGER NOT NULL DEFAULT 0,
    fence INTEGER,
    deliveries INTEGER NOT NULL DEFAULT 0,
    flight INTEGER,
    nonce INTEGER,
    writer INTEGER,
    token TEXT,
    at INTEGER,
    folded TEXT,
    name TEXT NOT NULL,
    digest BLOB,
    compact INTEGER NOT NULL DEFAULT 0,
    credits INTEGER NOT NULL DEFAULT 0,
    body BLOB
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS job_name ON job (batch, ifnull(folded, name));
CREATE INDEX IF NOT EXISTS job_state ON job (state);
CREATE INDEX IF NOT EXISTS job_whole ON job (batch) WHERE state = 5 AND compact = 0;
CREATE INDEX IF NOT EXISTS job_beside ON job (batch) WHERE lane IS NOT NULL AND state IN (5, 6, 8);
CREATE INDEX IF NOT EXISTS job_ready ON job (batch, rank) WHERE rank IS NOT NULL AND lane IS NULL;
CREATE INDEX IF NOT EXISTS job_due ON job (lane, due) WHERE lane IS NOT NULL;
CREATE INDEX IF NOT EXISTS job_flight ON job (flight) WHERE flight IS NOT NULL;
CREATE UNIQUE INDEX IF NOT EXISTS job_token ON job (token) WHERE token IS NOT NULL;
-- What was asked for: the content, and in a second line how to work at it, if the file says so. Dropped by `compact`.
CREATE TABLE IF NOT EXISTS spec (job INTEGER PRIMARY KEY, spec BLOB NOT NULL, class TEXT NOT NULL) STRICT;
-- A task (or its digest, if it was imported) and the job that it belongs to.
CREATE TABLE IF NOT EXISTS task (task TEXT PRIMARY KEY, job INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- A job that a program could not read, since when, and why. Gone when a program that can read it stores or lists it.
CREATE TABLE IF NOT EXISTS unreadable (job INTEGER PRIMARY KEY, since INTEGER NOT NULL, why TEXT NOT NULL) STRICT;
