//! Queries whose results may be kept.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fb_auth::{Grant, Operation, Principal, authorize};
use fb_live::{LiveQuery, MAX_WINDOW, Row, Subscriber};
use fb_query::{Order, Query};
use fb_sketch::{KeyHash, Moment, Representation};
use fb_types::{Class, Schema};

use super::super::{CachingSettings, Lifetime, ROUNDING, element, is_kept};
use super::{Asked, Entered, MAX_BYTES, Until};
use crate::live::Watch;
use crate::view::visible_rows;
use crate::{App, AppError, QueryRequest};

/// What an object in a window takes besides its text, roughly.
const EACH_ROW: usize = 200;

/// In which form a result is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultForm {
    /// As it is cheaper for those who ask.
    Any,
    /// An array of objects.
    Objects,
    /// An array of ids.
    Ids,
    /// How many there are: `{"count": 7}`.
    Count,
}

/// A result that caches may keep.
#[derive(Debug, Clone)]
pub struct Kept {
    /// A JSON array of objects, or of ids, or an object with a number.
    pub body: Bytes,
    /// How long it may be kept.
    pub lifetime: Option<Lifetime>,
    /// Whether it is the same for everybody.
    pub is_public: bool,
    /// What [`tags::query`](super::super::tags::query) makes a name of, if it has a lifetime.
    pub number: u64,
    /// Whether edges of this server may keep it until then, because they know of its purge in time.
    pub is_purged: bool,
}

/// A query, by what everybody may see.
pub(super) struct Public<'a> {
    pub(super) schema: &'a Schema,
    pub(super) class: &'a Class,
    pub(super) grant: &'a Grant,
    pub(super) query: Query,
}

impl App {
    /// The matching objects that everybody may read, and how long that answer may be kept by whoever gets it under this URL, which
    /// begins with `/db/`. Of classes that not everybody may query, what [`Self::query`] gives the caller.
    pub async fn query_to_keep(
        self: &Arc<Self>,
        caller: &Principal,
        bucket: &str,
        request: QueryRequest,
        form: ResultForm,
        url: &str,
    ) -> Result<Kept, AppError> {
        let attempt = || self.try_query_to_keep(caller, bucket, &request, form, url);
        self.despite_schema_changes(attempt).await
    }

