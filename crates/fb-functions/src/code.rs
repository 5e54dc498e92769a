//! The sources of an app.

use std::collections::HashMap;
use std::sync::Arc;

/// All code of an app. Immutable; changed code is a new value, and instances that ran the old one run no further calls.
#[derive(Debug, Default)]
pub struct Code {
    sources: HashMap<(String, String), Arc<str>>,
}

impl Code {
    /// From bucket, type and source.
    pub fn new(sources: impl IntoIterator<Item = (String, String, Arc<str>)>) -> Self {
        Self {
            sources: sources
                .into_iter()
                .map(|(bucket, code_type, source)| ((bucket, code_type), source))
                .collect(),
        }
    }

    /// The source of `/code/<bucket>/<type>`.
    pub fn get(&self, bucket: &str, code_type: &str) -> Option<&Arc<str>> {
        self.sources.get(&(bucket.to_owned(), code_type.to_owned()))
    }

    /// Buckets and types, in no order.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources
            .keys()
            .map(|(bucket, code_type)| (bucket.as_str(), code_type.as_str()))
    }
}
