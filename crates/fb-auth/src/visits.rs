//! Counting requests per source, and banning sources that make too many: on the way of every request, so that it has to be
//! quick, and by addresses that strangers choose, so that memory is bounded.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fb_types::Timestamp;

/// Tables that are locked apart from each other.
const SHARDS: usize = 32;
/// Most sources of one table; about 8 MB in all.
const MAX_SOURCES: usize = 3000;
/// How often a full table is searched for sources that may go, in milliseconds.
const SWEEP_MS: i64 = 1000;

/// So many requests in so much time, and what comes after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VisitLimit {
    /// Most requests within the window; 0 does not limit, and lifts all bans.
    pub requests: u32,
    /// Length of the window, from the first request on, in seconds.
    pub seconds: u32,
    /// Length of the ban that the first request too many begins, in seconds.
    pub ban_seconds: u32,
}

/// The source is banned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many requests came from this address; it is banned for another {retry_after} s")]
pub struct Banned {
    /// End of the ban.
    pub until: Timestamp,
    /// Seconds until then, at least 1.
    pub retry_after: u64,
}

/// A source of requests to one app: an IPv4 address, or an IPv6 network of 64 bits, which is the least that one customer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Visitor {
    app: u64,
    network: u128,
}

/// Counts requests in fixed windows, exactly however many come at once. It lives in memory: a restart lifts all bans. When
/// a table is full, sources in it are forgotten: those whose time is over, else any.
#[derive(Debug)]
pub struct Visits {
    shards: Vec<Mutex<Shard>>,
    /// With keys that nobody knows, so that no one can choose addresses that share a table.
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct Shard {
    by_visitor: HashMap<Visitor, Entry>,
    swept_at: i64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    count: u32,
    /// End of the window or, if it is banned, of the ban.
    ends_at: i64,
    is_banned: bool,
}

impl Default for Visits {
    fn default() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl Visits {
    /// The source at this address, as far as the app is concerned.
    pub fn visitor(&self, app: &str, address: IpAddr) -> Visitor {
        Visitor {
            app: self.hasher.hash_one(app),
            network: match address.to_canonical() {
                IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
                IpAddr::V6(address) => address.to_bits() & (u128::MAX << 64),
            },
        }
    }

    /// Counts a request, unless its source is banned, which the first one too many makes it. Cost: one look into one table.
    pub fn count(&self, visitor: Visitor, limit: VisitLimit, now: Timestamp) -> Result<(), Banned> {
        if limit.requests == 0 {
            return Ok(());
        }
        let now = now.millis();
        let ends_at = |seconds: u32| now.saturating_add(i64::from(seconds) * 1000);
        let mut shard = self.shard(visitor);
        let Some(entry) = shard.by_visitor.get_mut(&visitor) else {
            let fresh = Entry {
                count: 1,
                ends_at: ends_at(limit.seconds),
                is_banned: false,
            };
            if shard.by_visitor.len() >= MAX_SOURCES {
                shard.make_room(now);
            }
            shard.by_visitor.insert(visitor, fresh);
            return Ok(());
        };
        let longest = ends_at(if entry.is_banned {
            limit.ban_seconds
        } else {
            limit.seconds
        });
        // A clock that was set back, or a shorter limit, keeps nobody out for longer than the limit says.
        if now >= entry.ends_at || entry.ends_at > longest {
            *entry = Entry {
                count: 0,
                ends_at: ends_at(limit.seconds),
                is_banned: false,
            };
        }
        if entry.is_banned {
            return Err(banned(entry.ends_at, now));
        }
        if entry.count >= limit.requests {
            entry.is_banned = true;
            entry.ends_at = ends_at(limit.ban_seconds);
            return Err(banned(entry.ends_at, now));
        }
        entry.count += 1;
        Ok(())
    }

    /// The ban of a source, if it is banned.
    pub fn ban_of(&self, visitor: Visitor, now: Timestamp) -> Option<Banned> {
        let entry = self.shard(visitor).by_visitor.get(&visitor).copied()?;
        (entry.is_banned && now.millis() < entry.ends_at).then(|| banned(entry.ends_at, now.millis()))
    }

    /// Lifts a source's ban and forgets its requests.
    pub fn forgive(&self, visitor: Visitor) {
        self.shard(visitor).by_visitor.remove(&visitor);
    }

    /// The same for all sources of an app. Looks at every source: for what happens rarely.
    pub fn forgive_all(&self, app: &str) {
        let app = self.hasher.hash_one(app);
        for shard in &self.shards {
            lock(shard).by_visitor.retain(|visitor, _| visitor.app != app);
        }
    }

    fn shard(&self, visitor: Visitor) -> MutexGuard<'_, Shard> {
        // The remainder is below the number of tables.
        let index = self.hasher.hash_one(visitor) % SHARDS as u64;
        lock(&self.shards[index as usize])
    }
}

/// Sections are short and without I/O or `await`.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn banned(ends_at: i64, now: i64) -> Banned {
    let millis = u64::try_from(ends_at - now).unwrap_or(0);
    Banned {
        until: Timestamp::from_millis(ends_at),
        retry_after: millis.div_ceil(1000).max(1),
    }
}

