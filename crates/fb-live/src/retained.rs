//! Committed writes, as they come in and as they are kept for those who are about to register.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use fb_types::{Acl, ChangeKind, ClassName, ObjectKey, Seq};

/// One committed write of an object.
#[derive(Debug, Clone)]
pub struct Image {
    /// Position of the write.
    pub seq: Seq,
    /// The object's class.
    pub class: ClassName,
    /// The object's key.
    pub key: ObjectKey,
    /// What was done.
    pub kind: ChangeKind,
    /// The object's rules after the write; `None` is public.
    pub acl: Option<Arc<Acl>>,
    /// The object's JSON after the write; `None` exactly for deletes.
    pub body: Option<Bytes>,
}

/// How much is kept for subscribers that are about to be registered. What exceeds it makes them too late.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Writes
    pub writes: usize,
    /// Bytes of their objects
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            writes: 100_000,
            bytes: 64 << 20,
        }
    }
}

/// Writes behind the oldest position that somebody may still begin at.
#[derive(Debug)]
pub(crate) struct Retained {
    limits: Limits,
    images: VecDeque<Arc<Image>>,
    bytes: usize,
    /// Everything behind this position is there, if there are tickets.
    complete_from: Seq,
    /// Positions that somebody waits at, and how many.
    tickets: BTreeMap<Seq, usize>,
}

impl Retained {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            images: VecDeque::new(),
            bytes: 0,
            complete_from: Seq(0),
            tickets: BTreeMap::new(),
        }
    }

    pub(crate) fn open(&mut self, position: Seq) {
        if self.tickets.is_empty() {
            self.complete_from = position;
        }
        *self.tickets.entry(position).or_default() += 1;
    }

    /// What was written up to here is not kept.
    pub(crate) fn lose(&mut self, position: Seq) {
        self.images.retain(|image| image.seq > position);
        self.bytes = self.images.iter().map(|image| size(image)).sum();
        self.complete_from = self.complete_from.max(position);
    }

    pub(crate) fn close(&mut self, position: Seq) {
        if let Some(n) = self.tickets.get_mut(&position) {
            *n -= 1;
            if *n == 0 {
                self.tickets.remove(&position);
                self.trim();
            }
        }
    }

    pub(crate) fn push(&mut self, image: &Arc<Image>) {
        if self.tickets.is_empty() {
            return;
        }
        self.bytes += size(image);
        self.images.push_back(image.clone());
        while self.images.len() > self.limits.writes || self.bytes > self.limits.bytes {
            self.drop_first();
        }
    }

    /// All writes behind `seq` in the order they came, or `None` if some are gone.
    pub(crate) fn after(&self, seq: Seq) -> Option<impl Iterator<Item = &Arc<Image>>> {
        (seq >= self.complete_from).then(|| self.images.iter().filter(move |image| image.seq > seq))
    }

    /// True if nobody waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.tickets.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.images.len()
    }

    /// Forgets what nobody waits for.
    fn trim(&mut self) {
        let Some((oldest, _)) = self.tickets.first_key_value() else {
            self.images.clear();
            self.bytes = 0;
            return;
        };
        let oldest = *oldest;
        while self.images.front().is_some_and(|image| image.seq <= oldest) {
            self.drop_first();
        }
    }

    fn drop_first(&mut self) {
        if let Some(image) = self.images.pop_front() {
            self.bytes -= size(&image);
            self.complete_from = self.complete_from.max(image.seq);
        }
    }
}

fn size(image: &Image) -> usize {
    // What an entry takes by itself, roughly.
    image.body.as_ref().map_or(0, Bytes::len) + 200
}
