//! Answers of modules that caches may keep, and what they were made of.
//!
//! A module says of an answer that it is the same for everybody (`res.cacheable()`), which its call then is too: from there on it reads
//! as nobody in particular, so that no answer shows more than a call by anybody would. What it reads ([`crate::functions::Reads`]) is
//! remembered with the answer's URL. Objects it read, or found missing, are looked up with each change; queries and counts are watched
//! like those of [`super::results`], with the URL among the elements.
//!
//! The law is that of all copies: entered before it is read. What a call will read is not known before, but most calls of a URL read the
//! same. So what the last one read is entered first; if the call reads nothing else, its answer may be kept. If it does, that is
//! entered behind it, which is good enough if nothing changed since the call began, and else serves the next one.
//!
//! Of a URL everything counts that was read for any copy which may live. Other code makes all answers outdated at once, and so does
//! another schema.

mod keep;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fb_sketch::{Aging, Fill, KeyHash, Kind, Moment, lifetime};

pub use self::keep::KeptAnswer;
use super::areas::{Area, Areas};
use super::{Caching, CachingSettings, ROUNDING, margin};
use crate::functions::{MAX_READS, Read};

/// Most URLs of an app whose answers are known; further ones get no lifetime until others have ended.
const MAX_ANSWERS: usize = 2_000;
/// How often in a row calls of a URL may read something new, in vain, before that is taken for granted, and for how long.
const MAX_VAIN: u8 = 4;
const UNFIT: Duration = Duration::from_mins(1);
/// How long it is remembered what was read for copies that are no more.
const IDLE: Duration = Duration::from_secs(30);

/// The answers of one app.
#[derive(Default)]
pub(crate) struct Answers {
    books: Mutex<Books>,
    /// Objects that were read for answers; beside the lock, for writes in apps that have none.
    n_objects: AtomicUsize,
    /// By module.
    pub(super) areas: Areas,
}

#[derive(Default)]
struct Books {
    /// By their elements.
    answers: HashMap<KeyHash, Answer>,
    /// The answers that an object is part of.
    by_object: HashMap<KeyHash, Vec<KeyHash>>,
    generation: u64,
}

/// What is known of a URL.
struct Answer {
    module: Arc<str>,
    /// What was read for copies that may live, by their keys.
    reads: Arc<HashMap<KeyHash, Read>>,
    /// No copy that is entered lives longer, and none that was handed out.
    until: Moment,
    copies_until: Moment,
    /// Another one after reads were left out: who began before must not hand out a copy.
    generation: u64,
    /// Calls in a row that read something new, and whose answers could not be kept; and until when no other is tried.
    n_vain: u8,
    unfit_until: Moment,
}

/// A copy that is entered, and may be made of these.
struct Entered {
    area: Arc<Area>,
    reads: Arc<HashMap<KeyHash, Read>>,
    until: Moment,
    /// Whether edges of this server may rely on its purge.
    is_purged: bool,
    generation: u64,
}

impl Entered {
    fn covers(&self, reads: &[Read]) -> bool {
        reads.iter().all(|read| self.reads.contains_key(&read.key()))
    }
}

/// What an answer is called.
#[derive(Clone, Copy)]
struct Named<'a> {
    module: &'a str,
    /// Of the URL.
    element: KeyHash,
}

impl Answers {
    /// Held for a lookup, or for as long as it takes to link a hundred objects.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether any objects were read for answers.
    pub(super) fn have_objects(&self) -> bool {
        self.n_objects.load(Ordering::SeqCst) > 0
    }

    fn count(&self, books: &Books) {
        self.n_objects.store(books.by_object.len(), Ordering::SeqCst);
    }
}

impl Books {
    fn remove(&mut self, element: KeyHash) {
        let Some(answer) = self.answers.remove(&element) else {
            return;
        };
        for key in answer.reads.keys() {
            if let Some(answers) = self.by_object.get_mut(key) {
                answers.retain(|other| *other != element);
                if answers.is_empty() {
                    self.by_object.remove(key);
                }
            }
        }
    }
}

