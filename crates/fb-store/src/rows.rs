//! Results of reading many objects: one buffer that already is the JSON array.

use fb_types::{ObjectKey, Version};

/// Objects in order, as one JSON array text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows {
    json: Vec<u8>,
    rows: Vec<Row>,
}

/// One object of [`Rows`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Key within the class.
    pub key: ObjectKey,
    /// Number of writes so far.
    pub version: Version,
    /// Shape its JSON was written under; see [`fb_types::Class::shape`].
    pub shape: u32,
    start: usize,
    end: usize,
}

impl Rows {
    /// The JSON array of all objects.
    pub fn into_json(self) -> Vec<u8> {
        self.json
    }

    /// The objects' headers, in order.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The JSON text of one of [`Self::rows`].
    pub fn body(&self, row: &Row) -> &[u8] {
        &self.json[row.start..row.end]
    }
}

/// Collects [`Rows`] without a copy per object.
#[derive(Debug)]
pub struct RowsBuilder {
    json: Vec<u8>,
    rows: Vec<Row>,
}

impl Default for RowsBuilder {
    fn default() -> Self {
        Self {
            json: vec![b'['],
            rows: Vec::new(),
        }
    }
}

impl RowsBuilder {
    /// Adds an object.
    pub fn push(&mut self, key: ObjectKey, version: Version, shape: u32, body: &[u8]) {
        if !self.rows.is_empty() {
            self.json.push(b',');
        }
        let start = self.json.len();
        self.json.extend_from_slice(body);
        self.rows.push(Row {
            key,
            version,
            shape,
            start,
            end: self.json.len(),
        });
    }

    /// Bytes collected so far.
    pub fn size(&self) -> usize {
        self.json.len()
    }

    /// The result.
    pub fn finish(mut self) -> Rows {
        self.json.push(b']');
        Rows {
            json: self.json,
            rows: self.rows,
        }
    }
}
