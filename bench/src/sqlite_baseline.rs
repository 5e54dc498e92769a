//! The yardstick for writing: SQLite in this process, one writer thread, group commit.
//!
//! Client threads hand their writes to the writer and wait. The writer takes all that are queued
//! into one transaction, commits with `synchronous=FULL`, and then acknowledges each of them. That
//! is the least that an honest SQLite store does per acknowledged write; no HTTP, no users, no
//! schema. The tables mirror a document store's minimum: the document, one expression index, and
//! one row of a change log per write.

use std::{
    path::Path,
    sync::{
        atomic::{AtomicU8, AtomicU64, Ordering},
        mpsc::{self, Receiver, Sender, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use hdrhistogram::Histogram;
use rusqlite::Connection;

use crate::{
    dataset::{Dataset, Rng},
    measure::{self, Sample},
    process,
};

/// Most writes that share a transaction.
const MAX_BATCH: usize = 1024;

/// What the clients do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Add an object with a new key.
    Insert,
    /// Replace the body of a random loaded object.
    Update,
}

/// A database with the loaded objects in it.
pub(crate) struct SqliteBaseline {
    connection: Connection,
    data: Dataset,
    next_insert: AtomicU64,
    rounds: u64,
}

impl SqliteBaseline {
    /// Creates the database at `path` and loads the objects of `data`.
    pub(crate) fn create(path: &Path, data: Dataset) -> Result<Self> {
        let connection = Connection::open(path).context("opening the SQLite database")?;
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 PRAGMA synchronous = FULL;
                 PRAGMA cache_size = -65536;
                 CREATE TABLE item (rowid INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, body TEXT NOT NULL);
                 CREATE INDEX item_group ON item (json_extract(body, '$.group'));
                 CREATE TABLE change (seq INTEGER PRIMARY KEY, key TEXT NOT NULL, operation INTEGER NOT NULL);",
            )
            .context("creating the tables")?;
        let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
        ensure!(mode == "wal", "SQLite refused WAL mode and uses {mode}");

        let mut baseline = Self {
            connection,
            data,
            next_insert: AtomicU64::new(data.objects),
            rounds: 0,
        };
        baseline.load().context("loading the objects")?;
        Ok(baseline)
    }

    fn load(&mut self) -> Result<()> {
        let mut writes = Vec::with_capacity(MAX_BATCH);
        for number in 0..self.data.objects {
            writes.push(Write::new(self.data, Operation::Insert, number, 0));
            if writes.len() == MAX_BATCH || number + 1 == self.data.objects {
                commit(&mut self.connection, &writes)?;
                writes.clear();
            }
        }
        Ok(())
    }

    /// Runs `operation` from `clients` threads for `warm_up` and then `measured`.
    ///
    /// The CPU figure is that of the whole process: writer, clients making bodies, and the
    /// switches between them.
    pub(crate) fn round(
        &mut self,
        operation: Operation,
        clients: usize,
        warm_up: Duration,
        measured: Duration,
    ) -> Result<Sample> {
        self.rounds += 1;
        let seed = self.data.seed + self.rounds * 1000;
        let phase = AtomicU8::new(WARM_UP);
        let (queue, jobs) = mpsc::channel();
        let (data, next_insert, connection) = (self.data, &self.next_insert, &mut self.connection);

        thread::scope(|scope| {
            let writer = scope.spawn(move || write_until_hung_up(connection, jobs));
            let phase = &phase;
            let clients: Vec<_> = (0..clients as u64)
                .map(|index| {
                    let client = Client {
                        operation,
                        data,
                        next_insert,
                        rng: Rng::new(seed + index),
                        queue: queue.clone(),
                        phase,
                    };
                    scope.spawn(move || client.run())
                })
                .collect();
            drop(queue);

            thread::sleep(warm_up);
            let cpu_before = process::own_process_cpu_time();
            let since = Instant::now();
            phase.store(MEASURING, Ordering::Relaxed);
            thread::sleep(measured);
            phase.store(DONE, Ordering::Relaxed);
            let elapsed = since.elapsed();
            let cpu = process::own_process_cpu_time().saturating_sub(cpu_before);

            let mut latency = measure::new_histogram();
            for client in clients {
                let of_client = client.join().map_err(|_| anyhow!("a client thread panicked"))?;
                latency.add(of_client).context("adding up the latencies")?;
            }
            writer.join().map_err(|_| anyhow!("the writer thread panicked"))??;
            Sample::new(latency.len(), elapsed, cpu, &latency)
        })
    }
}

const WARM_UP: u8 = 0;
const MEASURING: u8 = 1;
const DONE: u8 = 2;

/// One row to write.
struct Write {
    operation: Operation,
    key: String,
    body: String,
}

impl Write {
    fn new(data: Dataset, operation: Operation, number: u64, revision: u64) -> Self {
        let mut write = Self {
            operation,
            key: String::with_capacity(16),
            body: String::with_capacity(256),
        };
        data.write_key(number, &mut write.key);
        data.write_object(number, revision, &mut write.body);
        write
    }
}

/// A write and where to acknowledge it.
struct Job {
    write: Write,
    done: SyncSender<()>,
}

struct Client<'a> {
    operation: Operation,
    data: Dataset,
    next_insert: &'a AtomicU64,
    rng: Rng,
    queue: Sender<Job>,
    phase: &'a AtomicU8,
}

