//! Requests to the origin that others wait for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::entry::Entry;
use crate::purge::Stamp;
use crate::target::Key;

/// What became of a request that others wait for.
#[derive(Debug, Clone)]
pub(crate) enum Landing {
    /// An answer for all of them.
    Stored(Arc<Entry>),
    /// Nothing that is for others. Each goes on its own.
    Alone,
}

/// The requests that are under way, by what they are for.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    /// Held for a look or a change of one entry.
    under_way: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    flights: HashMap<Key, Flight>,
}

#[derive(Debug)]
struct Flight {
    id: u64,
    stamp: Stamp,
    landing: watch::Receiver<Option<Landing>>,
}

/// What to do about a request.
#[derive(Debug)]
pub(crate) enum Role {
    /// Send it, and tell the others.
    Lead(Leader),
    /// Wait for the one that is under way.
    Follow(Follower),
}

/// Who sends a request that others may wait for. If it is dropped they go on their own.
#[derive(Debug)]
pub(crate) struct Leader {
    flights: Arc<Flights>,
    key: Key,
    id: u64,
    landed: watch::Sender<Option<Landing>>,
}

/// Who waits.
#[derive(Debug)]
pub(crate) struct Follower(watch::Receiver<Option<Landing>>);

impl Flights {
    fn state(&self) -> MutexGuard<'_, State> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows the request for `key` if there is one that `may_follow`, by when it was sent. Otherwise leads one, which also
    /// takes the place of the one that must not be followed.
    pub(crate) fn enter(self: &Arc<Self>, key: Key, stamp: Stamp, may_follow: impl FnOnce(Stamp) -> bool) -> Role {
        let mut state = self.state();
        if let Some(flight) = state.flights.get(&key)
            && may_follow(flight.stamp)
        {
            return Role::Follow(Follower(flight.landing.clone()));
        }
        let (landed, landing) = watch::channel(None);
        state.next += 1;
        let id = state.next;
        state.flights.insert(key.clone(), Flight { id, stamp, landing });
        Role::Lead(Leader {
            flights: self.clone(),
            key,
            id,
            landed,
        })
    }

    /// How many are under way.
    pub(crate) fn len(&self) -> usize {
        self.state().flights.len()
    }
}

impl Leader {
    pub(crate) fn land(self, landing: Landing) {
        self.landed.send_replace(Some(landing));
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let mut state = self.flights.state();
        if state.flights.get(&self.key).is_some_and(|flight| flight.id == self.id) {
            state.flights.remove(&self.key);
        }
    }
}

impl Follower {
    pub(crate) async fn landing(mut self) -> Landing {
        match self.0.wait_for(Option::is_some).await {
            Ok(landing) => landing.clone().unwrap_or(Landing::Alone),
            Err(_) => Landing::Alone,
        }
    }
}
