//! Live queries: results that keep themselves up to date. Source: protocol 08.
//!
//! The store's observer hands committed writes to [`feed`]; the task of [`worker`] matches them and puts messages into the
//! [`outlet`] of each connection, behind the answers of the requests that wrote ([`fence`]). First and renewed results are read
//! by [`read`]. Subscriptions outlive their connections for a while if they can be resumed ([`resume`]). Who is subscribed is looked at anew whenever rights change, and every ten seconds.

mod behind;
mod budget;
mod caller;
mod command;
mod connection;
mod feed;
mod fence;
mod numbers;
mod outlet;
mod read;
mod resume;
mod tell;
mod watch;
mod wish;
mod worker;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub use budget::LiveSource;
pub use caller::LiveCaller;
pub use connection::LiveConnection;
pub(crate) use feed::Feed;
pub(crate) use fence::about_to_commit;
pub use fence::{TicketSlot, WriteTicket};
pub use outlet::{LiveEnd, LiveMessage, LiveSink, LiveText, LiveWritten};
pub(crate) use watch::Watch;
pub use wish::{Events, LiveWish, Matches, Operations, Resume};

use self::budget::Accounts;
use self::command::Command;
use self::outlet::Outlets;
use self::worker::{Worker, work};
use crate::App;

/// Most subscriptions of one connection.
const PER_CONNECTION: usize = 200;
/// How often a first result is read when too much is written meanwhile.
const TRIES: usize = 5;
/// Most objects in a result without a limit.
const MAX_MEMBERS: u64 = 10_000;

/// The live queries of one app.
pub(crate) struct Live {
    feed: Arc<Feed>,
    /// Numbers of subscribers, from 1.
    numbers: AtomicU64,
    accounts: Accounts,
    /// Of all connections, by their numbers.
    outlets: Arc<Outlets>,
    /// Bytes of messages that are kept for those who resume.
    kept_bytes: Arc<AtomicUsize>,
    task: Mutex<Option<Task>>,
}

struct Task {
    commands: mpsc::UnboundedSender<Command>,
    handle: JoinHandle<()>,
}

/// Sizes, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiveStats {
    /// Subscriptions
    pub subscriptions: usize,
    /// Those of them that go on without a connection, to be resumed
    pub parked: usize,
    /// Distinct filters
    pub filters: usize,
    /// Filters that no index finds, so that they are asked about every write of their class
    pub scanned: usize,
    /// Results that are kept up to date
    pub views: usize,
    /// Objects in them
    pub objects: usize,
    /// Writes that were matched since the app is awake
    pub matched: u64,
    /// Results that were read again since the app is awake
    pub renewed: u64,
}

impl Live {
    pub(crate) fn new(feed: Arc<Feed>) -> Self {
        Self {
            feed,
            numbers: AtomicU64::new(0),
            accounts: Accounts::default(),
            outlets: Arc::default(),
            kept_bytes: Arc::default(),
            task: Mutex::new(None),
        }
    }

    fn next_number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Where commands go; begins the task with the first one.
    fn commands(&self, app: &Arc<App>) -> mpsc::UnboundedSender<Command> {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = &*task
            && !task.commands.is_closed()
        {
            return task.commands.clone();
        }
        let (commands, received) = mpsc::unbounded_channel();
        let worker = Worker::new(Arc::downgrade(app), self.feed.clone(), commands.downgrade());
        *task = Some(Task {
            commands: commands.clone(),
            handle: tokio::spawn(work(worker, received, self.outlets.clone())),
        });
        commands
    }

    /// Ends all connections.
    pub(crate) async fn close(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Task { commands, handle }) = task {
            let _ = commands.send(Command::Close);
            let _ = handle.await;
        }
    }
}

impl App {
    /// Sizes of the app's live queries; all nought if nobody ever subscribed. What was committed before is matched then.
    pub async fn live_stats(&self) -> LiveStats {
        let commands = self.live().running();
        let (to, answer) = oneshot::channel();
        match commands {
            Some(commands) if commands.send(Command::Stats(to)).is_ok() => answer.await.unwrap_or_default(),
            _ => LiveStats::default(),
        }
    }
}