impl Client<'_> {
    fn run(mut self) -> Histogram<u64> {
        let mut latency = measure::new_histogram();
        let (done, acknowledged) = mpsc::sync_channel(1);
        let mut revision = 0;
        while self.phase.load(Ordering::Relaxed) != DONE {
            let number = match self.operation {
                Operation::Insert => self.next_insert.fetch_add(1, Ordering::Relaxed),
                Operation::Update => self.rng.below(self.data.objects),
            };
            revision += 1;
            let write = Write::new(self.data, self.operation, number, revision);
            let sent_at = Instant::now();
            let job = Job {
                write,
                done: done.clone(),
            };
            // Both fail only when the writer has failed, which reports the reason.
            if self.queue.send(job).is_err() || !wait(&acknowledged) {
                break;
            }
            if self.phase.load(Ordering::Relaxed) == MEASURING {
                measure::record(&mut latency, sent_at.elapsed());
            }
        }
        latency
    }
}

/// Waits for an acknowledgement. This thread holds a sender of the channel itself, so a writer
/// that is gone does not close it; the time limit notices.
fn wait(acknowledged: &Receiver<()>) -> bool {
    acknowledged.recv_timeout(Duration::from_secs(30)).is_ok()
}

/// Takes the receiving end, so that clients notice a writer that failed.
fn write_until_hung_up(connection: &mut Connection, jobs: Receiver<Job>) -> Result<()> {
    let mut writes = Vec::with_capacity(MAX_BATCH);
    let mut waiting = Vec::with_capacity(MAX_BATCH);
    while let Ok(first) = jobs.recv() {
        for job in std::iter::once(first).chain(jobs.try_iter()).take(MAX_BATCH) {
            writes.push(job.write);
            waiting.push(job.done);
        }
        commit(connection, &writes)?;
        writes.clear();
        for done in waiting.drain(..) {
            // A client that left needs no acknowledgement.
            let _ = done.send(());
        }
    }
    Ok(())
}

fn commit(connection: &mut Connection, writes: &[Write]) -> Result<()> {
    let transaction = connection.transaction().context("beginning a transaction")?;
    {
        let mut insert = transaction.prepare_cached("INSERT INTO item (key, body) VALUES (?1, ?2)")?;
        let mut update = transaction.prepare_cached("UPDATE item SET body = ?2 WHERE key = ?1")?;
        let mut log = transaction.prepare_cached("INSERT INTO change (key, operation) VALUES (?1, ?2)")?;
        for Write { operation, key, body } in writes {
            let (statement, code) = match operation {
                Operation::Insert => (&mut insert, 1),
                Operation::Update => (&mut update, 2),
            };
            let rows = statement.execute((key, body)).context("writing an object")?;
            ensure!(rows == 1, "a write changed {rows} rows");
            log.execute((key, code)).context("writing the change log")?;
        }
    }
    transaction.commit().context("committing")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATA: Dataset = Dataset { seed: 1, objects: 100 };

    fn rows(baseline: &SqliteBaseline, table: &str) -> i64 {
        let count = format!("SELECT count(*) FROM {table}");
        baseline.connection.query_row(&count, [], |row| row.get(0)).unwrap()
    }

    fn round(baseline: &mut SqliteBaseline, operation: Operation) -> Sample {
        baseline
            .round(operation, 8, Duration::ZERO, Duration::from_millis(200))
            .unwrap()
    }

    #[test]
    fn inserts_add_rows_and_updates_do_not_and_both_are_logged() {
        let dir = tempfile::tempdir().unwrap();
        let mut baseline = SqliteBaseline::create(&dir.path().join("db"), DATA).unwrap();
        assert_eq!((rows(&baseline, "item"), rows(&baseline, "change")), (100, 100));

        let sample = round(&mut baseline, Operation::Insert);
        let after_inserts = rows(&baseline, "item");
        let reported = sample.ops_per_second * 0.2;
        assert!(
            reported > 0.0 && (after_inserts - 100) as f64 >= reported,
            "{reported} of {after_inserts}"
        );
        assert_eq!(rows(&baseline, "change"), after_inserts);

        round(&mut baseline, Operation::Update);
        assert_eq!(rows(&baseline, "item"), after_inserts);
        assert!(rows(&baseline, "change") > after_inserts);
    }

    #[test]
    fn commits_wait_for_the_disk() {
        let dir = tempfile::tempdir().unwrap();
        let baseline = SqliteBaseline::create(&dir.path().join("db"), DATA).unwrap();
        let synchronous: i64 = baseline
            .connection
            .query_row("PRAGMA synchronous", [], |row| row.get(0))
            .unwrap();
        assert_eq!(synchronous, 2, "FULL");
    }
}
