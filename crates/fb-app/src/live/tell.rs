//! Messages as protocol 08, section 3, has them.

use std::sync::Arc;

use bytes::Bytes;
use fb_auth::{FieldRights, Objects};
use fb_live::{Content, Event, Operation, Subscriber};
use fb_types::{ClassName, ObjectKey, Schema, Timestamp, without_members};

use super::outlet::{LiveMessage, LiveText, Outlet};
use super::resume::Log;
use super::wish::Events;

/// How many different parts of an object are kept to be told again.
const PARTS: usize = 16;

/// Somebody who is told.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) outlet: Arc<Outlet>,
    pub(super) number: Subscriber,
    /// The beginning of its messages.
    pub(super) head: Arc<str>,
    /// If it can be resumed.
    pub(super) log: Option<Log>,
    pub(super) events: Events,
    pub(super) fields: FieldRights,
    pub(super) schema: Arc<Schema>,
    pub(super) class: ClassName,
}

impl Listener {
    /// What a listener with these rights may see of an object. `None` if it is broken, which cannot happen.
    fn visible(&self, key: &ObjectKey, body: &Bytes) -> Option<Bytes> {
        if self.fields.read_everything() {
            return Some(body.clone());
        }
        let is_hidden = |name: &str| !self.fields.may_read(name, Objects::One(key));
        let class = self.schema.class(self.class.as_str())?;
        if class.fields().iter().any(|field| is_hidden(field.name())) {
            without_members(body, is_hidden).ok()
        } else {
            Some(body.clone())
        }
    }
}

/// The beginning of all messages of a subscription.
pub(super) fn head(id: &str) -> Arc<str> {
    format!("{{\"id\":{},", serde_json::Value::from(id)).into()
}

/// One event, put into words once for all who are told the same.
pub(super) struct Telling<'a> {
    event: &'a Event,
    now: Timestamp,
    /// By the name it is told under, for those who see the object as a whole.
    whole: Vec<(&'static str, Bytes)>,
    /// The same for those who see a part of it: a few, since who has the same roles mostly has the same rights.
    parts: Vec<(FieldRights, &'static str, Bytes)>,
}

impl<'a> Telling<'a> {
    pub(super) fn new(event: &'a Event, now: Timestamp) -> Self {
        Self {
            event,
            now,
            whole: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// True if the caller is to see to it that the listener's outlet is delivered.
    #[must_use]
    pub(super) fn tell(&mut self, listener: &mut Listener) -> bool {
        let Some(name) = listener.events.name(self.event.what, self.event.operation) else {
            return false;
        };
        let shared = match &self.event.content {
            Content::Whole(body) if !listener.fields.read_everything() => {
                let known = self
                    .parts
                    .iter()
                    .find(|(fields, known, _)| *known == name && *fields == listener.fields);
                match known {
                    Some((.., text)) => text.clone(),
                    None => {
                        let Some(seen) = listener.visible(&self.event.key, body) else {
                            return false;
                        };
                        let text = self.text(name, &listener.class, Some(&seen));
                        if self.parts.len() < PARTS {
                            self.parts.push((listener.fields.clone(), name, text.clone()));
                        }
                        text
                    }
                }
            }
            content => match self.whole.iter().find(|(known, _)| *known == name) {
                Some((_, text)) => text.clone(),
                None => {
                    let body = match content {
                        Content::Whole(body) => Some(body),
                        Content::IdOnly => None,
                    };
                    let text = self.text(name, &listener.class, body);
                    self.whole.push((name, text.clone()));
                    text
                }
            },
        };
        let message = LiveText {
            head: listener.head.clone(),
            resume: listener.log.as_mut().map(|log| log.push(&shared)),
            shared,
        };
        listener.outlet.push(listener.number, LiveMessage::Text(message))
    }

    fn text(&self, name: &str, class: &ClassName, body: Option<&Bytes>) -> Bytes {
        let event = self.event;
        let operation = match event.operation {
            Operation::Insert => "insert",
            Operation::Update => "update",
            Operation::Delete => "delete",
            Operation::None => "none",
        };
        let index = event
            .index
            .map(|index| format!("\"index\":{index},"))
            .unwrap_or_default();
        let mut text = format!(
            "\"type\":\"match\",\"date\":\"{}\",\"matchType\":\"{name}\",\"operation\":\"{operation}\",{index}\"data\":",
            self.now
        )
        .into_bytes();
        match body {
            Some(body) => text.extend_from_slice(body),
            // Keys are encoded: without quotes or backslashes.
            None => text.extend_from_slice(format!("{{\"id\":\"/db/{class}/{}\"}}", event.key).as_bytes()),
        }
        text.push(b'}');
        text.into()
    }
}

/// The first message of a subscription: the result, or that it has begun. To who wanted to resume one, whether it is that.
pub(super) fn first(result: Option<&[u8]>, resumed: Option<bool>, now: Timestamp) -> Bytes {
    let resumed = resumed
        .map(|resumed| format!(",\"resumed\":{resumed}"))
        .unwrap_or_default();
    let mut text = match result {
        Some(_) => format!("\"type\":\"result\",\"date\":\"{now}\"{resumed},\"data\":"),
        None => format!("\"type\":\"subscribed\",\"date\":\"{now}\"{resumed}"),
    }
    .into_bytes();
    text.extend_from_slice(result.unwrap_or_default());
    text.push(b'}');
    text.into()
}

impl Listener {
    /// Objects as one JSON array.
    pub(super) fn result(&self, rows: &[fb_live::Row]) -> Vec<u8> {
        let mut json = vec![b'['];
        for body in rows.iter().filter_map(|row| self.visible(&row.key, &row.body)) {
            if json.len() > 1 {
                json.push(b',');
            }
            json.extend_from_slice(&body);
        }
        json.push(b']');
        json
    }
}
