//! What happens when.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use fb_sketch::{Record, Snapshot};

use super::Time;

pub type RequestId = u32;
pub type FetchId = u32;

#[derive(Debug)]
pub enum Event {
    Read {
        client: usize,
    },
    AtEdge(RequestId),
    AtOrigin(FetchId),
    Select(FetchId),
    Respond(FetchId),
    BackAtEdge(FetchId),
    AtClient {
        request: RequestId,
        version: u32,
        ttl: Time,
    },
    FilterAtEdge {
        client: usize,
        sent: Time,
    },
    FilterAtOrigin {
        client: usize,
        sent: Time,
        edge_sent: Time,
    },
    FilterBackAtEdge {
        client: usize,
        sent: Time,
        edge_sent: Time,
        filter: Sent,
    },
    FilterAtClient {
        client: usize,
        sent: Time,
        filter: Sent,
    },
    RefreshTimeout {
        client: usize,
        sent: Time,
    },
    Write {
        key: usize,
        writer: usize,
    },
    Commit(Write),
    Report(Write),
    Acknowledge(Write),
    Acknowledged(Write, Time),
    Purge {
        edge: usize,
        key: usize,
    },
    Flush {
        edge: usize,
        connected: bool,
    },
    TakeRecords,
    OnDisk {
        boot: u64,
        records: Vec<Record>,
    },
    Tick,
    Crash,
    Restart,
}

/// A filter on its way, with its age when it was sent.
#[derive(Debug, Clone)]
pub struct Sent {
    pub snapshot: Arc<Snapshot>,
    /// The generation as it is believed to be.
    pub generation: Time,
    pub age: Time,
}

#[derive(Debug, Clone, Copy)]
pub struct Write {
    pub key: usize,
    pub version: u32,
    pub writer: usize,
    pub boot: u64,
    pub reported: Time,
}

#[derive(Debug)]
struct Due {
    time: Time,
    number: u64,
    event: Event,
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Due {}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.time, other.number).cmp(&(self.time, self.number))
    }
}

#[derive(Debug, Default)]
pub struct Agenda {
    due: BinaryHeap<Due>,
    number: u64,
}

impl Agenda {
    pub fn at(&mut self, time: Time, event: Event) {
        self.number += 1;
        self.due.push(Due {
            time,
            number: self.number,
            event,
        });
    }

    pub fn next(&mut self) -> Option<(Time, Event)> {
        self.due.pop().map(|due| (due.time, due.event))
    }
}

/// Places that are used again.
#[derive(Debug)]
pub struct Slab<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    pub fn add(&mut self, value: T) -> u32 {
        if let Some(id) = self.free.pop() {
            self.places[id as usize] = Some(value);
            return id;
        }
        self.places.push(Some(value));
        self.places.len() as u32 - 1
    }

    pub fn take(&mut self, id: u32) -> T {
        self.free.push(id);
        self.places[id as usize].take().expect("taken once")
    }

    pub fn get(&mut self, id: u32) -> &mut T {
        self.places[id as usize].as_mut().expect("still there")
    }
}
