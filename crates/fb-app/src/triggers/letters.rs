//! Which dead letters there are, so that those of one receiver do not push out those of all others.

use std::collections::{BTreeMap, BTreeSet};

/// Most dead letters of an app.
const MAX_DEAD: usize = 10_000;

/// The ids of dead letters, by receiver.
#[derive(Debug, Default)]
pub(super) struct Letters {
    by_target: BTreeMap<String, BTreeSet<String>>,
    len: usize,
}

/// The receiver in the id of an event for it.
pub(super) fn target_of(id: &str) -> &str {
    id.split_once('.').map_or("", |(_, target)| target)
}

impl Letters {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn insert(&mut self, id: String) {
        let ids = self.by_target.entry(target_of(&id).to_owned()).or_default();
        self.len += usize::from(ids.insert(id));
    }

    pub(super) fn remove(&mut self, id: &str) {
        let target = target_of(id);
        let Some(ids) = self.by_target.get_mut(target) else {
            return;
        };
        self.len -= usize::from(ids.remove(id));
        if ids.is_empty() {
            self.by_target.remove(target);
        }
    }

    /// The letter that goes if one more comes: the oldest of the receiver with the most. `None` while there is room.
    pub(super) fn superfluous(&self) -> Option<&str> {
        if self.len < MAX_DEAD {
            return None;
        }
        let most = self.by_target.values().max_by_key(|ids| ids.len())?;
        most.first().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::super::records::entry_id;
    use super::*;

    #[test]
    fn letters_of_one_receiver_do_not_push_out_those_of_others() {
        let mut letters = Letters::default();
        letters.insert(entry_id(1, "webhook.quiet"));
        for seq in 2..=MAX_DEAD as u64 {
            assert_eq!(letters.superfluous(), None);
            letters.insert(entry_id(seq, "code.Todo.afterInsert"));
        }
        assert_eq!(letters.len(), MAX_DEAD);
        let oldest = entry_id(2, "code.Todo.afterInsert");
        assert_eq!(letters.superfluous(), Some(oldest.as_str()));
        letters.remove(&oldest);
        letters.remove(&oldest);
        assert_eq!((letters.len(), letters.superfluous()), (MAX_DEAD - 1, None));
    }
}
