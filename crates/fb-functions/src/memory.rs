//! Memory that calls hold while they wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many bytes, shared by those who take some.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    most: usize,
    used: AtomicUsize,
}

/// Bytes of a budget, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            used: AtomicUsize::new(0),
        })
    }

    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.used.load(Ordering::Relaxed).saturating_add(bytes) <= self.most
    }

    /// `None` if there are not as many left.
    pub(crate) fn take(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let add = |used: usize| used.checked_add(bytes).filter(|sum| *sum <= self.most);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add).ok()?;
        Some(Share {
            budget: self.clone(),
            bytes,
        })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_gives_what_it_has_and_gets_it_back() {
        let budget = Budget::new(10);
        let (six, four) = (budget.take(6), budget.take(4));
        assert!(six.is_some() && four.is_some());
        assert!(budget.has_room(0) && !budget.has_room(1));
        assert!(budget.take(1).is_none() && budget.take(usize::MAX).is_none());
        drop(six);
        assert!(budget.has_room(6) && budget.take(6).is_some());
    }
}