impl Caching {
    /// Enters a copy of an answer that is about to be made: of what was read for the last one, and of `reads`. `None` if it cannot be
    /// kept, or nothing is known that it is made of. Queries have to be entered besides.
    fn enter_answer(&self, named: Named<'_>, reads: Option<&[Read]>, settings: &CachingSettings) -> Option<Entered> {
        let Named { module, element } = named;
        let is_purged = self.late.may_rely();
        let now = self.now();
        let mut books = self.answers.books();
        let known = books.answers.get(&element);
        if known.is_none() && (reads.is_none() || books.answers.len() >= MAX_ANSWERS) {
            return None;
        }
        if known.is_some_and(|known| known.unfit_until > now) {
            return None;
        }
        let living = known.filter(|known| reads.is_none() || known.copies_until > now);
        let mut all = living.map(|known| known.reads.clone()).unwrap_or_default();
        for read in reads.unwrap_or_default() {
            let key = read.key();
            if !all.contains_key(&key) {
                Arc::make_mut(&mut all).insert(key, read.clone());
            }
        }
        if all.len() > MAX_READS {
            return None;
        }
        let area = self.answers.areas.get_or_insert(module);
        let objects = all.iter().filter_map(|(key, read)| match read {
            Read::Object(bucket, _) => Some((bucket, *key)),
            Read::Query(..) | Read::Count(..) => None,
        });
        let objects: Vec<(&String, KeyHash)> = objects.collect();
        let writes = objects.iter().map(|(bucket, key)| self.writes_of(bucket, *key, now));
        let until = self.promise_answer(&area, element, settings, writes.sum());

        let mut answer = Answer {
            module: module.into(),
            reads: all.clone(),
            until: known.map_or(until, |known| known.until.max(until)),
            copies_until: known.map_or(Moment::ZERO, |known| known.copies_until),
            generation: living.map_or(0, |living| living.generation),
            n_vain: known.map_or(0, |known| known.n_vain),
            unfit_until: Moment::ZERO,
        };
        if living.is_none() {
            books.remove(element);
            books.generation += 1;
            answer.generation = books.generation;
        }
        for (_, key) in objects {
            let answers = books.by_object.entry(key).or_default();
            if !answers.contains(&element) {
                answers.push(element);
            }
        }
        let generation = answer.generation;
        books.answers.insert(element, answer);
        self.answers.count(&books);
        // With what is read next this orders copy and change, like the one in `promise`.
        fence(Ordering::SeqCst);
        Some(Entered {
            area,
            reads: all,
            until,
            is_purged,
            generation,
        })
    }

    /// Until when a copy may live of what is written so often per second, apart from queries.
    fn promise_answer(&self, area: &Area, element: KeyHash, settings: &CachingSettings, writes: f64) -> Moment {
        let super::Books { sketch, lifetimes } = self.books();
        let now = self.now();
        let fill = Fill {
            longest: settings.longest(),
            others: 0,
        };
        let wish = lifetimes.fill(element, area.number, now, fill);
        let mean = match writes > 0.0 {
            true => Duration::try_from_secs_f64(1.0 / writes).unwrap_or(Duration::MAX),
            false => Duration::MAX,
        };
        let wish = settings.clamp(wish.min(mean));
        let edge = settings.edge();
        // Nothing tells after a crash what became of what it was made of.
        let until = sketch.report_read(element, Kind::Query, now, lifetime(wish, edge, Aging::Reset) + ROUNDING);
        area.expect(until + margin(until.since(now)));
        let browser = until.since(now).saturating_sub(edge);
        if browser < wish {
            lifetimes.granted(element, now + browser);
        }
        until
    }

    /// Whether it is known what the last call of a URL read.
    fn knows_answer(&self, element: KeyHash) -> bool {
        self.answers.books().answers.contains_key(&element)
    }

    /// An answer was made, and is handed out as this copy if it is still good. True if it is. `is_new` says that it read something else than
    /// what was entered before it.
    fn answer_made(&self, named: Named<'_>, entered: Option<&Entered>, is_new: bool) -> bool {
        let now = self.now();
        let mut books = self.answers.books();
        let Some(answer) = books.answers.get_mut(&named.element) else {
            return false;
        };
        if let Some(entered) = entered.filter(|entered| entered.generation == answer.generation) {
            answer.n_vain = 0;
            answer.unfit_until = Moment::ZERO;
            answer.copies_until = answer.copies_until.max(entered.until);
            return true;
        }
        answer.n_vain += u8::from(is_new);
        if answer.n_vain >= MAX_VAIN {
            answer.n_vain = 0;
            answer.unfit_until = now + UNFIT;
        }
        false
    }

    /// An object was written that was read for answers, or was not there then. Returns what is to be purged.
    pub(super) fn object_of_answers_written(&self, object: KeyHash) -> Vec<String> {
        let now = self.now();
        let super::Books { sketch, lifetimes } = self.books();
        let books = self.answers.books();
        let mut purged = Vec::new();
        for element in books.by_object.get(&object).into_iter().flatten() {
            let is_stale = sketch.report_write(*element, now).is_some();
            let Some(answer) = books.answers.get(element).filter(|_| is_stale) else {
                continue;
            };
            self.answers.areas.look(&answer.module, |area| {
                lifetimes.written(*element, area.number, now);
                area.count_write();
            });
            purged.extend(self.purges.answer(*element));
        }
        purged
    }

    /// There is other code, or another schema: each answer may be another one.
    pub(crate) fn code_changed(&self) {
        // Behind the code: whoever enters an answer behind this runs what is new.
        fence(Ordering::SeqCst);
        let mut books = self.answers.books();
        if books.answers.is_empty() {
            return;
        }
        let now = self.now();
        let sketch = &self.books().sketch;
        for element in books.answers.keys() {
            sketch.report_write(*element, now);
        }
        // Their copies are in the filter for as long as they live, whatever else happens.
        let generation = books.generation;
        *books = Books {
            generation,
            ..Books::default()
        };
        self.answers.count(&books);
        drop(books);
        self.purges.code();
    }

    /// Forgets what was read for copies that are no more.
    pub(super) fn end_idle_answers(&self) {
        let now = self.now();
        let mut books = self.answers.books();
        let is_idle = |answer: &Answer| answer.until + IDLE <= now && answer.unfit_until <= now;
        let idle = books.answers.iter().filter(|(_, answer)| is_idle(answer));
        let idle: Vec<KeyHash> = idle.map(|(element, _)| *element).collect();
        for element in idle {
            books.remove(element);
        }
        self.answers.count(&books);
    }
}
