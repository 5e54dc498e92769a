//! Who is connected for live queries: how many of an app, how many from an address, and one word to end them all.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fb_app::{App, LiveSource};
use tokio::sync::watch;

use crate::codes;
use crate::error::ApiError;
use crate::server::HttpLimits;

/// How a client is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    WebSocket,
    Stream,
}

/// All places of the node.
pub(crate) struct Places {
    taken: Mutex<Taken>,
    /// Of them all; the rest of the server's connections is for requests.
    most: usize,
    per_app: usize,
    per_address: usize,
    stopping: watch::Sender<bool>,
    /// Messages that were handed to connections.
    pub(crate) sent: AtomicU64,
}

#[derive(Default)]
struct Taken {
    /// WebSockets and streams, by app.
    apps: HashMap<Arc<str>, [usize; 2]>,
    addresses: HashMap<IpAddr, usize>,
    n: usize,
}

/// One client's place. Dropping it gives it back.
pub(crate) struct Place {
    places: Arc<Places>,
    app: Arc<str>,
    address: IpAddr,
    kind: Kind,
    stopping: watch::Receiver<bool>,
}

impl Places {
    pub(crate) fn new(limits: &HttpLimits) -> Self {
        Self {
            taken: Mutex::default(),
            most: (limits.connections / 2).max(1),
            per_app: limits.live_per_app,
            per_address: limits.live_per_address,
            stopping: watch::channel(false).0,
            sent: AtomicU64::new(0),
        }
    }

    /// A place for a client of the app at this address. Errors: 429 if the address has too many, 503 if the app or the server
    /// has.
    pub(crate) fn take(self: &Arc<Self>, app: &App, address: IpAddr, kind: Kind) -> Result<Place, ApiError> {
        let address = network(address);
        let app: Arc<str> = app.id().as_str().into();
        let mut taken = self.taken();
        if taken.addresses.get(&address).copied().unwrap_or(0) >= self.per_address {
            let text = "Too many clients of live queries come from this address; close some of them.";
            return Err(ApiError::new(codes::TOO_MANY_SUBSCRIPTIONS, text));
        }
        let of_app = taken.apps.get(&app).map_or(0, |counts| counts.iter().sum());
        if of_app >= self.per_app {
            let text = "Too many clients of live queries are connected to this app; try again later.";
            return Err(ApiError::new(codes::UNAVAILABLE, text).with(http::header::RETRY_AFTER, "10"));
        }
        if taken.n >= self.most {
            let text = "Too many clients of live queries are connected to this server; try again later.";
            return Err(ApiError::new(codes::UNAVAILABLE, text).with(http::header::RETRY_AFTER, "10"));
        }
        taken.n += 1;
        *taken.addresses.entry(address).or_default() += 1;
        taken.apps.entry(app.clone()).or_default()[kind as usize] += 1;
        drop(taken);
        Ok(Place {
            places: self.clone(),
            app,
            address,
            kind,
            stopping: self.stopping.subscribe(),
        })
    }

    /// Ends all of them, and comes back when they are gone.
    pub(crate) async fn stop(&self) {
        self.stopping.send_replace(true);
        self.stopping.closed().await;
    }

    /// Names of the apps with clients, and how many by WebSocket and by stream.
    pub(crate) fn counts(&self) -> Vec<(Arc<str>, [usize; 2])> {
        let taken = self.taken();
        let mut counts: Vec<_> = taken.apps.iter().map(|(app, counts)| (app.clone(), *counts)).collect();
        drop(taken);
        counts.sort_unstable();
        counts
    }

    /// Counts messages that were handed to connections.
    pub(crate) fn count_sent(&self, messages: usize) {
        self.sent.fetch_add(messages as u64, Ordering::Relaxed);
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Comes back when the server stops.
    pub(crate) fn stopping(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut stopping = self.stopping.clone();
        async move {
            // An error says that the table is gone, and so is the server.
            let _ = stopping.wait_for(|is_stopping| *is_stopping).await;
        }
    }

    /// Where its client is, as far as the costs of live queries are concerned.
    pub(crate) fn source(&self) -> LiveSource {
        LiveSource {
            address: self.address,
            clients_per_address: self.places.per_address,
            clients_per_app: self.places.per_app,
        }
    }

    /// The table that it belongs to.
    pub(crate) fn places(&self) -> Arc<Places> {
        self.places.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.n -= 1;
        if let Some(counts) = taken.apps.get_mut(&self.app) {
            counts[self.kind as usize] -= 1;
            if *counts == [0, 0] {
                taken.apps.remove(&self.app);
            }
        }
        forget_one(&mut taken.addresses, &self.address);
    }
}

fn forget_one<K: Hash + Eq>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// One customer has at least a network of this size.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}