impl Shard {
    /// Drops what is over; if nothing is, any entry has to go.
    fn make_room(&mut self, now: i64) {
        if now - self.swept_at >= SWEEP_MS {
            self.swept_at = now;
            self.by_visitor.retain(|_, entry| entry.ends_at > now);
        }
        while self.by_visitor.len() >= MAX_SOURCES {
            let Some(visitor) = self.by_visitor.keys().next().copied() else {
                return;
            };
            self.by_visitor.remove(&visitor);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const LIMIT: VisitLimit = VisitLimit {
        requests: 10,
        seconds: 60,
        ban_seconds: 600,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn from(visits: &Visits, address: &str) -> Visitor {
        visits.visitor("main", address.parse().unwrap())
    }

    #[test]
    fn s18_of_simultaneous_requests_exactly_as_many_as_allowed_pass() {
        let visits = Visits::default();
        let visitor = from(&visits, "192.0.2.1");
        let passed = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..100)
                .map(|_| scope.spawn(|| visits.count(visitor, LIMIT, at(0)).is_ok()))
                .collect();
            threads
                .into_iter()
                .filter(|_| true)
                .map(|t| u32::from(t.join().unwrap()))
                .sum::<u32>()
        });
        assert_eq!(passed, LIMIT.requests);
    }

    #[test]
    fn s18_a_ban_lasts_as_long_as_it_says_and_is_not_prolonged() {
        let visits = Visits::default();
        let visitor = from(&visits, "192.0.2.1");
        for _ in 0..10 {
            visits.count(visitor, LIMIT, at(50)).unwrap();
        }
        assert_eq!(visits.ban_of(visitor, at(50)), None);
        for (now, left) in [(55, 600), (60, 595), (110, 545), (654, 1)] {
            let refused = Banned {
                until: at(655),
                retry_after: left,
            };
            assert_eq!(visits.count(visitor, LIMIT, at(now)), Err(refused));
            assert_eq!(visits.ban_of(visitor, at(now)), Some(refused));
        }
        assert_eq!(visits.ban_of(visitor, at(655)), None);
        for _ in 0..10 {
            visits.count(visitor, LIMIT, at(655)).unwrap();
        }
        visits.count(visitor, LIMIT, at(714)).unwrap_err();
        // A window ends without a ban if nobody was too many.
        let other = from(&visits, "192.0.2.2");
        for now in [0, 60, 120] {
            (0..10).for_each(|_| visits.count(other, LIMIT, at(now)).unwrap());
        }
        // A shorter limit, no limit, and a clock that was set back end bans.
        let shorter = VisitLimit {
            ban_seconds: 5,
            ..LIMIT
        };
        visits.count(visitor, shorter, at(714)).unwrap();
        let off = VisitLimit { requests: 0, ..LIMIT };
        (0..100).for_each(|_| visits.count(other, off, at(0)).unwrap());
    }

    #[test]
    fn s18_apps_and_networks_are_counted_apart() {
        let visits = Visits::default();
        let ban = |visitor| {
            for _ in 0..11 {
                let _ = visits.count(visitor, LIMIT, at(0));
            }
            visits.count(visitor, LIMIT, at(0)).unwrap_err();
        };
        ban(from(&visits, "192.0.2.1"));
        ban(from(&visits, "2001:db8:1:2:3:4:5:6"));
        for same in ["::ffff:192.0.2.1", "2001:db8:1:2::1", "2001:db8:1:2:ffff::"] {
            assert!(visits.ban_of(from(&visits, same), at(0)).is_some(), "{same}");
        }
        for other in ["192.0.2.2", "2001:db8:1:3::1", "::1", "::"] {
            assert!(visits.ban_of(from(&visits, other), at(0)).is_none(), "{other}");
        }
        let elsewhere = visits.visitor("other", IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        ban(elsewhere);
        visits.forgive(from(&visits, "2001:db8:1:2::9"));
        visits.count(from(&visits, "2001:db8:1:2::1"), LIMIT, at(0)).unwrap();
        visits.forgive_all("main");
        visits.count(from(&visits, "192.0.2.1"), LIMIT, at(0)).unwrap();
        assert!(visits.ban_of(elsewhere, at(0)).is_some());
    }

    #[test]
    fn s18_memory_is_bounded() {
        let visits = Visits::default();
        for n in 0..(SHARDS * MAX_SOURCES) as u128 * 2 {
            let visitor = visits.visitor("main", IpAddr::V6(Ipv6Addr::from_bits((n + 1) << 64)));
            visits.count(visitor, LIMIT, at(0)).unwrap();
        }
        let all: usize = visits.shards.iter().map(|shard| lock(shard).by_visitor.len()).sum();
        assert!(all <= SHARDS * MAX_SOURCES, "{all}");
        // What is over goes first.
        let visitor = from(&visits, "192.0.2.1");
        visits.count(visitor, LIMIT, at(61)).unwrap();
        assert!(visits.shard(visitor).by_visitor.contains_key(&visitor));
        assert!(visits.shard(visitor).by_visitor.len() < MAX_SOURCES / 2);
    }
}
