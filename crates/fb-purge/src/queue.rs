//! What waits for one target.

use std::collections::VecDeque;

use indexmap::IndexMap;
use tokio::time::Instant;

use crate::order::Name;
use crate::target::Room;

/// Names, each once, in the order they came; more than fit are "everything", which stands for all of them.
#[derive(Debug)]
pub(crate) struct Queue {
    names: IndexMap<Name, Item>,
    everything: Option<Item>,
    /// To be sent once more, by when.
    again: VecDeque<(Instant, What)>,
    n_again: usize,
    capacity: usize,
}

/// Since when something waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) since: Instant,
    /// It was sent before, in case it crossed an answer.
    pub(crate) is_repeat: bool,
}

/// What one request tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Names(Vec<(Name, Item)>),
    Everything(Item),
}

impl What {
    /// What of it has not been sent before; `None` for nothing.
    pub(crate) fn without_repeats(self) -> Option<Self> {
        match self {
            Self::Everything(item) => (!item.is_repeat).then_some(Self::Everything(item)),
            Self::Names(mut names) => {
                names.retain(|(_, item)| !item.is_repeat);
                (!names.is_empty()).then_some(Self::Names(names))
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Names(names) => names.len(),
            Self::Everything(_) => 1,
        }
    }
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            names: IndexMap::new(),
            everything: None,
            again: VecDeque::new(),
            n_again: 0,
            capacity: capacity.max(1),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.everything.is_none()
    }

    /// How many names wait; "everything" counts as one.
    pub(crate) fn len(&self) -> usize {
        self.names.len() + usize::from(self.everything.is_some())
    }

    /// How many names are to be sent once more.
    pub(crate) fn n_again(&self) -> usize {
        self.n_again
    }

