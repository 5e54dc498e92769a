//! Coherent caching: answers that may be kept, and the filter that says which copies are out of date.
//! Source: protocol 07; algorithms, sections 2 to 4.
//!
//! Per app there is one [`Sketch`], which is told of reads before they are made and of writes by the store's observer, before they
//! are acknowledged. Only what everybody may read gets a lifetime: an answer to one caller may not be used for the next one at
//! the same browser, and the filter then tells nothing of what is protected.
//!
//! What concerns many objects at once (a class or a bucket changes, somebody empties the filter) makes the app *blind* until the last copy
//! has ended that may be concerned: the filter contains everything. That is safe because copies are entered before the rules are looked
//! at for good ([`crate::App::load_to_keep`]): either that look sees the new rules, or the change sees the copy. If nothing changed between
//! a look and the entry, that look is good enough, and most are. So is any look behind an entry of which enough is left.
//!
//! An app that falls asleep has stopped, as far as copies are concerned; see `journal` and `restore` for what it finds when it wakes up.

mod answers;
mod areas;
pub(crate) mod element;
mod groups;
mod guarded;
mod journal;
mod keep;
mod late;
mod purges;
mod restore;
mod results;
mod settings;
mod tend;
mod traffic;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use fb_sketch::{
    Aging, Durability, Fill, KeyHash, Kind, LifetimeSettings, Lifetimes, Moment, Past, Settings as SketchSettings,
    Sketch, Standing, lifetime,
};
use fb_store::{Committed, Store};
use fb_types::{ChangeKind, ClassDef, Clock, Schema, Subject, Timestamp};

pub(crate) use self::purges::Purges;
pub use self::purges::{LONGEST_PRIVATE, PRIVATE, PurgeSink, tags};

use self::answers::Answers;
pub use self::answers::KeptAnswer;
pub use self::areas::AreaFigures;
use self::areas::{Area, Areas};
pub use self::groups::Group;
pub use self::guarded::{Guarded, Shown};
use self::keep::is_kept;
pub use self::late::LatePurges;
use self::results::Results;
pub use self::results::{Kept, QueryFigures, ResultForm};
pub use self::settings::CachingSettings;
use self::settings::LONGEST;
pub use self::tend::CachingFigures;
pub use self::traffic::{Answered, Traffic};
pub use fb_sketch::{Snapshot, Version as FilterVersion};

/// Longest life of a copy of which nothing is written down yet. About the time for which clients ask about everything after a
/// restart.
const UNLOGGED: Duration = Duration::from_secs(10);
/// What copies are registered longer for, so that whole seconds are left in an answer that leaves a little later.
const ROUNDING: Duration = Duration::from_millis(999);
/// Keys in the books of one app, 38 to 76 bytes each; further ones get no lifetime.
const MAX_KEYS: usize = 250_000;
/// Keys with rates of their own, 48 bytes each.
const MAX_RATES: usize = 1 << 16;

/// How long an answer may be kept, in whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// By its reader.
    pub browser: u64,
    /// By caches that many share.
    pub edge: u64,
}

/// The books of one app.
pub(crate) struct Caching {
    clock: Arc<dyn Clock>,
    /// When the app was registered.
    registered: Timestamp,
    boot: u64,
    seed: u64,
    /// There from the first copy on, or from the first look at the filter.
    books: OnceLock<Books>,
    /// Whether it is written down that there are copies.
    is_marked: AtomicBool,
    /// Held while it is written down, across the commit.
    marking: tokio::sync::Mutex<()>,
    /// Newest change that the observer was told of.
    seq: AtomicU64,
    /// Changes that the observer has begun with, and those it is done with.
    begun: AtomicU64,
    done: AtomicU64,
    classes: Areas,
    buckets: Areas,
    results: Results,
    answers: Answers,
    /// When the last copy ends that an earlier process handed out; microseconds.
    earlier: AtomicU64,
    /// The schema that copies were handed out under.
    schema: Mutex<Option<Arc<Schema>>>,
    /// Whether the end of a blind time is not written down yet.
    has_new_doubt: AtomicBool,
    /// Held while the books are tended.
    tended: tokio::sync::Mutex<tend::Tended>,
    /// Who is told what caches in front of the server should give up.
    purges: Purges,
    /// Of results, and of what is made of them.
    pub(crate) late: Arc<LatePurges>,
}

/// A time in which nothing changed, by the number of changes before it.
#[derive(Debug, Clone, Copy)]
struct Stillness(u64);

/// What is kept of copies.
struct Books {
    sketch: Sketch,
    lifetimes: Lifetimes,
}

