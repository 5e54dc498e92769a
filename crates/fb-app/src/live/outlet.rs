//! What waits to be sent over one connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fb_live::Subscriber;
use tokio::sync::Notify;

use super::numbers::{NumberMap, NumberSet};
use crate::AppError;

/// Bytes and messages that may wait for a client that reads too slowly.
const WAITING_BYTES: usize = 8 << 20;
const WAITING: usize = 20_000;
/// Room for so many stays when they were taken.
const KEPT_ROOM: usize = 8;
/// Bytes of messages that are written by whoever has them; more than that, the connection's task writes.
const AT_ONCE: usize = 64 << 10;
/// With so many bytes waiting no first result is added to them.
const BEFORE_RESULT: usize = 1 << 20;
/// Largest first result in bytes.
pub(super) const RESULT_BYTES: usize = 6 << 20;
/// What a waiting message takes by itself, roughly.
const EACH: usize = 100;

/// One message to a client.
#[derive(Debug)]
pub enum LiveMessage {
    /// A message of a subscription.
    Text(LiveText),
    /// The subscription with this id has ended.
    Error(Arc<str>, AppError),
}

/// The outlets of all connections.
#[derive(Debug, Default)]
pub(super) struct Outlets(Mutex<NumberMap<Arc<Outlet>>>);

impl Outlets {
    pub(super) fn insert(&self, number: u64, outlet: Arc<Outlet>) {
        self.all().insert(number, outlet);
    }

    pub(super) fn remove(&self, number: u64) {
        self.all().remove(&number);
    }

    /// Nobody is there any more who would say something.
    pub(super) fn end_all(&self) {
        for outlet in self.all().values() {
            outlet.end(LiveEnd::Reset);
        }
    }

    fn all(&self) -> MutexGuard<'_, NumberMap<Arc<Outlet>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// JSON text in parts.
#[derive(Debug)]
pub struct LiveText {
    /// The beginning, with the client's name of the subscription.
    pub(super) head: Arc<str>,
    /// What the client resumes with if this is the last message it gets. ASCII without quotes.
    pub resume: Option<String>,
    /// All members but `id` and `resume`, and the closing brace: shared with all who are told the same.
    pub shared: Bytes,
}

impl LiveText {
    /// The whole text in its parts.
    pub fn parts(&self) -> [&[u8]; 5] {
        let (name, token, end): (&[u8], &[u8], &[u8]) = match &self.resume {
            None => (b"", b"", b""),
            Some(token) => (b"\"resume\":\"", token.as_bytes(), b"\","),
        };
        [self.head.as_bytes(), name, token, end, &self.shared]
    }
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveEnd {
    /// The client reads too slowly.
    TooSlow,
    /// The app's schema changed, or the app is closed: connect and subscribe again.
    Reset,
}

/// Writes to a client without waiting, for whoever has something for it: sparing the connection's own task most of its turns.
pub trait LiveSink: Send + Sync {
    /// Writes messages in their order, behind everything that was written before; may be called from any thread, and must not wait
    /// or call the connection.
    fn write(&self, messages: &mut dyn Iterator<Item = &LiveText>) -> LiveWritten;
}

/// What became of messages that were to be written at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveWritten {
    /// The system has them all.
    All,
    /// They were taken, and the connection's task has to write what the system had no room for.
    Partly,
    /// None was taken: the connection's task has to write them.
    Nothing,
}

/// Two have to do with it: whoever puts messages into it and delivers them, and the connection's own task, which writes what cannot be
/// delivered. A message never overtakes another one.
#[derive(Default)]
pub(super) struct Outlet {
    state: Mutex<State>,
    ready: Notify,
    /// Everything that waited was taken.
    taken: Notify,
}

#[derive(Default)]
struct State {
    messages: Vec<(Subscriber, LiveMessage)>,
    bytes: usize,
    end: Option<LiveEnd>,
    subscriptions: Subscriptions,
    /// Until the end.
    sink: Option<Arc<dyn LiveSink>>,
    /// Somebody is about to deliver what waits.
    is_marked: bool,
    /// The connection's task has messages that it may not have written yet.
    is_writing: bool,
    /// The connection's task must see to what the sink could not write.
    is_unfinished: bool,
    /// Somebody waits for room.
    is_waited_for: bool,
}

/// The subscriptions of a connection.
#[derive(Default)]
pub(super) struct Subscriptions {
    /// By the client's names.
    pub(super) by_id: HashMap<Arc<str>, Subscriber>,
    pub(super) numbers: NumberSet,
}

impl Subscriptions {
    pub(super) fn insert(&mut self, id: Arc<str>, number: Subscriber) {
        self.by_id.insert(id, number);
        self.numbers.insert(number);
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<Subscriber> {
        let number = self.by_id.remove(id)?;
        self.numbers.remove(&number);
        Some(number)
    }
}

impl Outlet {
    /// Puts a message behind the others. Whoever lets too many of them wait is cut off. True if the caller is to
    /// see to it that they are delivered.
    #[must_use]
    pub(super) fn push(&self, to: Subscriber, message: LiveMessage) -> bool {
        let mut state = self.state();
        if state.end.is_some() {
            return false;
        }
        state.bytes += size(&message);
        state.messages.push((to, message));
        if state.bytes > WAITING_BYTES || state.messages.len() > WAITING {
            state.messages = Vec::new();
            drop(state);
            self.end(LiveEnd::TooSlow);
            return false;
        }
        !std::mem::replace(&mut state.is_marked, true)
    }

