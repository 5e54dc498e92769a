//! Going on where a connection broke.
//!
//! Who asks for it gets a token with each message. The last messages of such a subscription are kept, and when its connection is gone
//! the subscription goes on for [`LINGER`] without one. A subscription with the token takes it over, from behind that
//! message. Tokens are guessed by nobody; rights are looked at anew all the same.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fb_live::Subscriber;
use tokio::time::Instant;

/// How long a subscription goes on without a connection.
pub(super) const LINGER: Duration = Duration::from_secs(60);
/// Most subscriptions of an app that go on without one. The oldest ones end first.
const MOST_PARKED: usize = 10_000;
/// Messages, and their bytes, that are kept of one subscription.
const KEPT: usize = 256;
const KEPT_BYTES: usize = 256 << 10;
/// Bytes of messages that are kept of all subscriptions of an app. Messages that are shared are counted each time.
const KEPT_BY_APP: usize = 64 << 20;
/// What a kept message takes by itself, roughly.
const EACH: usize = 32;

/// A place in the messages of one subscription. Its text has at most 75 letters, digits and dots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) subscriber: Subscriber,
    /// Known to the client alone.
    key: u128,
    /// The number of the last message that the client got; the first one has 0.
    at: u64,
}

impl Token {
    /// `None` if it is not one of ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let mut part = |most: usize| parts.next().filter(|part| part.len() <= most);
        let subscriber = part(16)?;
        let key = part(32)?;
        let at = part(16)?;
        parts.next().is_none().then_some(())?;
        Some(Self {
            subscriber: u64::from_str_radix(subscriber, 16).ok()?,
            key: u128::from_str_radix(key, 16).ok()?,
            at: u64::from_str_radix(at, 16).ok()?,
        })
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{:032x}.{:x}", self.subscriber, self.key, self.at)
    }
}

/// The last messages of a subscription.
#[derive(Debug)]
pub(super) struct Log {
    subscriber: Subscriber,
    key: u128,
    /// The number of the first message that is kept.
    first: u64,
    messages: VecDeque<Bytes>,
    bytes: usize,
    /// Of all subscriptions of the app.
    total: Arc<AtomicUsize>,
}

impl Log {
    /// For messages behind the first one, which is never kept: who lost it gets a new one.
    pub(super) fn new(subscriber: Subscriber, total: Arc<AtomicUsize>) -> Self {
        Self {
            subscriber,
            key: uuid::Uuid::new_v4().as_u128(),
            first: 1,
            messages: VecDeque::new(),
            bytes: 0,
            total,
        }
    }

    /// Keeps a message. Gives its token.
    pub(super) fn push(&mut self, message: &Bytes) -> String {
        let number = self.first + self.messages.len() as u64;
        let size = EACH + message.len();
        while self.messages.len() >= KEPT || (self.bytes + size > KEPT_BYTES && !self.messages.is_empty()) {
            self.drop_first();
        }
        self.messages.push_back(message.clone());
        self.bytes += size;
        let total = self.total.fetch_add(size, Ordering::Relaxed) + size;
        if size > KEPT_BYTES || total > KEPT_BY_APP {
            self.clear();
        }
        self.token(number)
    }

    /// The token of a message.
    pub(super) fn token(&self, number: u64) -> String {
        let token = Token {
            subscriber: self.subscriber,
            key: self.key,
            at: number,
        };
        token.to_string()
    }

    /// The messages behind this place with their tokens; `None` if that is not known any more, or never was.
    pub(super) fn since(&self, token: Token) -> Option<impl Iterator<Item = (String, Bytes)>> {
        let end = self.first + self.messages.len() as u64;
        let next = token.at.checked_add(1)?;
        if token.key != self.key || !(self.first..=end).contains(&next) {
            return None;
        }
        let messages = (self.first..).zip(&self.messages);
        let missed = messages.filter(move |(number, _)| *number >= next);
        Some(missed.map(|(number, message)| (self.token(number), message.clone())))
    }

