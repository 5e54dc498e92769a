//! Which app a request is for.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwapOption;
use fb_store::AppRecord;
use fb_types::{AppId, Timestamp};
use tokio::sync::Mutex;

use crate::App;
use crate::triggers::Due;

/// An app, awake or asleep.
pub struct Slot {
    id: AppId,
    /// When the app was registered; tells it from an earlier one of the same name.
    created_at: Timestamp,
    pub(crate) app: ArcSwapOption<App>,
    /// Held while the app wakes up or goes to sleep, across both: an app's files are never open twice.
    pub(crate) transition: Mutex<()>,
    /// Set by every request; whoever puts apps to sleep clears it.
    pub(crate) touched: AtomicBool,
    /// When the app is due next, awake or asleep.
    pub(crate) due: Arc<Due>,
    /// Whether the node's record says that the app does things by itself. `None` if nobody has looked.
    pub(crate) is_marked: Mutex<Option<bool>>,
}

impl Slot {
    fn new(record: &AppRecord) -> Self {
        Self {
            id: record.id.clone(),
            created_at: record.created_at,
            app: ArcSwapOption::empty(),
            transition: Mutex::new(()),
            touched: AtomicBool::new(false),
            due: Arc::default(),
            is_marked: Mutex::new(None),
        }
    }

    /// The app's name.
    pub fn id(&self) -> &AppId {
        &self.id
    }

    /// When the app was registered.
    pub(crate) fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// The app, if it is awake.
    pub(crate) fn awake(&self) -> Option<Arc<App>> {
        if !self.touched.load(Ordering::Relaxed) {
            self.touched.store(true, Ordering::Relaxed);
        }
        self.app.load_full()
    }
}

/// All apps by name and host.
#[derive(Default)]
pub struct Directory {
    by_id: HashMap<String, Arc<Slot>>,
    by_host: HashMap<String, Arc<Slot>>,
    default: Option<Arc<Slot>>,
}

impl Directory {
    /// The directory of `records`; apps that are in `old` already keep their slot.
    pub(crate) fn new(records: &[AppRecord], old: &Self) -> Self {
        let mut new = Self::default();
        for record in records {
            let name = record.id.as_str();
            let slot = old
                .by_id
                .get(name)
                .filter(|slot| slot.created_at == record.created_at)
                .cloned()
                .unwrap_or_else(|| Arc::new(Slot::new(record)));
            for host in &record.hosts {
                new.by_host.insert(host.clone(), slot.clone());
            }
            if record.is_default {
                new.default = Some(slot.clone());
            }
            new.by_id.insert(name.to_owned(), slot);
        }
        new
    }

    /// True if this is the slot of an app that exists.
    pub(crate) fn has(&self, slot: &Arc<Slot>) -> bool {
        self.by_name(slot.id().as_str()).is_some_and(|s| Arc::ptr_eq(s, slot))
    }

    /// The app of this name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<Slot>> {
        self.by_id.get(name)
    }

    /// The app that answers to a host name (lower-case, without port): the one it is registered for, the one it names
    /// as `<app>.<domain>`, else the default app. `None` if it names an app that does not exist.
    pub fn by_host(&self, host: &str, domain: &str) -> Option<&Arc<Slot>> {
        if let Some(slot) = self.by_host.get(host) {
            return Some(slot);
        }
        match host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.')) {
            Some(name) => self.by_id.get(name),
            None => self.default.as_ref(),
        }
    }

    /// The default app.
    pub fn default_app(&self) -> Option<&Arc<Slot>> {
        self.default.as_ref()
    }

    /// All apps.
    pub fn slots(&self) -> impl Iterator<Item = &Arc<Slot>> {
        self.by_id.values()
    }
}