    async fn try_query_to_keep(
        self: &Arc<Self>,
        caller: &Principal,
        bucket: &str,
        request: &QueryRequest,
        form: ResultForm,
        url: &str,
    ) -> Result<Kept, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, bucket)?;
        let everybody = authorize(&Principal::anonymous(), Operation::Query, class).ok();
        let everybody = everybody.filter(|grant| is_kept(bucket) && grant.fields().read_everything());
        let is_public = everybody.is_some();
        let grant = match everybody {
            Some(grant) => grant,
            None => authorize(caller, Operation::Query, class)?,
        };
        let asked = Public {
            schema: &schema,
            class,
            grant: &grant,
            query: self.checked(&schema, class, &grant, request)?,
        };
        if is_public
            && self.settings().caching.enabled
            && let Some(kept) = self.try_to_keep(&asked, form, url).await?
        {
            return Ok(kept);
        }
        let body = match form {
            ResultForm::Count => count(self.store().count(&grant, &asked.query.filter).await?),
            ResultForm::Ids => {
                let rows = self.store().query(&grant, &asked.query).await?;
                ids(class, rows.rows().iter().map(|row| &row.key))
            }
            ResultForm::Any | ResultForm::Objects => {
                let rows = self.store().query(&grant, &asked.query).await?;
                visible_rows(&schema, class, &grant, rows)?
            }
        };
        Ok(Kept {
            body,
            lifetime: None,
            is_public,
            number: 0,
            is_purged: false,
        })
    }

    /// `None` if the result gets no lifetime.
    async fn try_to_keep(
        self: &Arc<Self>,
        asked: &Public<'_>,
        form: ResultForm,
        url: &str,
    ) -> Result<Option<Kept>, AppError> {
        let Some((live, most)) = self.live_form(&asked.query) else {
            return Ok(None);
        };
        let caching = self.caching();
        if !caching.begin(self.store()).await {
            return Ok(None);
        }
        let class = asked.class.name();
        let text = live.canonical();
        let names = Asked {
            text: &text,
            key: KeyHash::of(&text),
            class: class.as_str(),
            element: KeyHash::of(url),
            form,
            is_for_answer: false,
        };
        let settings = self.settings();
        let entered = caching.enter_result(&names, &settings.caching, || self.next_watch());
        let (rows, until) = match entered {
            Entered::Refused => return Ok(None),
            // Behind the entry, so what the matcher was told of later is not in here, or is told to the filter.
            Entered::Watched(until) if form == ResultForm::Count => {
                let number = self.store().count(asked.grant, &asked.query.filter).await?;
                return Ok(Some(self.kept(&names, count(number), until, &settings.caching)));
            }
            Entered::Watched(until) => {
                let live = live.with_slack(0);
                let snapshot = self
                    .live_snapshot(asked.schema, asked.class, asked.grant, &live, most)
                    .await;
                match snapshot {
                    Ok(snapshot) => (visible(&live, snapshot.rows), until),
                    Err(AppError::NotLive(_)) => {
                        // It has grown.
                        self.end_watches(caching.give_up(names.key, true));
                        return Ok(None);
                    }
                    Err(error) => return Err(error),
                }
            }
            Entered::New {
                subscriber,
                until,
                displaced,
            } => {
                self.end_watches(displaced);
                let begun = self.begin_watch(asked, &names, live, most, subscriber, until).await?;
                let Some(begun) = begun else { return Ok(None) };
                begun
            }
        };
        let body = match (form, until.form) {
            (ResultForm::Count, _) => count(rows.len() as u64),
            (_, Representation::Ids) => ids(asked.class, rows.iter().map(|row| &row.key)),
            (_, Representation::Objects) => objects(&rows),
        };
        Ok(Some(self.kept(&names, body, until, &settings.caching)))
    }

    fn kept(&self, names: &Asked<'_>, body: Bytes, until: Until, settings: &CachingSettings) -> Kept {
        let caching = self.caching();
        let area = caching.results.areas.get_or_insert(names.class);
        Kept {
            body,
            lifetime: caching.lifetime(&area, until.end, settings),
            is_public: true,
            number: names.key.to_bits(),
            is_purged: until.is_purged,
        }
    }

    /// Has the matcher watch a query from its first result on. `None` if it cannot.
    pub(super) async fn begin_watch(
        self: &Arc<Self>,
        asked: &Public<'_>,
        names: &Asked<'_>,
        live: LiveQuery,
        most: u64,
        subscriber: Subscriber,
        until: Until,
    ) -> Result<Option<(Vec<Row>, Until)>, AppError> {
        let mut beginning = Beginning {
            app: self,
            key: names.key,
            is_unfit: false,
            is_begun: false,
        };
        let live = Arc::new(live);
        let watch = Watch {
            subscriber,
            schema: asked.schema,
            class: asked.class,
            grant: asked.grant,
            query: &live,
            most,
        };
        let began = Instant::now();
        let rows = match self.watch(watch).await {
            Ok(Some(rows)) => rows,
            Ok(None) => return Ok(None),
            Err(AppError::NotLive(_)) => {
                beginning.is_unfit = true;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let evaluation = began.elapsed();
        let bytes = match live.is_window() {
            true => rows.iter().map(|row| row.body.len() + EACH_ROW).sum(),
            false => rows.len() * EACH_ROW,
        };
        let rows = visible(&live, rows);

        let caching = self.caching();
        let now = caching.now();
        let class = names.class;
        let of_objects = rows.iter().map(|row| {
            let key = element::of_object(class, &row.key);
            caching.writes_of(class, key, now)
        });
        let writes = of_objects.sum();
        let mut books = caching.results.books();
        books.count_evaluation(evaluation);
        if books.watches.bytes() + bytes > MAX_BYTES {
            beginning.is_unfit = true;
            return Ok(None);
        }
        let Some(watched) = books.watches.begun(names.key, bytes) else {
            // Somebody ended it meanwhile, and its copies are out of date.
            beginning.is_begun = true;
            return Ok(None);
        };
        watched.evaluation = evaluation;
        watched.n_objects = u32::try_from(rows.len()).unwrap_or(u32::MAX);
        beginning.is_begun = true;
        let ttl = books
            .admission
            .as_mut()
            .map(|admission| admission.fill(names.key, now, writes));
        let settings = self.settings();
        let end = ttl.map_or(until.end, |ttl| {
            until
                .end
                .min(now + settings.caching.clamp(ttl) + settings.caching.edge() + ROUNDING)
        });
        Ok(Some((rows, Until { end, ..until })))
    }

    /// The query as it is kept up to date, and the most objects it may have. `None` if it cannot be.
    pub(super) fn live_form(&self, query: &Query) -> Option<(LiveQuery, u64)> {
        let results = self.limits().results;
        let is_whole = matches!(query.order, Order::Natural) && query.offset == 0 && query.limit >= results;
        let mut query = query.clone();
        if is_whole {
            query.limit = u64::MAX;
        } else if query.offset.saturating_add(query.limit) > MAX_WINDOW {
            return None;
        }
        let most = if is_whole { results } else { u64::MAX };
        Some((LiveQuery::new(query).ok()?, most))
    }

    /// Ends what was watched for copies that are no more.
    pub(crate) fn end_idle_watches(&self) {
        self.end_watches(self.caching().end_idle_watches());
    }

    pub(super) fn end_watches(&self, subscribers: impl IntoIterator<Item = Subscriber>) {
        for subscriber in subscribers {
            self.unwatch(subscriber);
        }
    }
}

/// A query that is about to be watched. If that comes to nothing, the books are told.
struct Beginning<'a> {
    app: &'a App,
    key: KeyHash,
    is_unfit: bool,
    is_begun: bool,
}