    /// Nothing up to now can be got any more.
    pub(super) fn clear(&mut self) {
        while !self.messages.is_empty() {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(message) = self.messages.pop_front() {
            let size = EACH + message.len();
            self.first += 1;
            self.bytes -= size;
            self.total.fetch_sub(size, Ordering::Relaxed);
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Subscriptions without connections, the oldest ones first.
#[derive(Debug, Default)]
pub(super) struct Parked {
    queue: VecDeque<(Instant, Subscriber)>,
    until: HashMap<Subscriber, Instant>,
}

impl Parked {
    pub(super) fn insert(&mut self, subscriber: Subscriber, now: Instant) {
        let until = now + LINGER;
        self.until.insert(subscriber, until);
        self.queue.push_back((until, subscriber));
    }

    /// False if it was not there.
    pub(super) fn remove(&mut self, subscriber: Subscriber) -> bool {
        let was_there = self.until.remove(&subscriber).is_some();
        self.skip_removed();
        was_there
    }

    pub(super) fn contains(&self, subscriber: Subscriber) -> bool {
        self.until.contains_key(&subscriber)
    }

    /// Takes one whose time is over, or for which there is no room.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Subscriber> {
        self.skip_removed();
        let (until, subscriber) = *self.queue.front()?;
        if until > now && self.until.len() <= MOST_PARKED {
            return None;
        }
        self.queue.pop_front();
        self.until.remove(&subscriber);
        Some(subscriber)
    }

    /// When the time of the next one is over.
    pub(super) fn next(&self) -> Option<Instant> {
        self.queue.front().map(|(until, _)| *until)
    }

    pub(super) fn len(&self) -> usize {
        self.until.len()
    }

    fn skip_removed(&mut self) {
        while let Some((until, subscriber)) = self.queue.front()
            && self.until.get(subscriber) != Some(until)
        {
            self.queue.pop_front();
        }
        // What was removed in the middle is not kept for long either.
        if self.queue.len() > 2 * self.until.len() + 64 {
            let until = &self.until;
            self.queue.retain(|(at, subscriber)| until.get(subscriber) == Some(at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(log: &Log, token: &str) -> Option<Vec<Bytes>> {
        let missed = log.since(Token::parse(token)?)?;
        Some(missed.map(|(_, message)| message).collect())
    }

    #[test]
    fn what_comes_behind_a_token_is_known_while_there_is_room() {
        let total = Arc::new(AtomicUsize::new(0));
        let mut log = Log::new(7, total.clone());
        let first = log.token(0);
        assert_eq!(texts(&log, &first), Some(Vec::new()));
        let tokens: Vec<String> = (0..KEPT + 1).map(|n| log.push(&Bytes::from(n.to_string()))).collect();
        assert_eq!(texts(&log, &first), None, "one is gone");
        assert_eq!(texts(&log, &tokens[0]).unwrap().len(), KEPT);
        assert_eq!(texts(&log, &tokens[KEPT - 1]), Some(vec![KEPT.to_string().into()]));
        assert_eq!(texts(&log, &tokens[KEPT]), Some(Vec::new()));
        assert_eq!(texts(&log, &log.token(KEPT as u64 + 2)), None, "it is yet to come");
        log.push(&Bytes::from(vec![b'x'; KEPT_BYTES]));
        assert_eq!(texts(&log, &tokens[KEPT]), None, "too large to be kept");
        drop(log);
        assert_eq!(total.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn tokens_of_others_open_nothing() {
        let total = Arc::new(AtomicUsize::new(0));
        let (one, other) = (Log::new(1, total.clone()), Log::new(1, total));
        assert_eq!(texts(&one, &other.token(0)), None);
        for text in ["", "1", "1.2", "1.2.3.4", "x.y.z", "1.2.fffffffffffffffff", "+1.+2.+3"] {
            assert!(texts(&one, text).is_none(), "{text}");
        }
        assert_eq!(texts(&one, &format!("1.{:032x}.ffffffffffffffff", one.key)), None);
    }

    #[test]
    fn all_logs_of_an_app_have_one_limit() {
        let total = Arc::new(AtomicUsize::new(KEPT_BY_APP));
        let mut log = Log::new(1, total.clone());
        let token = log.push(&Bytes::from_static(b"more"));
        assert_eq!(total.load(Ordering::Relaxed), KEPT_BY_APP);
        assert_eq!(texts(&log, &token), Some(Vec::new()), "nothing was missed");
        assert_eq!(texts(&log, &log.token(0)), None);
    }

    #[test]
    fn parked_ones_leave_in_their_order() {
        let now = Instant::now();
        let mut parked = Parked::default();
        for subscriber in 0..MOST_PARKED as u64 {
            parked.insert(subscriber, now);
        }
        assert_eq!(parked.pop(now), None);
        parked.insert(u64::MAX, now);
        assert_eq!(parked.pop(now), Some(0), "no room");
        assert!(parked.remove(1) && !parked.remove(1));
        assert_eq!(parked.pop(now + LINGER), Some(2));
        assert_eq!(parked.next(), Some(now + LINGER));
    }
}