impl Caching {
    pub(crate) fn new(clock: Arc<dyn Clock>, registered: Timestamp, purges: Purges, late: Arc<LatePurges>) -> Self {
        // Without randomness nothing gets a lifetime: versions of the filter would repeat.
        let random = |bytes: [u8; 8]| u64::from_be_bytes(bytes);
        let [boot, seed] = [0; 2].map(|_: u8| fb_auth::random_bytes().map(random).unwrap_or_default());
        Self {
            clock,
            registered,
            boot,
            seed,
            books: OnceLock::new(),
            is_marked: AtomicBool::new(false),
            marking: tokio::sync::Mutex::default(),
            seq: AtomicU64::new(0),
            begun: AtomicU64::new(0),
            done: AtomicU64::new(0),
            classes: Areas::default(),
            buckets: Areas::default(),
            results: Results::new(late.clone()),
            answers: Answers::default(),
            earlier: AtomicU64::new(0),
            schema: Mutex::default(),
            has_new_doubt: AtomicBool::new(false),
            tended: tokio::sync::Mutex::default(),
            purges,
            late,
        }
    }

    fn now(&self) -> Moment {
        Moment::from_micros(self.clock.steady_micros())
    }

    fn new_books(&self, past: Past) -> Books {
        let settings = SketchSettings {
            longest: LONGEST,
            max_keys: MAX_KEYS,
            // The filter is made when it is asked for, so that it says all that was acknowledged.
            refresh_min: Duration::ZERO,
            durability: Durability::Journaled { unlogged: UNLOGGED },
            n_shards: 16,
            seed: self.seed,
            ..SketchSettings::default()
        };
        let lifetimes = LifetimeSettings {
            max_keys: MAX_RATES,
            ..LifetimeSettings::default()
        };
        let now = self.now();
        Books {
            sketch: Sketch::new(settings, now, self.boot, past),
            lifetimes: Lifetimes::new(lifetimes, now),
        }
    }

    fn books(&self) -> &Books {
        self.books.get_or_init(|| self.new_books(Past::Blank))
    }

    /// Enters a copy that is about to be made, and says until when it may live. `others` are copies of which the books' estimates do not
    /// know yet.
    fn promise(&self, area: &Area, key: KeyHash, settings: &CachingSettings, others: u32) -> Moment {
        let Books { sketch, lifetimes } = self.books();
        let now = self.now();
        let edge = settings.edge();
        let fill = Fill {
            longest: settings.longest(),
            others,
        };
        let wish = settings.clamp(lifetimes.fill(key, area.number, now, fill));
        // Foreign caches may hand out a copy at the end of its time there as if it were new.
        let all = lifetime(wish, edge, Aging::Reset) + ROUNDING;
        let until = sketch.report_read(key, Kind::Object, now, all);
        area.expect(until + margin(until.since(now)));
        let browser = until.since(now).saturating_sub(edge);
        if browser < wish {
            lifetimes.granted(key, now + browser);
        }
        // With what the caller does next, be it a look at object and rules or at the changes, this orders copy and change.
        fence(Ordering::SeqCst);
        until
    }

    /// What an answer says that leaves now and may be kept until then. `None` if it must not be kept.
    fn lifetime(&self, area: &Area, until: Moment, settings: &CachingSettings) -> Option<Lifetime> {
        let edge = settings.edge();
        let browser = until.since(self.now()).saturating_sub(edge).min(settings.longest());
        area.count_read(browser);
        let lifetime = Lifetime {
            browser: browser.as_secs(),
            edge: edge.as_secs(),
        };
        (lifetime.browser > 0).then_some(lifetime)
    }

    /// Whether what is registered of `key` is good enough for one more copy of what is read after this call.
    fn standing(&self, key: KeyHash) -> Standing {
        match self.books.get() {
            Some(books) => books.sketch.standing(key, self.now()),
            None => Standing::Ask(0),
        }
    }