    /// Writes what waits if that is possible at once, or leaves it to the connection's task.
    pub(super) fn deliver(&self) {
        let mut state = self.state();
        state.is_marked = false;
        if state.messages.is_empty() {
            return;
        }
        match state.write() {
            LiveWritten::All => {}
            LiveWritten::Partly => state.is_unfinished = true,
            LiveWritten::Nothing => {
                drop(state);
                self.ready.notify_one();
                return;
            }
        }
        let is_unfinished = state.is_unfinished;
        self.emptied(state);
        if is_unfinished {
            self.ready.notify_one();
        }
    }

    /// From now on messages are written through this where possible.
    pub(super) fn write_through(&self, sink: Arc<dyn LiveSink>) {
        let mut state = self.state();
        if state.end.is_none() {
            state.sink = Some(sink);
        }
    }

    /// No message comes after those that wait.
    pub(super) fn end(&self, end: LiveEnd) {
        let sink = {
            let mut state = self.state();
            state.end.get_or_insert(end);
            // Outlets live on for a while, with subscriptions that can be resumed.
            state.sink.take()
        };
        drop(sink);
        self.ready.notify_one();
        self.taken.notify_waiters();
    }

    pub(super) fn is_over(&self) -> bool {
        self.state().end.is_some()
    }

    /// Does something with the subscriptions. No message is written meanwhile.
    pub(super) fn with_subscriptions<T>(&self, work: impl FnOnce(&mut Subscriptions) -> T) -> T {
        work(&mut self.state().subscriptions)
    }

    /// Waits until there is room for a first result.
    pub(super) async fn room(&self) {
        loop {
            let taken = self.taken.notified();
            let mut taken = std::pin::pin!(taken);
            taken.as_mut().enable();
            {
                let mut state = self.state();
                if state.bytes <= BEFORE_RESULT || state.end.is_some() {
                    return;
                }
                state.is_waited_for = true;
            }
            taken.await;
        }
    }

    /// All messages that wait for subscriptions there are; waits for one. None if the sink has something to finish. One caller at a
    /// time, which has written what it got when it calls again.
    pub(super) async fn next(&self) -> Result<Vec<LiveMessage>, LiveEnd> {
        loop {
            {
                let mut state = self.state();
                state.is_writing = false;
                if !state.messages.is_empty() || state.is_unfinished {
                    let messages = state.take();
                    let is_unfinished = std::mem::take(&mut state.is_unfinished);
                    state.is_writing = !messages.is_empty();
                    self.emptied(state);
                    if !messages.is_empty() || is_unfinished {
                        return Ok(messages);
                    }
                    continue;
                }
                if let Some(end) = state.end {
                    return Err(end);
                }
            }
            self.ready.notified().await;
        }
    }

