//! All targets of a node.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fb_types::Clock;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::options::{By, Options};
use crate::order::{Name, Order};
use crate::queue::{Item, What};
use crate::send::{Network, Wire};
use crate::stats::TargetStats;
use crate::target::Target;
use crate::verdict::{Failure, Verdict};
use crate::worker::Lane;

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("setting up TLS for purges failed")]
pub struct SetupError(#[source] pub(crate) fb_dial::SetupError);

/// Tells targets what to drop. Dropping it ends its tasks at once; [`close`](Self::close) lets them finish.
pub struct Purger {
    lanes: Vec<Arc<Lane>>,
    closing: watch::Sender<bool>,
    /// Tokio's: whoever closes waits for the tasks.
    tasks: Mutex<JoinSet<()>>,
}

impl fmt::Debug for Purger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Purger")
            .field("targets", &self.lanes.len())
            .finish_non_exhaustive()
    }
}

impl Purger {
    /// Starts a task for each target, and tells each of them to drop everything. Needs a Tokio runtime.
    pub fn start(targets: Vec<Target>, by: By, options: Options, clock: Arc<dyn Clock>) -> Result<Self, SetupError> {
        let network = Arc::new(Network::new(clock.clone(), options.deadline, options.longest_wait)?);
        let (closing, _) = watch::channel(false);
        let lanes = targets
            .into_iter()
            .map(|target| Lane::new(target, by, options, clock.clone()));
        let lanes: Vec<_> = lanes.map(Arc::new).collect();
        let mut tasks = JoinSet::new();
        for lane in &lanes {
            tasks.spawn(lane.clone().run(network.clone(), closing.subscribe()));
        }
        Ok(Self {
            lanes,
            closing,
            tasks: Mutex::new(tasks),
        })
    }

    /// Has every target told, and returns at once. Cost: a look-up per order and target.
    pub fn push(&self, orders: &[Order]) {
        for lane in &self.lanes {
            lane.push(orders);
        }
    }

    /// Figures of each target, in the order of their start.
    pub fn stats(&self) -> Vec<TargetStats> {
        self.lanes.iter().map(|lane| lane.stats()).collect()
    }

    /// Sends what waits, for `limit` at most; then all tasks end. Gives how many names were not sent. What is pushed from now on may not be sent.
    pub async fn close(&self, limit: Duration) -> usize {
        self.closing.send_replace(true);
        let finished = async {
            let mut tasks = self.tasks.lock().await;
            while let Some(ended) = tasks.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(error = %error, "a task that sends purges had died: {error}");
                }
            }
        };
        if tokio::time::timeout(limit, finished).await.is_err() {
            self.tasks.lock().await.abort_all();
        }
        self.lanes.iter().map(|lane| lane.n_waiting()).sum()
    }
}

/// A target is not reached, or does not take purges from here. Names no secret.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct ProbeError {
    text: String,
}

/// Has `target` drop what nothing is called, to see whether it would drop something else: one request.
pub async fn probe(target: &Target, deadline: Duration, clock: Arc<dyn Clock>) -> Result<(), ProbeError> {
    let error = |failure: &Failure| {
        let source = std::error::Error::source(failure);
        let text = source.map_or_else(|| failure.to_string(), |source| format!("{failure}: {}", root(source)));
        ProbeError { text }
    };
    let setup = |setup: SetupError| ProbeError {
        text: setup.to_string(),
    };
    let now = clock.now();
    let network = Network::new(clock, deadline, Duration::ZERO).map_err(setup)?;
    let item = Item {
        since: Instant::now(),
        is_repeat: false,
    };
    let name = Name::Key("freshbase:probe".into());
    let asked = target.ask(&What::Names(vec![(name, item)]), now);
    let asked = asked.ok_or_else(|| error(&Failure::Unsayable))?;
    match network.send(target, asked).await {
        Verdict::Done => Ok(()),
        Verdict::Later { why, .. } | Verdict::Refused(why) | Verdict::Unacceptable(why) => Err(error(&why)),
    }
}

fn root<'e>(mut error: &'e (dyn std::error::Error + 'static)) -> &'e (dyn std::error::Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}
