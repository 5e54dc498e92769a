//! Mail that is kept instead of sent, for development.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fb_types::{Clock, Timestamp};
use serde::{Serialize, Serializer};

use crate::{BoxFuture, MailError, Mailer, Message};

/// Messages that are kept.
const KEPT: usize = 200;
/// Bytes that are kept.
const KEPT_BYTES: usize = 16 * 1024 * 1024;

/// Keeps the newest messages in memory, at most 200 and 16 MiB over all apps, and sends nothing. For development: the
/// single-use links in them are readable for whoever may call [`Catcher::list`].
pub struct Catcher {
    clock: Arc<dyn Clock>,
    max_messages: usize,
    max_bytes: usize,
    /// A std mutex: sections are short and never await.
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    last_id: u64,
    bytes: usize,
    /// Oldest first.
    messages: VecDeque<(usize, Arc<Caught>)>,
}

/// A message that was caught. As JSON `{"id":1,"at":"2024-11-20T22:16:00Z","origin":…,"from":…,"to":…,"subject":…,
/// "text":…,"html":…}`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Caught {
    /// Counts up from 1 over all apps, as long as the process lives.
    pub id: u64,
    /// When it was caught.
    #[serde(serialize_with = "as_text")]
    pub at: Timestamp,
    /// The app that sent it.
    pub origin: String,
    /// The sender, `Name <address>` or the address alone.
    pub from: String,
    /// The recipient's address.
    pub to: String,
    /// The subject.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML body.
    pub html: Option<String>,
}

fn as_text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

impl Catcher {
    /// An empty one.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self::with_limits(clock, KEPT, KEPT_BYTES)
    }

    /// An empty one that keeps at most `max_messages` and, in all, `max_bytes`. A larger message is not kept at all.
    pub fn with_limits(clock: Arc<dyn Clock>, max_messages: usize, max_bytes: usize) -> Self {
        Self {
            clock,
            max_messages,
            max_bytes,
            kept: Mutex::default(),
        }
    }

    /// The messages of one app, newest first.
    pub fn list(&self, origin: &str) -> Vec<Arc<Caught>> {
        let kept = self.kept();
        let of_origin = kept.messages.iter().rev().filter(|(_, caught)| caught.origin == origin);
        of_origin.map(|(_, caught)| Arc::clone(caught)).collect()
    }

    /// A message of one app. `None` if there is none, if it is no longer kept, or if it belongs to another app.
    pub fn get(&self, origin: &str, id: u64) -> Option<Arc<Caught>> {
        let kept = self.kept();
        let mut found = kept
            .messages
            .iter()
            .filter(|(_, caught)| caught.id == id && caught.origin == origin);
        found.next().map(|(_, caught)| Arc::clone(caught))
    }

    /// Forgets the messages of one app.
    pub fn clear(&self, origin: &str) {
        let mut kept = self.kept();
        kept.messages.retain(|(_, caught)| caught.origin != origin);
        kept.bytes = kept.messages.iter().map(|(size, _)| size).sum();
    }

    fn keep(&self, message: &Message) {
        let at = self.clock.now();
        let size = message.size();
        if size > self.max_bytes {
            return;
        }
        let mut kept = self.kept();
        kept.last_id += 1;
        let caught = Caught {
            id: kept.last_id,
            at,
            origin: message.origin().to_owned(),
            from: message.sender().to_string(),
            to: message.to().to_owned(),
            subject: message.subject().to_owned(),
            text: message.text().to_owned(),
            html: message.html().map(str::to_owned),
        };
        kept.bytes += size;
        kept.messages.push_back((size, Arc::new(caught)));
        while kept.messages.len() > self.max_messages || kept.bytes > self.max_bytes {
            let Some((size, _)) = kept.messages.pop_front() else {
                break;
            };
            kept.bytes -= size;
        }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Mailer for Catcher {
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), MailError>> {
        Box::pin(async {
            self.keep(message);
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Content, Sender};

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            "2024-11-20T12:00:00Z".parse().unwrap()
        }
    }

    fn message(origin: &str, text: &str) -> Message {
        let content = Content {
            subject: "Hello".into(),
            text: text.into(),
            html: None,
        };
        Message::new(
            origin,
            Sender::new(Some("A"), "a@example.org").unwrap(),
            "b@example.org",
            content,
        )
        .unwrap()
    }

    fn texts(catcher: &Catcher, origin: &str) -> Vec<String> {
        catcher.list(origin).iter().map(|caught| caught.text.clone()).collect()
    }

    #[tokio::test]
    async fn apps_see_their_own_messages_newest_first() {
        let catcher = Catcher::new(Arc::new(Noon));
        for (origin, text) in [("todo", "1"), ("chat", "2"), ("todo", "3")] {
            catcher.send(&message(origin, text)).await.unwrap();
        }
        assert_eq!(texts(&catcher, "todo"), ["3", "1"]);
        assert_eq!(catcher.get("chat", 2).unwrap().text, "2");
        assert!(catcher.get("todo", 2).is_none());
        catcher.clear("todo");
        assert!(catcher.list("todo").is_empty());
        assert_eq!(
            serde_json::to_value(catcher.list("chat")).unwrap(),
            serde_json::json!([{
                "id": 2, "at": "2024-11-20T12:00:00Z", "origin": "chat", "from": "A <a@example.org>",
                "to": "b@example.org", "subject": "Hello", "text": "2", "html": null
            }])
        );
    }

    #[tokio::test]
    async fn the_oldest_go_first() {
        let by_count = Catcher::with_limits(Arc::new(Noon), 2, usize::MAX);
        let by_bytes = Catcher::with_limits(Arc::new(Noon), 100, 2 * message("todo", "1").size());
        for catcher in [by_count, by_bytes] {
            for text in ["1", "2", "3"] {
                catcher.send(&message("todo", text)).await.unwrap();
            }
            assert_eq!(texts(&catcher, "todo"), ["3", "2"]);
            assert_eq!(catcher.get("todo", 3).unwrap().id, 3);
        }
        let tiny = Catcher::with_limits(Arc::new(Noon), 100, 10);
        tiny.send(&message("todo", "1")).await.unwrap();
        assert!(tiny.list("todo").is_empty());
    }
}
