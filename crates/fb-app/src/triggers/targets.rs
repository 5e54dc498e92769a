//! Who gets which events.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use fb_types::{Change, ChangeKind, Subject};

use super::cause::Note;
use super::signal::file_bucket;
use crate::Settings;
use crate::functions::{CodeType, Sources};

/// What happened, as receivers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EventKind {
    /// An object is new.
    Insert,
    /// An object was changed.
    Update,
    /// An object is gone.
    Delete,
    /// A file was uploaded.
    Upload,
}

impl EventKind {
    /// What a change is to receivers; `None` if they are not told of it.
    pub(super) fn of(change: &Change, note: Option<&Note>) -> Option<Self> {
        match (&change.subject, change.kind) {
            (Subject::Object(_), ChangeKind::Insert) => Some(Self::Insert),
            (Subject::Object(_), ChangeKind::Update) => Some(Self::Update),
            (Subject::Object(_), ChangeKind::Delete) => Some(Self::Delete),
            (Subject::File(_), ChangeKind::Insert | ChangeKind::Update) => {
                note.is_some_and(|note| note.file.is_some()).then_some(Self::Upload)
            }
            (Subject::File(_), ChangeKind::Delete) | (Subject::Bucket(_), _) => None,
        }
    }

    fn code(self) -> CodeType {
        match self {
            Self::Insert => CodeType::AfterInsert,
            Self::Update => CodeType::AfterUpdate,
            Self::Delete => CodeType::AfterDelete,
            Self::Upload => CodeType::AfterUpload,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Upload => "upload",
        }
    }

    const ALL: [Self; 4] = [Self::Insert, Self::Update, Self::Delete, Self::Upload];
}

/// Who gets events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Code(String, CodeType),
    Webhook(String),
}

impl Target {
    /// `code.<bucket>.<type>` or `webhook.<name>`: in records, in lists for administrators, and in chains.
    pub(super) fn id(&self) -> Arc<str> {
        match self {
            Self::Code(bucket, kind) => format!("code.{bucket}.{}", kind.as_str()).into(),
            Self::Webhook(name) => format!("webhook.{name}").into(),
        }
    }

    pub(super) fn parse(id: &str) -> Option<Self> {
        if let Some(name) = id.strip_prefix("webhook.") {
            return Some(Self::Webhook(name.to_owned()));
        }
        let (bucket, kind) = id.strip_prefix("code.")?.rsplit_once('.')?;
        Some(Self::Code(bucket.to_owned(), kind.parse().ok()?))
    }
}

/// All receivers of an app.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Targets {
    by_event: HashMap<(String, EventKind), Vec<Arc<str>>>,
}

/// Changes of logs are no events: what fails is logged, which would be the next event.
pub(crate) fn has_events(class: &str) -> bool {
    !class.starts_with("logs.")
}

impl Targets {
    pub(super) fn of(sources: &Sources, settings: &Settings) -> Self {
        let mut all = Self::default();
        for kind in EventKind::ALL {
            for bucket in sources.buckets_with(kind.code()) {
                all.add(bucket, kind, &Target::Code(bucket.to_owned(), kind.code()));
            }
        }
        for (name, webhook) in settings.webhooks.active() {
            for events in &webhook.events {
                for kind in &events.operations {
                    all.add(&events.bucket, *kind, &Target::Webhook(name.clone()));
                }
            }
        }
        all
    }

    fn add(&mut self, bucket: &str, kind: EventKind, target: &Target) {
        let place = match kind {
            EventKind::Upload => file_bucket(bucket),
            EventKind::Insert | EventKind::Update | EventKind::Delete if !has_events(bucket) => return,
            EventKind::Insert | EventKind::Update | EventKind::Delete => bucket.to_owned(),
        };
        let targets = self.by_event.entry((place, kind)).or_default();
        let id = target.id();
        if !targets.contains(&id) {
            targets.push(id);
        }
    }

    /// Who gets this event.
    pub(super) fn of_event(&self, subject: &Subject, kind: EventKind) -> &[Arc<str>] {
        let place = match subject {
            Subject::Object(id) => id.class().as_str().to_owned(),
            Subject::File(id) => file_bucket(id.bucket().as_str()),
            Subject::Bucket(_) => return &[],
        };
        self.by_event.get(&(place, kind)).map_or(&[], Vec::as_slice)
    }

    /// What changes are of interest about.
    pub(super) fn places(&self) -> HashSet<String> {
        self.by_event.keys().map(|(place, _)| place.clone()).collect()
    }

    pub(super) fn ids(&self) -> BTreeSet<Arc<str>> {
        self.by_event.values().flatten().cloned().collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_event.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_targets_are_read_back() {
        for target in [
            Target::Code("shop.Order".into(), CodeType::AfterDelete),
            Target::Webhook("my-hook".into()),
            Target::Webhook("a.afterInsert".into()),
        ] {
            assert_eq!(Target::parse(&target.id()), Some(target));
        }
        for text in ["", "code", "code.x", "code.x.y", "other.x"] {
            assert_eq!(Target::parse(text), None, "{text}");
        }
    }
}