    /// Nothing waits any more.
    fn emptied(&self, mut state: MutexGuard<'_, State>) {
        state.bytes = 0;
        state.messages.clear();
        state.messages.shrink_to(KEPT_ROOM);
        if std::mem::take(&mut state.is_waited_for) {
            self.taken.notify_waiters();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Writes what waits through the sink, in one go and behind everything else.
    fn write(&self) -> LiveWritten {
        let Some(sink) = &self.sink else {
            return LiveWritten::Nothing;
        };
        // Errors end subscriptions, and are put into words elsewhere.
        let is_text = |(_, message): &_| matches!(message, LiveMessage::Text(_));
        if self.is_writing || self.is_unfinished || self.bytes > AT_ONCE || !self.messages.iter().all(is_text) {
            return LiveWritten::Nothing;
        }
        let mut texts = self.messages.iter().filter_map(|(to, message)| match message {
            LiveMessage::Text(text) if self.subscriptions.numbers.contains(to) => Some(text),
            LiveMessage::Text(_) | LiveMessage::Error(..) => None,
        });
        sink.write(&mut texts)
    }

    /// Takes what waits, without what is for subscriptions that the client has ended, or replaced. A subscription that ends with an error
    /// is forgotten.
    fn take(&mut self) -> Vec<LiveMessage> {
        let mut taken = Vec::with_capacity(self.messages.len());
        for (number, message) in self.messages.drain(..) {
            if !self.subscriptions.numbers.contains(&number) {
                continue;
            }
            if let LiveMessage::Error(id, _) = &message {
                self.subscriptions.remove(id);
            }
            taken.push(message);
        }
        taken
    }
}

impl std::fmt::Debug for Outlet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state();
        f.debug_struct("Outlet")
            .field("messages", &state.messages)
            .field("end", &state.end)
            .finish_non_exhaustive()
    }
}

fn size(message: &LiveMessage) -> usize {
    EACH + match message {
        // The second part is shared, but a slow client may be the last one to hold it.
        LiveMessage::Text(text) => text.head.len() + text.shared.len(),
        LiveMessage::Error(..) => 0,
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Takes what it is told to take.
    struct Sink {
        written: Mutex<Vec<String>>,
        answer: Mutex<LiveWritten>,
    }

    impl LiveSink for Sink {
        fn write(&self, messages: &mut dyn Iterator<Item = &LiveText>) -> LiveWritten {
            let answer = *self.answer.lock().unwrap();
            if answer != LiveWritten::Nothing {
                let texts = messages.map(|text| String::from_utf8(text.shared.to_vec()).unwrap());
                self.written.lock().unwrap().extend(texts);
            }
            answer
        }
    }

    fn outlet() -> (Outlet, Arc<Sink>) {
        let outlet = Outlet::default();
        let sink = Arc::new(Sink {
            written: Mutex::default(),
            answer: Mutex::new(LiveWritten::All),
        });
        outlet.with_subscriptions(|subscriptions| subscriptions.insert("one".into(), 1));
        outlet.write_through(sink.clone());
        (outlet, sink)
    }

    fn text(text: &'static str) -> LiveMessage {
        LiveMessage::Text(LiveText {
            head: "".into(),
            resume: None,
            shared: Bytes::from_static(text.as_bytes()),
        })
    }

    impl Outlet {
        fn tell(&self, to: Subscriber, message: LiveMessage) {
            if self.push(to, message) {
                self.deliver();
            }
        }

        fn came(&self) -> Option<Result<Vec<String>, LiveEnd>> {
            let messages = self.next().now_or_never()?;
            let words = |message| match message {
                LiveMessage::Text(text) => String::from_utf8(text.shared.to_vec()).unwrap(),
                LiveMessage::Error(id, _) => format!("error of {id}"),
            };
            Some(messages.map(|messages| messages.into_iter().map(words).collect()))
        }
    }

    impl Sink {
        fn answers(&self, answer: LiveWritten) {
            *self.answer.lock().unwrap() = answer;
        }

        fn written(&self) -> Vec<String> {
            std::mem::take(&mut self.written.lock().unwrap())
        }
    }

    #[test]
    fn messages_are_written_at_once_and_the_task_sleeps_on() {
        let (outlet, sink) = outlet();
        assert_eq!(outlet.came(), None);
        outlet.tell(1, text("a"));
        assert!(outlet.push(1, text("b")));
        assert!(!outlet.push(1, text("c")), "somebody sees to it already");
        outlet.deliver();
        assert_eq!(sink.written(), ["a", "b", "c"]);
        assert_eq!(outlet.came(), None);
    }

    #[test]
    fn a_message_that_waits_is_never_overtaken() {
        let (outlet, sink) = outlet();
        sink.answers(LiveWritten::Nothing);
        outlet.tell(1, text("a"));
        sink.answers(LiveWritten::All);
        assert_eq!(outlet.came(), Some(Ok(vec!["a".to_owned()])));
        // The task has it, and may be waiting for room.
        outlet.tell(1, text("b"));
        assert_eq!(sink.written(), [""; 0]);
        assert_eq!(outlet.came(), Some(Ok(vec!["b".to_owned()])));
        assert_eq!(outlet.came(), None);
        // Now it has written all, since it asked for more.
        outlet.tell(1, text("c"));
        assert_eq!(sink.written(), ["c"]);
    }

    #[test]
    fn what_was_written_in_part_is_finished_by_the_task() {
        let (outlet, sink) = outlet();
        sink.answers(LiveWritten::Partly);
        outlet.tell(1, text("a"));
        assert_eq!(sink.written(), ["a"]);
        sink.answers(LiveWritten::All);
        outlet.tell(1, text("b"));
        assert_eq!(sink.written(), [""; 0]);
        assert_eq!(outlet.came(), Some(Ok(vec!["b".to_owned()])));
        sink.answers(LiveWritten::Partly);
        assert_eq!(outlet.came(), None);
        outlet.tell(1, text("c"));
        assert_eq!(outlet.came(), Some(Ok(Vec::new())), "there is something to finish");
        assert_eq!(outlet.came(), None);
    }

    #[test]
    fn errors_and_long_messages_are_the_tasks() {
        let (outlet, sink) = outlet();
        assert!(outlet.push(1, text("a")));
        outlet.tell(1, LiveMessage::Error("one".into(), AppError::BadToken));
        outlet.deliver();
        assert_eq!(sink.written(), [""; 0]);
        let both = vec!["a".to_owned(), "error of one".to_owned()];
        assert_eq!(outlet.came(), Some(Ok(both)));
        outlet.tell(1, text("for nobody any more"));
        assert_eq!(sink.written(), [""; 0]);
        assert_eq!(outlet.came(), None);

        outlet.with_subscriptions(|subscriptions| subscriptions.insert("one".into(), 1));
        let long = Bytes::from(vec![b'x'; AT_ONCE]);
        let message = LiveText {
            head: "".into(),
            resume: None,
            shared: long,
        };
        outlet.tell(1, LiveMessage::Text(message));
        assert_eq!(sink.written(), [""; 0]);
        assert_eq!(outlet.came().unwrap().unwrap().len(), 1);
    }

    #[test]
    fn nothing_is_written_for_a_subscription_that_was_ended() {
        let (outlet, sink) = outlet();
        assert!(outlet.push(1, text("a")));
        outlet.with_subscriptions(|subscriptions| subscriptions.remove("one"));
        outlet.deliver();
        assert_eq!(sink.written(), [""; 0]);
        assert_eq!(outlet.came(), None);
    }

    #[test]
    fn after_the_end_nothing_is_written_and_the_sink_is_let_go() {
        let (outlet, sink) = outlet();
        assert!(outlet.push(1, text("a")));
        outlet.end(LiveEnd::Reset);
        outlet.deliver();
        assert_eq!((sink.written().len(), Arc::strong_count(&sink)), (0, 1));
        outlet.write_through(sink.clone());
        assert_eq!(Arc::strong_count(&sink), 1);
        // What was said before is still the task's.
        assert_eq!(outlet.came(), Some(Ok(vec!["a".to_owned()])));
        assert_eq!(outlet.came(), Some(Err(LiveEnd::Reset)));
    }

    #[test]
    fn s44_who_does_not_read_is_cut_off() {
        let (outlet, sink) = outlet();
        sink.answers(LiveWritten::Nothing);
        for _ in 0..WAITING {
            outlet.tell(1, text("a"));
            assert!(!outlet.is_over());
        }
        outlet.tell(1, text("a"));
        assert_eq!(outlet.came(), Some(Err(LiveEnd::TooSlow)));
        assert_eq!(Arc::strong_count(&sink), 1);
    }

    #[test]
    fn whoever_waits_for_room_has_it_when_everything_is_written() {
        let (outlet, sink) = outlet();
        let half = Bytes::from(vec![b'x'; AT_ONCE / 2]);
        sink.answers(LiveWritten::Nothing);
        for _ in 0..=2 * BEFORE_RESULT / AT_ONCE {
            let message = LiveText {
                head: "".into(),
                resume: None,
                shared: half.clone(),
            };
            outlet.tell(1, LiveMessage::Text(message));
        }
        let mut room = Box::pin(outlet.room());
        assert!(room.as_mut().now_or_never().is_none());
        outlet.came().unwrap().unwrap();
        assert!(room.as_mut().now_or_never().is_some());
    }
}