    /// Since when the first of what waits does.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        let names = self.names.values().chain(&self.everything);
        names.map(|item| item.since).min()
    }

    /// When the next repetition is due.
    pub(crate) fn next_repeat(&self) -> Option<Instant> {
        self.again.front().map(|(due, _)| *due)
    }

    /// Adds a name. False if that was one too many, and everything is to be dropped now.
    pub(crate) fn add(&mut self, name: Name, item: Item) -> bool {
        if self.everything.is_some() {
            // A name that comes while "everything" waits is in it.
            return true;
        }
        if self.names.len() >= self.capacity && !self.names.contains_key(&name) {
            self.add_everything(item);
            return false;
        }
        let entry = self.names.entry(name).or_insert(item);
        entry.since = entry.since.min(item.since);
        entry.is_repeat &= item.is_repeat;
        true
    }

    pub(crate) fn add_everything(&mut self, item: Item) {
        let since = self.names.values().map(|waits| waits.since).chain([item.since]).min();
        let is_repeat = self.names.values().all(|waits| waits.is_repeat) && item.is_repeat;
        let everything = self.everything.get_or_insert(item);
        everything.since = everything.since.min(since.unwrap_or(item.since));
        everything.is_repeat &= is_repeat;
        self.names.clear();
        // What it repeats is repeated with it.
        self.again.clear();
        self.n_again = 0;
    }

    /// Makes "everything" of what waits. False if that is what it is already.
    pub(crate) fn forget_names(&mut self, item: Item) -> bool {
        let had_names = self.everything.is_none();
        self.add_everything(item);
        had_names
    }

    /// Takes what one request can tell: as many names of one kind as there is room for, but one at least.
    pub(crate) fn take(&mut self, room: Room) -> Option<What> {
        if let Some(item) = self.everything.take() {
            return Some(What::Everything(item));
        }
        let mut n_names = 0;
        let mut n_bytes = 0;
        let mut is_url = None;
        for name in self.names.keys() {
            let (is, most, text) = match name {
                Name::Key(text) => (false, room.keys, text),
                Name::Url(text) => (true, room.urls, text),
            };
            // With what separates them.
            n_bytes += text.len() + 3;
            // No service takes both kinds in one request.
            let fits = n_names < most && n_bytes <= room.bytes && is_url.is_none_or(|other| other == is);
            if n_names > 0 && !fits {
                break;
            }
            is_url = Some(is);
            n_names += 1;
        }
        (n_names > 0).then(|| What::Names(self.names.drain(..n_names).collect()))
    }

    /// Takes back what could not be told.
    pub(crate) fn put_back(&mut self, what: What) {
        match what {
            What::Everything(item) => self.add_everything(item),
            What::Names(names) => {
                for (name, item) in names {
                    self.add(name, item);
                }
            }
        }
    }

    /// Has something sent once more. False if there is no room; then it is not, because its copies end by themselves.
    pub(crate) fn repeat_at(&mut self, due: Instant, mut what: What) -> bool {
        match &mut what {
            What::Everything(item) => item.is_repeat = true,
            What::Names(names) => names.iter_mut().for_each(|(_, item)| item.is_repeat = true),
        }
        if self.n_again + what.len() > self.capacity {
            return false;
        }
        self.n_again += what.len();
        self.again.push_back((due, what));
        true
    }

    /// Moves what is due to be sent once more to what waits.
    pub(crate) fn wake_repeats(&mut self, now: Instant) {
        while self.again.front().is_some_and(|(due, _)| *due <= now) {
            let Some((due, mut what)) = self.again.pop_front() else {
                break;
            };
            self.n_again -= what.len();
            match &mut what {
                What::Everything(item) => item.since = due,
                What::Names(names) => names.iter_mut().for_each(|(_, item)| item.since = due),
            }
            self.put_back(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn key(name: &str) -> Name {
        Name::Key(name.into())
    }

    fn new(since: Instant) -> Item {
        Item {
            since,
            is_repeat: false,
        }
    }

    fn room(keys: usize, bytes: usize) -> Room {
        Room { keys, urls: 1, bytes }
    }

    fn texts(what: Option<What>) -> Vec<String> {
        match what {
            Some(What::Names(names)) => names
                .into_iter()
                .map(|(name, _)| match name {
                    Name::Key(text) | Name::Url(text) => text.to_string(),
                })
                .collect(),
            Some(What::Everything(_)) => vec!["*".to_owned()],
            None => Vec::new(),
        }
    }

    #[test]
    fn names_wait_once_and_leave_in_requests_of_their_size() {
        let now = Instant::now();
        let mut queue = Queue::new(10);
        for name in ["a", "b", "a", "cc", "d"] {
            assert!(queue.add(key(name), new(now)));
        }
        assert!(queue.add(Name::Url("u".into()), new(now)));
        assert_eq!(queue.len(), 5);
        assert!(queue.add(Name::Url("v".into()), new(now)));
        assert_eq!(texts(queue.take(room(2, 100))), ["a", "b"]);
        assert_eq!(texts(queue.take(room(9, 1))), ["cc"], "one at least");
        assert_eq!(texts(queue.take(room(9, 100))), ["d"], "not together with URLs");
        assert_eq!(texts(queue.take(room(9, 100))), ["u"], "of which there is one in each");
        assert_eq!(texts(queue.take(room(9, 100))), ["v"]);
        assert_eq!(queue.take(room(9, 100)), None);
    }

    #[test]
    fn one_name_too_many_is_everything_and_stays_so() {
        let now = Instant::now();
        let mut queue = Queue::new(2);
        assert!(queue.add(key("a"), new(now)) && queue.add(key("b"), new(now)) && queue.add(key("a"), new(now)));
        let later = now + Duration::from_secs(1);
        assert!(!queue.add(key("c"), new(later)));
        assert!(queue.add(key("d"), new(later)));
        let taken = queue.take(room(1, 1)).unwrap();
        assert_eq!(taken, What::Everything(new(now)), "waits since the first of them");
        assert!(queue.is_empty());
        queue.put_back(taken);
        queue.add(key("e"), new(later));
        assert_eq!(texts(queue.take(room(1, 1))), ["*"]);
    }

    #[test]
    fn what_was_sent_is_sent_once_more_when_it_is_due() {
        let now = Instant::now();
        let due = now + Duration::from_secs(1);
        let mut queue = Queue::new(2);
        let names = |names: &[&str]| What::Names(names.iter().map(|name| (key(name), new(now))).collect());
        assert!(queue.repeat_at(due, names(&["a", "b"])));
        assert!(!queue.repeat_at(due, names(&["c"])), "no more than fit");
        queue.wake_repeats(now);
        assert!(queue.is_empty());
        queue.add(key("a"), new(due));
        queue.wake_repeats(due);
        let Some(What::Names(taken)) = queue.take(room(9, 99)) else {
            panic!("names wait")
        };
        let repeats: Vec<bool> = taken.iter().map(|(_, item)| item.is_repeat).collect();
        assert_eq!(repeats, [false, true], "what came anew is new");
        assert!(queue.repeat_at(due, names(&["c"])));
    }
}
