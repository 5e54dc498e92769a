//! The sources of an app.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use crate::source_map::SourceMap;

/// All code of an app. Immutable; changed code is a new value, and instances that ran the old one run no further calls.
#[derive(Debug, Default)]
pub struct Code {
    sources: HashMap<String, HashMap<String, Source>>,
}

#[derive(Debug)]
struct Source {
    text: Arc<str>,
    /// Whether it is an ES module; known when it has been compiled for the first time.
    is_es: OnceLock<bool>,
    /// Columns of the wrapper in front of the first line.
    head: AtomicU32,
    /// Read when the first error is reported.
    map: OnceLock<Option<SourceMap>>,
}

impl Code {
    /// From bucket, type and source.
    pub fn new(sources: impl IntoIterator<Item = (String, String, Arc<str>)>) -> Self {
        let mut code = Self::default();
        for (bucket, code_type, text) in sources {
            let source = Source {
                text,
                is_es: OnceLock::new(),
                head: AtomicU32::new(0),
                map: OnceLock::new(),
            };
            code.sources.entry(bucket).or_default().insert(code_type, source);
        }
        code
    }

    /// The source of `/code/<bucket>/<type>`.
    pub fn get(&self, bucket: &str, code_type: &str) -> Option<&Arc<str>> {
        self.source(bucket, code_type).map(|source| &source.text)
    }

    /// Buckets and types, in no order.
    pub fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.sources
            .iter()
            .flat_map(|(bucket, types)| types.keys().map(move |code_type| (bucket.as_str(), code_type.as_str())))
    }

    pub(crate) fn is_es(&self, bucket: &str, code_type: &str) -> Option<bool> {
        self.source(bucket, code_type)?.is_es.get().copied()
    }

    /// It was compiled, with a wrapper of `head` columns in front.
    pub(crate) fn found(&self, bucket: &str, code_type: &str, is_es: bool, head: usize) {
        if let Some(source) = self.source(bucket, code_type) {
            let _ = source.is_es.set(is_es);
            source.head.store(u32::try_from(head).unwrap_or(0), Ordering::Relaxed);
        }
    }

    pub(crate) fn head(&self, bucket: &str, code_type: &str) -> u32 {
        self.source(bucket, code_type)
            .map_or(0, |source| source.head.load(Ordering::Relaxed))
    }

    pub(crate) fn map(&self, bucket: &str, code_type: &str) -> Option<&SourceMap> {
        let source = self.source(bucket, code_type)?;
        source.map.get_or_init(|| SourceMap::inline(&source.text)).as_ref()
    }

    /// Whether some code throws `null` by itself.
    pub(crate) fn throws_null(&self) -> bool {
        let mut texts = self
            .sources
            .values()
            .flat_map(HashMap::values)
            .map(|source| &source.text);
        texts.any(|text| text.contains("throw null") || text.contains("eject(null)"))
    }

    fn source(&self, bucket: &str, code_type: &str) -> Option<&Source> {
        self.sources.get(bucket)?.get(code_type)
    }
}
