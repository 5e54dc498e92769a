//! Requests for what may be kept: how many there were, and how many needed nothing of this server but a word.

use std::sync::atomic::{AtomicU64, Ordering};

/// How this server answered a request for something that may be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// With what was asked for, or a part of it.
    InFull,
    /// The copy of whoever asked is good (304).
    Confirmed,
}

/// Requests for what may be kept, of one class or bucket for example. Requests that nobody sees, because browsers had the answer, are in none of
/// these.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests to this server, those of edges that did not have the answer among them
    pub requests: u64,
    /// Those of them that were confirmed
    pub confirmed: u64,
    /// Requests to edges, as far as they have told
    pub edge_requests: u64,
    /// Those of them that edges answered themselves; the others are among `requests`
    pub edge_hits: u64,
}

impl Traffic {
    /// The share of requests, each of them counted once, that an edge answered or this server confirmed: 0 to 1. `None` if there were none.
    pub fn hit_rate(&self) -> Option<f64> {
        let all = self.requests + self.edge_hits;
        (all > 0).then(|| (self.confirmed + self.edge_hits) as f64 / all as f64)
    }

    /// Enters a request to this server.
    pub(super) fn count(&mut self, answered: Answered) {
        self.requests += 1;
        self.confirmed += u64::from(answered == Answered::Confirmed);
    }

    /// Enters requests to an edge.
    pub(super) fn count_at_edge(&mut self, hits: u32, misses: u32) {
        self.edge_requests += u64::from(hits) + u64::from(misses);
        self.edge_hits += u64::from(hits);
    }
}

impl std::iter::Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self {
            requests: sum.requests + one.requests,
            confirmed: sum.confirmed + one.confirmed,
            edge_requests: sum.edge_requests + one.edge_requests,
            edge_hits: sum.edge_hits + one.edge_hits,
        })
    }
}

/// The same, counted by many at once.
#[derive(Debug, Default)]
pub(super) struct SharedTraffic {
    requests: AtomicU64,
    confirmed: AtomicU64,
    edge_requests: AtomicU64,
    edge_hits: AtomicU64,
}

impl SharedTraffic {
    /// See [`Traffic::count`].
    pub(super) fn count(&self, answered: Answered) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        if answered == Answered::Confirmed {
            self.confirmed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// See [`Traffic::count_at_edge`].
    pub(super) fn count_at_edge(&self, hits: u32, misses: u32) {
        let all = u64::from(hits) + u64::from(misses);
        self.edge_requests.fetch_add(all, Ordering::Relaxed);
        self.edge_hits.fetch_add(hits.into(), Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Traffic {
        Traffic {
            requests: self.requests.load(Ordering::Relaxed),
            confirmed: self.confirmed.load(Ordering::Relaxed),
            edge_requests: self.edge_requests.load(Ordering::Relaxed),
            edge_hits: self.edge_hits.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_counts_once_whether_it_came_here_or_ended_at_an_edge() {
        let mut traffic = Traffic::default();
        assert_eq!(traffic.hit_rate(), None, "nothing is known");
        // Ten at an edge, of which three came here; two more came past it.
        traffic.count_at_edge(7, 3);
        for answered in [
            Answered::InFull,
            Answered::InFull,
            Answered::Confirmed,
            Answered::InFull,
            Answered::Confirmed,
        ] {
            traffic.count(answered);
        }
        let expected = Traffic {
            requests: 5,
            confirmed: 2,
            edge_requests: 10,
            edge_hits: 7,
        };
        assert_eq!(traffic, expected);
        assert_eq!(traffic.hit_rate(), Some(9.0 / 12.0));
        let twice: Traffic = [traffic, traffic].into_iter().sum();
        assert_eq!((twice.requests, twice.hit_rate()), (10, traffic.hit_rate()));
    }

    #[test]
    fn both_ways_to_count_count_the_same() {
        let (shared, mut own) = (SharedTraffic::default(), Traffic::default());
        for (i, answered) in [Answered::InFull, Answered::Confirmed, Answered::Confirmed]
            .into_iter()
            .enumerate()
        {
            shared.count(answered);
            own.count(answered);
            shared.count_at_edge(u32::MAX, i as u32);
            own.count_at_edge(u32::MAX, i as u32);
        }
        assert_eq!(shared.get(), own);
    }
}
