//! What led to a change: notes on the changes that code makes while it handles an event.

use std::sync::Arc;

use fb_store::{Batch, Write};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A note on a change, as JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Note {
    /// The receivers of events whose code made the change, the first one first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) chain: Vec<String>,
    /// The file as it was uploaded, if the change is an upload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) file: Option<Value>,
}

tokio::task_local! {
    /// Not a parameter: it concerns every write that code makes, on whatever way it comes to it.
    static CHAIN: Arc<Vec<String>>;
}

/// Runs `work`; what it writes was led to by these receivers.
pub(super) async fn caused_by<T>(chain: Vec<String>, work: impl Future<Output = T>) -> T {
    CHAIN.scope(Arc::new(chain), work).await
}

impl Note {
    /// A note on what is written now.
    pub(crate) fn now(file: Option<Value>) -> Self {
        Self {
            chain: CHAIN.try_with(|chain| Vec::clone(chain)).unwrap_or_default(),
            file,
        }
    }

    pub(crate) fn write(&self) -> Write {
        // Text, lists and JSON can always be written.
        Write::Note(serde_json::to_vec(self).unwrap_or_default())
    }
}

/// The batch with a note on what led to it, if it is code that handles an event. True if there is one more outcome.
pub(crate) fn noted(mut batch: Batch) -> (Batch, bool) {
    let is_caused = CHAIN.try_with(|_| ()).is_ok();
    let is_noted = matches!(batch.writes.last(), Some(Write::Note(_)));
    if is_caused && !is_noted {
        batch.writes.push(Note::now(None).write());
        return (batch, true);
    }
    (batch, false)
}
