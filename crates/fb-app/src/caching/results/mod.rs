//! Results of queries that caches may keep, and what is watched for their sake. Source: algorithms, section 6.
//!
//! A query is *watched* while somebody may have a copy of its result: it is registered with the same matcher as live queries
//! ([`crate::live`]), which tells [`Caching::result_changed`] what happens to the result. Its copies are named in the filter by the URLs
//! they were asked for under, its *elements*. Which queries are worth it, and for how long copies live, is [`Queries`]' business.
//!
//! The matcher works beside the commits. So whoever makes a filter first waits until everything is matched that was acknowledged
//! by then ([`crate::App::filter`]); if that takes too long, the filter contains everything. Likewise purges come late, see [`super::late`].

mod figures;
mod for_answers;
mod keep;
mod watched;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fb_live::{Subscriber, What};
use fb_sketch::{Admission, Aging, KeyHash, Kind, Moment, Queries, QuerySettings, Representation, Worth, lifetime};

pub use self::figures::QueryFigures;
pub use self::keep::{Kept, ResultForm};
use self::watched::{Watched, Watches};
use super::areas::Areas;
use super::{Caching, CachingSettings, LONGEST, LatePurges, ROUNDING, margin};

/// Most queries of an app that are watched, and bytes of objects in their windows.
const MAX_QUERIES: usize = 1_000;
const MAX_BYTES: usize = 64 << 20;
/// Queries of which it is remembered that they cannot be watched, and for how long.
const MAX_UNFIT: usize = 1_000;
const UNFIT: Duration = Duration::from_mins(1);
/// How long a query without copies goes on being watched.
const IDLE: Duration = Duration::from_secs(30);
/// What looking at one write on behalf of one query takes, with what handing it to the matcher does.
const PER_WRITE: Duration = Duration::from_micros(2);
/// What an evaluation takes if nothing is known of any.
const EVALUATION: Duration = Duration::from_micros(300);
/// What the last of them counts for what one takes of which nothing is known.
const EVALUATION_WEIGHT: f64 = 0.05;
/// What a call of a module takes.
const CALL: Duration = Duration::from_millis(2);

/// The results of one app.
pub(crate) struct Results {
    books: Mutex<Books>,
    late: Arc<LatePurges>,
    /// By class.
    pub(super) areas: Areas,
}

/// What is known of queries.
#[derive(Default)]
struct Books {
    /// There from the first query on.
    admission: Option<Queries>,
    /// What evaluations took lately. Whoever is unknown is taken for an average one: else it would seem better than those that are known.
    evaluation: Option<Duration>,
    watches: Watches,
    /// Queries that cannot be watched, and until when that is believed.
    unfit: std::collections::HashMap<KeyHash, Moment>,
}

impl Books {
    fn count_evaluation(&mut self, took: Duration) {
        self.evaluation = Some(match self.evaluation {
            Some(known) => known.mul_f64(1.0 - EVALUATION_WEIGHT) + took.mul_f64(EVALUATION_WEIGHT),
            None => took,
        });
    }
}

/// A query whose result is asked for.
struct Asked<'a> {
    /// Its canonical text, and that in short.
    text: &'a str,
    key: KeyHash,
    class: &'a str,
    /// Of the URL.
    element: KeyHash,
    form: ResultForm,
    /// It is not the result that is kept, but an answer of a module that is made of it.
    is_for_answer: bool,
}

/// What becomes of it.
enum Entered {
    /// The query is watched: the copy may live until then.
    Watched(Until),
    /// It is to be watched as this subscriber. Another one is not any more.
    New {
        subscriber: Subscriber,
        until: Until,
        displaced: Option<Subscriber>,
    },
    /// The result gets no lifetime.
    Refused,
}

/// How long a copy that is about to be made may live.
#[derive(Debug, Clone, Copy)]
struct Until {
    /// The end of its registered life, the time in shared caches included.
    end: Moment,
    form: Representation,
    /// Whether edges of this server may rely on its purge.
    is_purged: bool,
}

impl Results {
    pub(super) fn new(late: Arc<LatePurges>) -> Self {
        Self {
            books: Mutex::default(),
            late,
            areas: Areas::default(),
        }
    }

    /// Held for a lookup, or for what one event of the matcher changes.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, books: &Books) {
        self.late.count(books.watches.len());
    }
}

