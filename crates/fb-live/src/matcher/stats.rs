//! Sizes of what a matcher holds.

use super::Matcher;

/// Sizes, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MatcherStats {
    /// Subscribers
    pub subscribers: usize,
    /// Distinct filters
    pub filters: usize,
    /// Filters that are asked about every write of their class
    pub scanned: usize,
    /// Paths of fields that there is room for: the greatest number that filters have named at the same time, as long as their
    /// class has any
    pub paths: usize,
    /// Views
    pub views: usize,
    /// Objects that are in some view
    pub objects: usize,
    /// Writes that are kept for those who are about to register
    pub retained: usize,
}

impl Matcher {
    /// Sizes. Cost: one step per class.
    pub fn stats(&self) -> MatcherStats {
        let mut stats = MatcherStats {
            subscribers: self.subscribers.len(),
            retained: self.retained.len(),
            ..MatcherStats::default()
        };
        for class in self.classes.values() {
            stats.filters += class.n_filters();
            stats.scanned += class.n_scanned();
            stats.paths += class.room_for_paths();
            stats.views += class.n_views();
            stats.objects += class.n_objects();
        }
        stats
    }
}