    /// Before the observer tells anybody of a change, and when it has told all. Between the two a change may be half visible.
    pub(crate) fn changing(&self) {
        self.begun.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn changed(&self) {
        self.done.fetch_add(1, Ordering::SeqCst);
    }

    /// To be taken before something is read; `None` while something is changing.
    fn stillness(&self) -> Option<Stillness> {
        let done = self.done.load(Ordering::SeqCst);
        let begun = self.begun.load(Ordering::SeqCst);
        (done == begun).then_some(Stillness(begun))
    }

    /// Whether nothing has begun to change since then. What was read since then, and is entered in the books by now, is as good as
    /// if it had been entered first: a change that it does not show will find it there.
    fn is_still(&self, stillness: Option<Stillness>) -> bool {
        stillness.is_some_and(|Stillness(begun)| self.begun.load(Ordering::SeqCst) == begun)
    }

    /// On the writer, after the commit and before its acknowledgement. What was inserted has no copies, but
    /// that there was no such object may be in some.
    pub(crate) fn committed(&self, changes: &[Committed]) {
        if let Some(last) = changes.last() {
            self.seq.fetch_max(last.change.seq.0, Ordering::SeqCst);
        }
        fence(Ordering::SeqCst);
        let mut purged = self.purges.begin(changes, self.now());
        let Some(books) = self.books.get() else {
            return self.purges.send(purged);
        };
        let are_results_watched = self.late.has_watches();
        let are_objects_read = self.answers.have_objects();
        for Committed { change, .. } in changes {
            if are_objects_read && let Subject::Object(id) = &change.subject {
                let key = element::of_object(id.class().as_str(), id.key());
                purged.extend(self.object_of_answers_written(key));
            }
            if are_results_watched && let Subject::Object(id) = &change.subject {
                self.results.areas.look(id.class().as_str(), Area::count_any_write);
            }
            if change.kind == ChangeKind::Insert && !matches!(change.subject, Subject::Bucket(_)) {
                continue;
            }
            let is_stale = match &change.subject {
                Subject::Object(id) => {
                    let key = element::of_object(id.class().as_str(), id.key());
                    self.written(books, &self.classes, id.class().as_str(), key)
                }
                Subject::File(id) => self.written(books, &self.buckets, id.bucket().as_str(), element::of_file(id)),
                Subject::Bucket(name) => {
                    self.doubt_until(self.buckets.until(|other| other == name.as_str()));
                    true
                }
            };
            if is_stale {
                self.purges.add(&mut purged, &change.subject);
            }
        }
        self.purges.send(purged);
    }

    /// Whether there may be copies.
    fn written(&self, books: &Books, areas: &Areas, area: &str, key: KeyHash) -> bool {
        let now = self.now();
        let is_stale = books.sketch.report_write(key, now).is_some();
        areas.look(area, |area| {
            books.lifetimes.written(key, area.number, now);
            if is_stale {
                area.count_write();
            }
        });
        is_stale
    }

    /// The schema is another one, and stored objects may have been rewritten. On the writer, like [`Self::committed`].
    pub(crate) fn altered(&self, new: Option<Arc<Schema>>) {
        fence(Ordering::SeqCst);
        let old = {
            let mut schema = self.schema.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *schema, new.clone())
        };
        self.code_changed();
        match (old, new) {
            (Some(old), Some(new)) => {
                let changed = Changed::between(&old, &new);
                if !changed.is_empty() {
                    let concerns = |class: &str| changed.concerns(&old, class);
                    self.doubt_until(self.classes.until(concerns).max(self.results.areas.until(concerns)));
                    let defs = old.defs();
                    let names = defs.iter().filter_map(|def| def.class.strip_prefix("/db/"));
                    self.purges.classes(names.filter(|class| concerns(class)));
                }
            }
            _ => {
                self.doubt_until(self.classes.until(|_| true).max(self.results.areas.until(|_| true)));
                self.purges.app();
            }
        }
    }

    /// Somebody's roles, sessions or keys are others: what edges know of tokens is out of date. Behind the caches.
    pub(crate) fn rights_changed(&self) {
        self.purges.rights();
    }

    /// Whatever is answered may depend on the settings.
    pub(crate) fn settings_changed(&self) {
        self.purges.app();
    }

    /// Copies may be out of date that cannot be named: blind until the last of them has ended, and those of earlier processes,
    /// whose areas nobody knows.
    fn doubt_until(&self, end: Moment) {
        let Some(books) = self.books.get() else { return };
        let end = end.max(Moment::from_micros(self.earlier.load(Ordering::SeqCst)));
        let now = self.now();
        if end > now {
            books.sketch.doubt(now, end);
        }
        self.has_new_doubt.store(true, Ordering::SeqCst);
    }

    /// What is to be committed along with a change of the schema, so that the doubt survives a crash right behind it. Until
    /// the true end is known it is one that is late enough for whatever is handed out during the change.
    pub(crate) fn doubt_with(&self, old: &Schema, new: &Schema) -> Option<fb_store::Write> {
        self.books.get()?;
        if Changed::between(old, new).is_empty() {
            return None;
        }
        let times = journal::Times::of(&*self.clock);
        let end = times.now() + LONGEST + margin(LONGEST) + Duration::from_hours(1);
        Some(journal::put_doubt(times.wall_of(end)))
    }

    /// Copies may be handed out from now on.
    pub(crate) async fn begin(&self, store: &dyn Store) -> bool {
        if self.is_marked.load(Ordering::Acquire) {
            return true;
        }
        Box::pin(self.mark(store)).await
    }

    pub(crate) fn set_schema(&self, schema: Arc<Schema>) {
        *self.schema.lock().unwrap_or_else(PoisonError::into_inner) = Some(schema);
    }
}

/// How much longer a copy counts as alive than it is; no less than what the sketch adds.
fn margin(lifetime: Duration) -> Duration {
    Duration::from_secs(3) + lifetime / 1000
}

/// The classes that are other ones than before, by reference. New ones have no copies.
struct Changed(Vec<ClassDef>);

impl Changed {
    fn between(old: &Schema, new: &Schema) -> Self {
        let new = new.defs();
        Self(old.defs().into_iter().filter(|def| !new.contains(def)).collect())
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether objects of a class may look different, or be for others, now: it changed itself, or what it inherits from, or
    /// any embedded class.
    fn concerns(&self, schema: &Schema, class: &str) -> bool {
        if self.0.iter().any(|def| def.embedded) {
            return true;
        }
        let mut next = schema.class(class);
        while let Some(class) = next {
            let reference = class.name().reference();
            if self.0.iter().any(|def| def.class == reference) {
                return true;
            }
            next = class.super_class().and_then(|parent| schema.class(parent.as_str()));
        }
        // Gone by the time, or never there: nothing is known of it.
        schema.class(class).is_none()
    }
}