impl Drop for Beginning<'_> {
    fn drop(&mut self) {
        if !self.is_begun {
            self.app
                .end_watches(self.app.caching().give_up(self.key, self.is_unfit));
        }
    }
}

impl super::Caching {
    /// Writes per second of one object, as far as is known.
    pub(in super::super) fn writes_of(&self, class: &str, key: KeyHash, now: Moment) -> f64 {
        let traffic = self.classes.look(class, |area| {
            self.books().lifetimes.traffic(key, area.number, now).writes
        });
        traffic.unwrap_or_default()
    }
}

/// The part of the rows that is the result. What has no order gets one, so that equal results are equal bytes.
fn visible(live: &LiveQuery, mut rows: Vec<Row>) -> Vec<Row> {
    if !live.is_window() {
        rows.sort_unstable_by(|a, b| a.key.as_str().cmp(b.key.as_str()));
    }
    let (from, end) = live.window(rows.len());
    rows.truncate(end);
    rows.drain(..from);
    rows
}

fn count(number: u64) -> Bytes {
    format!("{{\"count\":{number}}}").into()
}

fn objects(rows: &[Row]) -> Bytes {
    let mut json = Vec::with_capacity(rows.iter().map(|row| row.body.len() + 1).sum::<usize>() + 2);
    json.push(b'[');
    for (i, row) in rows.iter().enumerate() {
        if i > 0 {
            json.push(b',');
        }
        json.extend_from_slice(&row.body);
    }
    json.push(b']');
    json.into()
}

/// Keys are encoded: without quotes or backslashes.
fn ids<'a>(class: &Class, keys: impl Iterator<Item = &'a fb_types::ObjectKey>) -> Bytes {
    let mut json = String::from("[");
    for key in keys {
        if json.len() > 1 {
            json.push(',');
        }
        json.push_str(&format!("\"/db/{}/{key}\"", class.name()));
    }
    json.push(']');
    json.into()
}
