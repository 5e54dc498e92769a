//! What is written down of copies, so that a restart is not a day of distrust.
//!
//! The records of one moment are one record of the store, which goes when the last of its copies has ended. With them is
//! the position of the feed that all of these copies are younger than, so that who starts again knows which changes may have made them
//! outdated. Times on disk are of the wall clock.

use std::time::Duration;

use fb_sketch::{KeyHash, Kind, Moment, Record};
use fb_store::{Expect, RecordWrite, Store, Write};
use fb_types::{Clock, Timestamp};
use serde::{Deserialize, Serialize};

use crate::AppError;
use crate::accounts::record;

const SPACE: &str = "caching";
const STATE: &str = "state";
const DOUBT: &str = "doubt";
const COPIES: &str = "copies";
const RESULTS: &str = "results";

/// Copies in one record of the store, 16 bytes each.
const BATCH: usize = 4096;
/// Records that are read at once.
const PAGE: usize = 64;

/// What is known of the processes that handed out copies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// When the app was registered. A backup that became another app knows nothing of the copies of that one.
    pub(super) app: i64,
    /// Longest life of a copy of which nothing was written down, in milliseconds.
    pub(super) unlogged: u64,
    /// When the last process stopped in good order; none while one is at work.
    pub(super) stopped: Option<i64>,
}

/// What was read of an earlier process.
pub(super) struct Journal {
    pub(super) records: Vec<Record>,
    /// Changes behind this one may have made copies outdated.
    pub(super) since: u64,
    /// When it was written last, by the wall clock.
    pub(super) written: i64,
}

/// Wall clock and steady clock at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    wall: i64,
    steady: Moment,
}

impl Times {
    pub(super) fn of(clock: &dyn Clock) -> Self {
        // The steady clock first: ends are a little later on disk than they are, never earlier.
        let steady = Moment::from_micros(clock.steady_micros());
        Self {
            wall: clock.now().millis(),
            steady,
        }
    }

    pub(super) fn now(self) -> Moment {
        self.steady
    }

    pub(super) fn wall(self) -> i64 {
        self.wall
    }

    /// Milliseconds of the wall clock, rounded up.
    pub(super) fn wall_of(self, moment: Moment) -> i64 {
        let left = moment.since(self.steady).as_micros().div_ceil(1000);
        self.wall.saturating_add(i64::try_from(left).unwrap_or(i64::MAX))
    }

    /// `None` if it has passed.
    pub(super) fn moment_of(self, millis: i64) -> Option<Moment> {
        let left = u64::try_from(millis.saturating_sub(self.wall)).ok()?;
        (left > 0).then(|| self.steady + Duration::from_millis(left))
    }
}

fn unreadable(error: impl Into<fb_store::BoxError>) -> AppError {
    AppError::internal("reading what is known of copies", error)
}

pub(super) async fn state(store: &dyn Store) -> Result<Option<State>, AppError> {
    let found = store.record(SPACE, STATE).await?;
    found
        .map(|bytes| serde_json::from_slice(&bytes).map_err(unreadable))
        .transpose()
}

pub(super) fn put_state(state: &State) -> Result<Write, AppError> {
    let text = serde_json::to_vec(state).map_err(|e| AppError::internal("writing what is known of copies", e))?;
    Ok(record(SPACE, STATE, Expect::Anything, Some(&text)))
}

/// Until when nothing may be taken from a cache unasked, whatever else is known.
pub(super) async fn doubt(store: &dyn Store) -> Result<Option<i64>, AppError> {
    let found = store.record(SPACE, DOUBT).await?;
    let parse = |bytes: Vec<u8>| <[u8; 8]>::try_from(bytes).map(i64::from_be_bytes);
    found
        .map(parse)
        .transpose()
        .map_err(|_| unreadable("a doubt has eight bytes"))
}

pub(super) fn put_doubt(until: i64) -> Write {
    expiring(DOUBT.to_owned(), until.to_be_bytes().to_vec(), until, SPACE)
}

fn expiring(key: String, value: Vec<u8>, until: i64, space: &'static str) -> Write {
    Write::Record(RecordWrite {
        space,
        key,
        expect: Expect::Anything,
        value: Some(value),
        expires_at: Some(Timestamp::from_millis(until)),
    })
}

/// Writes of all these records. `number` makes the names of their places, from which it moves on.
pub(super) fn put_copies(records: &[Record], since: u64, times: Times, boot: u64, number: &mut u64) -> Vec<Write> {
    let mut writes = Vec::new();
    for (kind, space) in SPACES {
        let records: Vec<&Record> = records.iter().filter(|record| record.kind == kind).collect();
        writes.extend(
            records
                .chunks(BATCH)
                .map(|batch| batch_of(space, batch, since, times, boot, number)),
        );
    }
    writes
}

/// The space for copies of each kind.
const SPACES: [(Kind, &str); 2] = [(Kind::Object, COPIES), (Kind::Query, RESULTS)];

fn batch_of(space: &'static str, batch: &[&Record], since: u64, times: Times, boot: u64, number: &mut u64) -> Write {
    let mut value = Vec::with_capacity(16 * (batch.len() + 1));
    value.extend_from_slice(&since.to_be_bytes());
    value.extend_from_slice(&times.wall.to_be_bytes());
    let mut last = times.wall;
    for record in batch {
        let until = times.wall_of(record.until);
        last = last.max(until);
        value.extend_from_slice(&record.key.to_bits().to_be_bytes());
        value.extend_from_slice(&until.to_be_bytes());
    }
    *number += 1;
    expiring(format!("{boot:016x}{number:012x}"), value, last, space)
}

/// Everything that is written down and has not ended.
pub(super) async fn copies(store: &dyn Store, times: Times) -> Result<Journal, AppError> {
    let mut journal = Journal {
        records: Vec::new(),
        since: u64::MAX,
        written: i64::MIN,
    };
    for (kind, space) in SPACES {
        read_copies(store, times, (kind, space), &mut journal).await?;
    }
    Ok(journal)
}

async fn read_copies(
    store: &dyn Store,
    times: Times,
    (kind, space): (Kind, &str),
    journal: &mut Journal,
) -> Result<(), AppError> {
    let mut after: Option<String> = None;
    loop {
        let page = store.records(space, after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE;
        for (key, value) in page {
            let (numbers, rest) = value.as_chunks::<8>();
            let [since, written, copies @ ..] = numbers else {
                return Err(unreadable("a batch of copies ends too early"));
            };
            let (copies, odd) = copies.as_chunks::<2>();
            if !rest.is_empty() || !odd.is_empty() {
                return Err(unreadable("a batch of copies ends too early"));
            }
            journal.since = journal.since.min(u64::from_be_bytes(*since));
            journal.written = journal.written.max(i64::from_be_bytes(*written));
            for [key, until] in copies {
                if let Some(until) = times.moment_of(i64::from_be_bytes(*until)) {
                    let key = KeyHash::from_bits(u64::from_be_bytes(*key));
                    journal.records.push(Record { key, kind, until });
                }
            }
            after = Some(key);
        }
        if is_last {
            return Ok(());
        }
    }
}
