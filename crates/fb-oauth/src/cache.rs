//! What issuers publish, remembered for a while.
//!
//! Everything here follows from the issuer's own address, so that apps that name the same issuer share entries and cannot
//! put anything into each other's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fb_outbound::Outbound;
use fb_types::Timestamp;

use crate::error::{OAuthError, garbage};
use crate::jwk::{Algorithm, Key, KeySet};
use crate::wire::{self, Metadata};

/// How long an answer is believed. A key that an issuer withdraws is believed that long at most.
const LIFETIME_MS: i64 = 60 * 60 * 1000;
/// How often, at most, a token with an unknown key makes the keys of an issuer be fetched before their time.
const REFETCH_MS: i64 = 60 * 1000;
/// Issuers that are remembered; the one fetched longest ago is forgotten first.
const MAX_ISSUERS: usize = 256;

/// The cache. One per process serves all apps.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    /// Held to look and to put, never across a request: two logins may fetch the same thing, which is harmless.
    issuers: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug, Clone)]
struct Entry {
    metadata: Arc<Metadata>,
    metadata_at: Timestamp,
    keys: Option<Arc<KeySet>>,
    keys_at: Timestamp,
    /// When the keys were asked for last, successfully or not. Apart from `keys_at`, so that failures do not make a
    /// withdrawn key live longer.
    asked_at: Timestamp,
}

impl Cache {
    /// What the issuer at `address` publishes about itself: remembered, or else fetched.
    pub(crate) async fn metadata(
        &self,
        outbound: &Outbound,
        address: &str,
        now: Timestamp,
    ) -> Result<Arc<Metadata>, OAuthError> {
        if let Some(entry) = self.look(address)
            && is_younger(entry.metadata_at, now, LIFETIME_MS)
        {
            return Ok(entry.metadata);
        }
        let metadata = Arc::new(wire::fetch_metadata(outbound, address).await?);
        let mut issuers = self.lock();
        match issuers.get_mut(address) {
            Some(entry) => {
                // Keys that were fetched from elsewhere do not belong to it any more.
                if entry.metadata.jwks_uri != metadata.jwks_uri {
                    entry.keys = None;
                }
                entry.metadata = Arc::clone(&metadata);
                entry.metadata_at = now;
            }
            None => {
                if issuers.len() >= MAX_ISSUERS {
                    let oldest = issuers.iter().min_by_key(|(_, entry)| entry.metadata_at);
                    if let Some(oldest) = oldest.map(|(address, _)| address.clone()) {
                        issuers.remove(&oldest);
                    }
                }
                let entry = Entry {
                    metadata: Arc::clone(&metadata),
                    metadata_at: now,
                    keys: None,
                    keys_at: now,
                    asked_at: now,
                };
                issuers.insert(address.to_owned(), entry);
            }
        }
        Ok(metadata)
    }

    /// The key `id` of the issuer at `address`, for `algorithm`; `None` if the issuer publishes none. Keys are fetched if
    /// there are none that are young enough, and once more, at most once a minute, if `id` is unknown.
    pub(crate) async fn key(
        &self,
        outbound: &Outbound,
        address: &str,
        metadata: &Metadata,
        id: &str,
        algorithm: Algorithm,
        now: Timestamp,
    ) -> Result<Option<Key>, OAuthError> {
        const DURING: &str = "telling its keys";
        {
            let mut issuers = self.lock();
            if let Some(entry) = issuers.get_mut(address) {
                if let Some(keys) = &entry.keys
                    && is_younger(entry.keys_at, now, LIFETIME_MS)
                    && (keys.has(id) || is_younger(entry.asked_at, now, REFETCH_MS))
                {
                    return Ok(keys.find(id, algorithm).cloned());
                }
                // Set before the request, so that a crowd of forged tokens makes one of them.
                entry.asked_at = now;
            }
        }
        let json = wire::get_json(outbound, &metadata.jwks_uri, None, DURING).await?;
        let keys = KeySet::read(&json).ok_or_else(|| garbage(DURING, "the answer is no key set"))?;
        let found = keys.find(id, algorithm).cloned();
        if let Some(entry) = self.lock().get_mut(address) {
            entry.keys = Some(Arc::new(keys));
            entry.keys_at = now;
        }
        Ok(found)
    }

    /// Forgets what the issuer at `address` published.
    pub(crate) fn forget(&self, address: &str) {
        self.lock().remove(address);
    }

    fn look(&self, address: &str) -> Option<Entry> {
        self.lock().get(address).cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        // A panic while it was held leaves whole entries behind.
        self.issuers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A clock that was set back makes everything old, not eternally young.
fn is_younger(at: Timestamp, now: Timestamp, limit_ms: i64) -> bool {
    (0..limit_ms).contains(&(now.millis() - at.millis()))
}

#[cfg(all(test, feature = "testkit"))]
mod tests {
    use super::*;
    use crate::testkit::Idp;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    #[tokio::test]
    async fn the_issuer_fetched_longest_ago_is_forgotten_first() {
        let idp = Idp::start();
        let (cache, outbound) = (Cache::default(), idp.outbound());
        let address = |i: usize| idp.url(&format!("/{i}"));
        for (i, millis) in (0..MAX_ISSUERS + 10).zip(0..) {
            cache.metadata(&outbound, &address(i), at(millis)).await.unwrap();
        }
        assert_eq!(cache.lock().len(), MAX_ISSUERS);
        assert!(cache.look(&address(9)).is_none() && cache.look(&address(10)).is_some());
    }

    #[test]
    fn a_clock_that_was_set_back_makes_entries_old() {
        assert!(is_younger(at(0), at(0), 10) && is_younger(at(0), at(9), 10));
        assert!(!is_younger(at(0), at(10), 10) && !is_younger(at(0), at(-1), 10));
    }
}
