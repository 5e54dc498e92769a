//! What is shown of the queries that are watched.

use std::time::Duration;

use fb_sketch::{KeyHash, Representation};

use super::super::{Caching, Traffic};
use super::Results;

/// Most queries that are shown.
const SHOWN: usize = 100;

/// A query whose result somebody may have.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryFigures {
    /// Its canonical text: class, filter, and the part of which order; up to 500 characters
    pub text: String,
    /// The form in which it was handed out last: `objects` or `ids`
    pub form: &'static str,
    /// Objects in the result when it was read first
    pub objects: u32,
    /// Requests per second that came to the server, lately
    pub requests: f64,
    /// Answers that got a lifetime since it is watched, and the mean of these in seconds, the time in shared caches included
    pub copies: u64,
    /// See `copies`
    pub mean_lifetime: u64,
    /// How often all copies were out of date before their time
    pub outdated: u64,
    /// Time it took to read the result
    pub evaluation: Duration,
    /// URLs of copies that are good
    pub urls: usize,
    /// Requests since it is watched. None count for those that are part of answers of modules: their modules have them
    pub traffic: Traffic,
}

impl Results {
    /// Counts for a query, if it is watched.
    pub(in super::super) fn count_traffic(&self, key: KeyHash, count: impl FnOnce(&mut Traffic)) {
        if let Some(watched) = self.books().watches.get_mut(key) {
            count(&mut watched.traffic);
        }
    }
}

impl Caching {
    /// Those first that are asked for most.
    pub(in super::super) fn watched_queries(&self) -> Vec<QueryFigures> {
        let now = self.now();
        let books = self.results.books();
        let figures = books.watches.iter().map(|(key, watched)| QueryFigures {
            text: watched.text.clone(),
            form: match watched.form {
                Some(Representation::Ids) => "ids",
                Some(Representation::Objects) | None => "objects",
            },
            objects: watched.n_objects,
            requests: books
                .admission
                .as_ref()
                .map_or(0.0, |admission| admission.requests(key, now)),
            copies: watched.n_copies,
            mean_lifetime: watched.granted_secs / watched.n_copies.max(1),
            outdated: watched.n_outdated,
            evaluation: watched.evaluation,
            urls: watched.elements.len(),
            traffic: watched.traffic,
        });
        let mut figures: Vec<QueryFigures> = figures.collect();
        drop(books);
        figures.sort_by(|a, b| b.requests.total_cmp(&a.requests).then_with(|| a.text.cmp(&b.text)));
        figures.truncate(SHOWN);
        figures
    }
}
