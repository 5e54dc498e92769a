//! An event, as receivers get it and as it is written down.

use fb_types::{Change, Subject};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::cause::Note;
use super::targets::EventKind;

/// An event. As JSON it is what code and webhooks get, except for `attempt` and what the server keeps to itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Event {
    pub(super) operation: EventKind,
    /// `/db/<class>/<key>` or `/file/<bucket>/<path>`.
    pub(super) id: String,
    pub(super) version: u64,
    /// The object after the change; null for deletes and uploads.
    pub(super) object: Value,
    /// The file as it was uploaded, or null.
    pub(super) file: Value,
    pub(super) seq: u64,
    /// When it was committed.
    pub(super) date: String,
    /// Tells the change from all others of the app, also from those of an earlier app of the same name.
    pub(super) stamp: u64,
    /// Receivers that led to the change.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) chain: Vec<String>,
}

impl Event {
    pub(super) fn of(change: &Change, kind: EventKind, note: Option<Note>) -> Self {
        let note = note.unwrap_or_default();
        let object = change.body.as_ref().map(|body| serde_json::from_slice(body));
        Self {
            operation: kind,
            id: subject_id(&change.subject),
            version: change.version.0,
            object: object.and_then(Result::ok).unwrap_or_default(),
            file: note.file.unwrap_or_default(),
            seq: change.seq.0,
            date: change.at.to_string(),
            stamp: change.stamp,
            chain: note.chain,
        }
    }

    /// What receivers are told.
    pub(super) fn told(&self) -> Map<String, Value> {
        Map::from_iter([
            ("operation".to_owned(), json!(self.operation)),
            ("id".to_owned(), json!(self.id)),
            ("version".to_owned(), json!(self.version)),
            ("object".to_owned(), self.object.clone()),
            ("file".to_owned(), self.file.clone()),
            ("seq".to_owned(), json!(self.seq)),
            ("date".to_owned(), json!(self.date)),
        ])
    }
}

pub(super) fn subject_id(subject: &Subject) -> String {
    match subject {
        Subject::Object(id) => id.to_string(),
        Subject::File(id) => id.to_string(),
        Subject::Bucket(name) => format!("/file/{name}"),
    }
}
