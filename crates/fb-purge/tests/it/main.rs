//! Targets as they are: a real Varnish, and imitations of services that keep to their documentation.

#![expect(
    clippy::unwrap_used,
    reason = "what is unexpected fails the test, in its helpers as well"
)]

mod poisoning;
mod services;
mod varnish;

use std::sync::Arc;
use std::time::Duration;

use fb_purge::{By, Options, Purger, Target, TargetStats};
use fb_types::SystemClock;

/// Times that no test waits for in vain.
fn quick() -> Options {
    Options {
        gather: Duration::from_millis(1),
        first_pause: Duration::from_millis(5),
        last_pause: Duration::from_millis(40),
        repeat: None,
        ..Options::default()
    }
}

/// What tells one target, on a runtime of its own.
struct Teller {
    runtime: tokio::runtime::Runtime,
    purger: Purger,
}

impl Teller {
    /// Starts it; "everything" has not been told yet.
    fn start(target: Target, by: By, options: Options) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let start = async { Purger::start(vec![target], by, options, Arc::new(SystemClock)) };
        let purger = runtime.block_on(start).unwrap();
        Self { runtime, purger }
    }

    /// The same once "everything" has been told.
    fn begun(target: Target, by: By, options: Options) -> Self {
        let teller = Self::start(target, by, options);
        teller.wait("the beginning", |stats| stats.everything > 0);
        teller
    }

    fn push(&self, orders: &[fb_purge::Order]) {
        self.purger.push(orders);
    }

    fn keys(&self, keys: &[&str]) {
        let orders: Vec<_> = keys.iter().map(|key| fb_purge::Order::key(*key)).collect();
        self.push(&orders);
    }

    fn stats(&self) -> TargetStats {
        self.purger.stats().remove(0)
    }

    fn wait(&self, what: &str, is_so: impl Fn(&TargetStats) -> bool) -> TargetStats {
        fb_testkit::wait_for(what, || Some(self.stats()).filter(&is_so))
    }

    /// Tells these keys and waits until they are gone.
    fn purge(&self, keys: &[&str]) {
        let before = self.stats().sent;
        self.keys(keys);
        self.wait("purges", |stats| stats.sent >= before + keys.len() as u64);
    }

    fn close(&self, limit: Duration) -> usize {
        self.runtime.block_on(self.purger.close(limit))
    }
}