impl Caching {
    /// Enters a copy of a result that is about to be read, under the lock that ends of watches take: who finds the query watched here is
    /// found by whoever ends that.
    fn enter_result(
        &self,
        asked: &Asked<'_>,
        settings: &CachingSettings,
        subscriber: impl FnOnce() -> Subscriber,
    ) -> Entered {
        let area = self.results.areas.get_or_insert(asked.class);
        let is_purged = self.late.may_rely();
        let now = self.now();
        let mut books = self.results.books();
        let Books {
            admission,
            evaluation,
            watches,
            unfit,
        } = &mut *books;
        if unfit.get(&asked.key).is_some_and(|&until| until > now) {
            return Entered::Refused;
        }
        let admission = admission.get_or_insert_with(|| {
            let settings = QuerySettings {
                max_queries: MAX_QUERIES,
                ttl: (Duration::from_secs(1), LONGEST),
                seed: self.seed,
                ..QuerySettings::default()
            };
            Queries::new(settings, now)
        });
        let known = watches.get_mut(asked.key);
        let evaluation = match &known {
            Some(watched) => watched.evaluation,
            None => evaluation.unwrap_or(EVALUATION),
        };
        let worth = Worth {
            evaluation: if asked.is_for_answer {
                evaluation + CALL
            } else {
                evaluation
            },
            hit_ratio: 0.9,
            writes: area.write_rate(),
            per_write: PER_WRITE,
        };
        let admitted = admission.consider(asked.key, now, worth);
        let promise = |wish: Duration| {
            // Foreign caches may hand out a copy at the end of its time there as if it were new.
            let all = lifetime(wish.min(settings.longest()), settings.edge(), Aging::Reset) + ROUNDING;
            let end = self.books().sketch.report_read(asked.element, Kind::Query, now, all);
            area.expect(end + margin(end.since(now)));
            end
        };
        if let Some(watched) = known {
            if watched.is_beginning || !watched.add(asked.element) {
                return Entered::Refused;
            }
            // What is known of its objects counted when it was new.
            let ttl = settings.clamp(admission.fill(asked.key, now, 0.0));
            let end = promise(ttl);
            let form = match asked.form {
                ResultForm::Objects => Representation::Objects,
                ResultForm::Ids | ResultForm::Count => Representation::Ids,
                ResultForm::Any => watched.better_form(admission.requests(asked.key, now), ttl, now),
            };
            watched.filled(form, end, now);
            return Entered::Watched(Until { end, form, is_purged });
        }
        let displaced = match admitted {
            Admission::Refused => return Entered::Refused,
            Admission::Admitted => None,
            Admission::InsteadOf(other) => {
                let watched = watches.remove(other);
                watched.map(|watched| {
                    self.outdate(other, &watched);
                    watched.subscriber
                })
            }
        };
        let subscriber = subscriber();
        let form = match asked.form {
            ResultForm::Ids | ResultForm::Count => Representation::Ids,
            ResultForm::Objects | ResultForm::Any => Representation::Objects,
        };
        // How long it should live is known when its objects are; until then, as long as may be.
        let end = promise(LONGEST);
        watches.insert(asked.key, Watched::new(subscriber, asked, (form, end), now));
        self.results.count(&books);
        Entered::New {
            subscriber,
            until: Until { end, form, is_purged },
            displaced,
        }
    }

    /// All copies of a result are out of date from now on. True if there may have been any.
    fn outdate(&self, key: KeyHash, watched: &Watched) -> bool {
        let now = self.now();
        let sketch = &self.books().sketch;
        let with_copies = watched
            .elements
            .iter()
            .filter(|element| sketch.report_write(**element, now).is_some());
        let stale: Vec<KeyHash> = with_copies.copied().collect();
        if watched.is_for_answers {
            let names = stale.iter().filter_map(|element| self.purges.answer(*element));
            self.purges.send(names.collect());
        } else if !stale.is_empty() {
            self.purges.query(key);
        }
        !stale.is_empty()
    }

    /// The matcher: something happens to the result of a query that is watched.
    pub(crate) fn result_changed(&self, subscriber: Subscriber, what: What) {
        let now = self.now();
        let mut books = self.results.books();
        let Books { admission, watches, .. } = &mut *books;
        let Some((key, watched)) = watches.of(subscriber) else {
            return;
        };
        if !watched.concerns(what, now) {
            return;
        }
        if self.outdate(key, watched) {
            watched.n_outdated += 1;
            self.results.areas.look(&watched.class, |area| area.count_write());
            if let Some(admission) = admission {
                admission.invalidated(key, now);
            }
        }
        // They are out of date, whatever else happens to the result.
        watched.elements.clear();
    }

    /// The matcher: nobody knows what happens to this result any more. It need not be watched.
    pub(crate) fn result_lost(&self, subscriber: Subscriber) {
        let mut books = self.results.books();
        if let Some((key, _)) = books.watches.of(subscriber) {
            self.end_watch(&mut books, key);
        }
    }

    /// The same for all of them.
    pub(crate) fn results_lost(&self) {
        let mut books = self.results.books();
        for key in books.watches.keys() {
            self.end_watch(&mut books, key);
        }
    }

    fn end_watch(&self, books: &mut Books, key: KeyHash) -> Option<Subscriber> {
        let watched = books.watches.remove(key)?;
        if let Some(admission) = &mut books.admission {
            admission.forget(key);
        }
        self.outdate(key, &watched);
        self.results.count(books);
        Some(watched.subscriber)
    }

    /// Ends what was watched for copies that are no more. Returns as whom.
    pub(super) fn end_idle_watches(&self) -> Vec<Subscriber> {
        let now = self.now();
        let mut books = self.results.books();
        books.unfit.retain(|_, until| *until > now);
        let idle = books.watches.idle_since(now, IDLE);
        idle.into_iter()
            .filter_map(|key| self.end_watch(&mut books, key))
            .collect()
    }

    /// The query cannot be watched, or its beginning was cut off.
    fn give_up(&self, key: KeyHash, is_unfit: bool) -> Option<Subscriber> {
        let now = self.now();
        let mut books = self.results.books();
        if is_unfit {
            if books.unfit.len() >= MAX_UNFIT {
                books.unfit.clear();
            }
            books.unfit.insert(key, now + UNFIT);
        }
        self.end_watch(&mut books, key)
    }
}
