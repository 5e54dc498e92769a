//! Answers that clients wanted are asked for again as soon as they are purged, so that who comes next does not wait for the origin.
//!
//! What was not wanted since it was stored is not asked for: there are never more such requests than answers from memory, however often
//! something is written.

use std::fmt;
use std::sync::Arc;

use http::request::Parts;
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use crate::edge::Inner;
use crate::entry::Entry;
use crate::fill::Filling;
use crate::flight::Role;
use crate::headers::Peer;
use crate::purge::FenceKey;
use crate::target::{Key, Target};
use crate::vary::Fields;

/// Marks of which it is known what clients want by them.
const MARKS: usize = 8_192;
/// A mark of more answers than this is one of a class, or of everything: a change of that concerns too many.
const SHARED: usize = 4;
/// Requests at once. What is purged beyond that is asked for when a client wants it.
const AT_ONCE: usize = 16;

/// What clients want, by what it is purged by.
pub(crate) struct Refresh {
    wanted: Cache<FenceKey, Arc<[Arc<Place>]>>,
    slots: Arc<Semaphore>,
}

/// Where an answer is kept, and how it is asked for.
#[derive(Debug)]
struct Place {
    key: Key,
    filling: Filling,
}

impl fmt::Debug for Refresh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refresh")
            .field("n_marks", &self.wanted.len())
            .finish_non_exhaustive()
    }
}

impl Default for Refresh {
    fn default() -> Self {
        Self {
            wanted: Cache::new(MARKS),
            slots: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Refresh {
    /// Two who enter at the same time may leave one of them: what the other one wants is asked for when a client comes.
    fn enter(&self, fences: &[FenceKey], place: &Arc<Place>) {
        for fence in fences {
            let known = self.wanted.get(fence).unwrap_or_default();
            if known.len() > SHARED {
                continue;
            }
            let others = known.iter().filter(|known| known.key != place.key);
            self.wanted.insert(*fence, others.chain([place]).cloned().collect());
        }
    }

    /// What is wanted of what was just purged.
    fn take(&self, purged: FenceKey) -> Option<Arc<[Arc<Place>]>> {
        let known = self.wanted.get(&purged).filter(|places| places.len() <= SHARED)?;
        self.wanted.remove(&purged);
        Some(known)
    }
}

impl Inner {
    /// A client gets this answer from memory, for the first time since it was stored.
    pub(crate) fn want_refreshed(
        &self,
        entry: &Entry,
        target: &Target<'_>,
        client: &Parts,
        peer: Peer,
        fields: Fields,
    ) {
        let Some(variant) = fields.variant(&client.headers) else {
            return;
        };
        let place = Place {
            key: target.key(&variant).to_key(),
            filling: Filling::of(client, peer, None, fields).of_nobody(),
        };
        self.refresh.enter(entry.terms().fences(), &Arc::new(place));
    }

    /// Asks again for what clients wanted of what was purged.
    pub(crate) fn refresh(self: &Arc<Self>, purged: impl IntoIterator<Item = FenceKey>) {
        for fence in purged {
            for place in self.refresh.take(fence).iter().flat_map(|places| places.iter()) {
                let Ok(slot) = self.refresh.slots.clone().try_acquire_owned() else {
                    return;
                };
                let is_behind_it = |stamp| self.coherence.is_current(stamp, &[fence]);
                let stamp = self.coherence.stamp();
                let Role::Lead(leader) = self.flights.enter(place.key.clone(), stamp, is_behind_it) else {
                    continue;
                };
                let filling = place.filling.clone().confirming(self.shelf.get(place.key.by_ref()));
                let inner = self.clone();
                self.counts.refreshed.add();
                tokio::spawn(async move {
                    inner.run_fill(filling, leader).await;
                    drop(slot);
                });
            }
        }
    }
}
