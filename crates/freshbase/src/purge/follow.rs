//! From the node's purges to foreign caches.

use std::sync::Arc;
use std::time::Duration;

use fb_app::Apps;
use fb_edge::{Purge, PurgeLog};
use fb_purge::{Order, Purger};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::order;

/// How long what waits may take when the server stops.
const LAST_TIME: Duration = Duration::from_secs(3);

/// Follows the node's purges, which come before the acknowledgement of what they are about.
pub(crate) struct Follower {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

struct Following {
    log: Arc<PurgeLog>,
    purger: Arc<Purger>,
    apps: Arc<Apps>,
    urls: Vec<String>,
    /// The last purge that was passed on.
    at: u64,
}

impl Follower {
    /// Starts it with the first purge: `purger` has told "everything" to begin with.
    pub(crate) fn start(log: Arc<PurgeLog>, purger: Arc<Purger>, apps: Arc<Apps>, urls: Vec<String>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let following = Following {
            log,
            purger,
            apps,
            urls,
            at: 0,
        };
        Self {
            stop,
            task: tokio::spawn(following.run(stopped)),
        }
    }

    /// Passes on what there is, and waits a little until it has arrived.
    pub(crate) async fn stop(self) {
        // It is gone only if it died, which the next line says.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await {
            tracing::error!(error = %error, "foreign caches were not told of the last changes: {error}");
        }
    }
}

impl Following {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                () = self.log.news(self.at) => self.pass_on(),
                _ = &mut stopped => break,
            }
        }
        self.pass_on();
        let unsent = self.purger.close(LAST_TIME).await;
        if unsent > 0 {
            tracing::warn!(
                unsent,
                "{unsent} purges were not sent before the server stopped; the next start drops everything"
            );
        }
    }

    /// All that is new. Whoever stays behind the log for so long that it forgets begins with everything.
    fn pass_on(&mut self) {
        loop {
            let last = self.log.last();
            match self.log.after(self.at) {
                Ok((purges, _)) if purges.is_empty() => return,
                Ok((purges, at)) => {
                    self.purger.push(&self.orders(&purges));
                    self.at = at;
                }
                Err(_) => {
                    self.purger.push(&[Order::Everything]);
                    self.at = last;
                }
            }
        }
    }

    fn orders(&self, purges: &[Arc<Purge>]) -> Vec<Order> {
        let directory = self.apps.directory();
        let default = directory.default_app().map(|slot| slot.id().to_string());
        let mut orders = Vec::with_capacity(purges.len());
        for purge in purges {
            match &**purge {
                Purge::Keys(names) => {
                    orders.extend(
                        names
                            .iter()
                            .filter_map(|name| order(name, &self.urls, default.as_deref())),
                    );
                }
                // With the scheme that caches speak to the world.
                Purge::Urls(urls) => orders.extend(urls.iter().map(|url| Order::url(format!("https://{url}")))),
                Purge::All => orders.push(Order::Everything),
            }
        }
        orders
    }
}
