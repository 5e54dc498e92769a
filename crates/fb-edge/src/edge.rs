//! The way of a request.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response};
use hyper::body::Body;
use tokio::sync::Semaphore;

use crate::ask::Ask;
use crate::body::{BoxError, EdgeBody, Timed};
use crate::callers::Callers;
use crate::disk::Disk;
use crate::entry::Entry;
use crate::error::Failure;
use crate::fill::{Filled, Filling};
use crate::flight::{Flights, Landing, Leader, Role};
use crate::groups::Groups;
use crate::guarded::Guarded;
use crate::headers::{Peer, are_unseen, forward, has_credentials};
use crate::options::{EdgeError, EdgeOptions};
use crate::origin::{Incomplete, Origin};
use crate::proof::{GUARD, PURGED_UP_TO};
use crate::purge::{Coherence, Resume};
use crate::refresh::Refresh;
use crate::respond::{From, needs_body, with_answer, with_entry};
use crate::shelf::{Hint, Shelf};
use crate::stats::{Counts, EdgeStats, Sizes};
use crate::target::Target;
use crate::time::Ticks;
use crate::vary::Fields;
use crate::warm::Warm;

/// Marks per edge: 2 MiB.
const N_MARKS: usize = 1 << 18;

/// A caching proxy in front of one origin. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Edge {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: EdgeOptions,
    pub(crate) ticks: Arc<dyn Ticks>,
    pub(crate) coherence: Arc<Coherence>,
    pub(crate) shelf: Shelf,
    /// What is not for everybody, and for whom it is.
    pub(crate) guarded: Shelf,
    pub(crate) callers: Callers,
    pub(crate) disk: Option<Disk>,
    /// Large answers that come in.
    pub(crate) large: Semaphore,
    pub(crate) flights: Arc<Flights>,
    pub(crate) warm: Warm,
    pub(crate) refresh: Refresh,
    pub(crate) origin: Origin,
    pub(crate) counts: Counts,
    pub(crate) groups: Groups,
    /// Requests to the origin at once.
    slots: Arc<Semaphore>,
}

/// A request of which an answer may be in memory.
pub(crate) struct Asked<'r> {
    ask: Ask,
    pub(crate) parts: &'r Parts,
    pub(crate) target: Target<'r>,
    pub(crate) peer: Peer,
    found: Option<Arc<Entry>>,
    /// What the caller that shows a token may have.
    guarded: Option<Guarded<'r>>,
    /// What answers of the target vary by, if the request's values of that are fit for keys.
    fields: Option<Fields>,
    /// When memory was looked at.
    pub(crate) at: Duration,
}

/// What a look into memory came to.
enum Found<'r> {
    Answer(Response<EdgeBody>),
    /// The answer's body is on disk.
    OnDisk(Arc<Entry>, Asked<'r>),
    /// The request is none for memory.
    Pass(Target<'r>),
    Miss(Asked<'r>),
}

/// How the answer is got that is not in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// By a request that the edge composes, for everybody.
    Fill,
    /// By the client's own request, from which the edge learns whether there is an answer for everybody.
    Probe,
    /// By the client's own request.
    Pass,
}

impl Edge {
    /// An edge with nothing in memory. It passes everything on until [`follow_purges`](Self::follow_purges) runs.
    pub fn new(options: EdgeOptions, ticks: Arc<dyn Ticks>) -> Result<Self, EdgeError> {
        options.check()?;
        let inner = Inner {
            coherence: Arc::new(Coherence::new(N_MARKS, options.bound)),
            shelf: Shelf::new(options.memory - options.memory / 4),
            guarded: Shelf::new(options.memory / 4),
            callers: Callers::new(),
            disk: match &options.disk {
                Some((dir, n_bytes)) => {
                    Some(Disk::open(dir, *n_bytes).map_err(|error| EdgeError::Disk(dir.clone(), error))?)
                }
                None => None,
            },
            large: Semaphore::new(options.limits.large_answers),
            flights: Arc::default(),
            warm: Warm::default(),
            refresh: Refresh::default(),
            origin: Origin::new(&options)?,
            counts: Counts::default(),
            groups: Groups::default(),
            slots: Arc::new(Semaphore::new(options.limits.origin_requests)),
            ticks,
            options,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Answers a request of a client. Does not fail: what goes wrong is an answer too.
    pub async fn answer<B>(&self, request: Request<B>, peer: Peer) -> Response<EdgeBody>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if crate::tunnel::is_asked_for(&request) {
            return self.inner.clone().tunnel(request, peer).await;
        }
        let (parts, body) = request.into_parts();
        let found = match self.inner.look(&parts, body.is_end_stream(), peer) {
            Ok(Found::Answer(answer)) => return answer,
            Ok(found) => found,
            Err(failure) => return failure.answer(&parts.headers),
        };
        // Boxed, so that answers from memory do not carry the place for all this around.
        match Box::pin(self.inner.fetch(&parts, body, peer, found)).await {
            Ok(answer) => answer,
            Err(failure) => failure.answer(&parts.headers),
        }
    }

    /// Figures, for metrics.
    pub fn stats(&self) -> EdgeStats {
        let inner = &self.inner;
        let is_intact = inner.coherence.is_intact(inner.ticks.now());
        inner
            .counts
            .stats(inner.sizes(), inner.flights.len(), inner.coherence.count(), is_intact)
    }
}

impl Inner {
    fn sizes(&self) -> Sizes {
        let (entries, bytes) = self.shelf.size();
        let (guarded_entries, guarded_bytes) = self.guarded.size();
        Sizes {
            entries: entries + guarded_entries,
            guarded_entries,
            bytes: bytes + guarded_bytes,
            disk_bytes: self.disk.as_ref().map_or(0, Disk::bytes),
            callers: self.callers.len(),
            stream_number: self.coherence.number(),
        }
    }

    /// Answers from memory, or says what is to be done.
    fn look<'r>(self: &Arc<Self>, parts: &'r Parts, is_empty: bool, peer: Peer) -> Result<Found<'r>, Failure> {
        if [Method::CONNECT, Method::TRACE].contains(&parts.method) {
            return Err(Failure::Method);
        }
        let target = Target::of(parts, peer.is_tls).map_err(Failure::Malformed)?;
        // These are for edges, not for their clients.
        if parts.uri.path() == self.options.purge_path || parts.uri.path().starts_with("/.freshbase/") {
            return Err(Failure::NotHere);
        }
        let Some(ask) = Ask::of(parts, !is_empty).filter(|_| target.is_short()) else {
            return Ok(Found::Pass(target));
        };
        let now = self.ticks.now();
        let (found, fields) = self.shelf.find(&target, &parts.headers);
        let found = found.filter(|entry| entry.terms().is_for_all || !has_credentials(&parts.headers));
        let hit = found.clone();
        let hit = hit.filter(|entry| entry.is_fresh(&self.coherence, now) && ask.takes(entry, now));
        let guarded = match &hit {
            None => self.look_guarded(parts, &target),
            Some(_) => None,
        };
        let guarded_hit = guarded.as_ref().filter(|guarded| self.permits(guarded, now));
        if guarded_hit.is_some() {
            self.counts.guarded.add();
        }
        let hit = hit.or_else(|| {
            let entry = guarded_hit?.found.clone();
            entry.filter(|entry| ask.takes(entry, now))
        });
        if let Some(entry) = &hit {
            self.counts.hits.add();
            entry.count_hit();
            let fields = fields.unwrap_or_default();
            self.want(entry, &target, parts, peer, fields);
            if entry.is_wanted_first() && entry.terms().is_for_all {
                self.want_refreshed(entry, &target, parts, peer, fields);
            }
            let body = match needs_body(entry, parts) {
                true => entry.content.in_memory(),
                false => Some(Bytes::new()),
            };
            if let Some(body) = body {
                return Ok(Found::Answer(with_entry(entry, body, parts, now, From::Memory)));
            }
        }
        if ask.only_if_stored && hit.is_none() {
            return Err(Failure::NotStored);
        }
        let asked = Asked {
            ask,
            parts,
            target,
            peer,
            found,
            guarded,
            fields,
            at: now,
        };
        Ok(match hit {
            Some(entry) => Found::OnDisk(entry, asked),
            None => Found::Miss(asked),
        })
    }

    async fn fetch<B>(
        self: &Arc<Self>,
        parts: &Parts,
        body: B,
        peer: Peer,
        found: Found<'_>,
    ) -> Result<Response<EdgeBody>, Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        match found {
            Found::Answer(answer) => Ok(answer),
            Found::Pass(target) => Ok(passed(self.pass(parts, body, &target, peer).await?, parts)),
            Found::OnDisk(entry, mut asked) => match self.with(&entry, parts, From::Memory).await {
                Some(answer) => Ok(answer),
                None => {
                    // It had to make room in this moment.
                    asked.found = None;
                    self.alone(&asked).await
                }
            },
            Found::Miss(asked) if parts.method == Method::HEAD || asked.fields.is_none() => self.alone(&asked).await,
            Found::Miss(asked) => self.miss(&asked).await,
        }
    }

    fn plan(&self, asked: &Asked<'_>) -> Plan {
        match self.shelf.hint(&asked.target) {
            Hint::Storable => Plan::Fill,
            Hint::Personal => Plan::Pass,
            Hint::Unknown if asked.found.is_some() || are_unseen(&asked.parts.headers) => Plan::Fill,
            Hint::Unknown if !has_credentials(&asked.parts.headers) => Plan::Probe,
            Hint::Unknown => Plan::Pass,
        }
    }

    async fn miss(self: &Arc<Self>, asked: &Asked<'_>) -> Result<Response<EdgeBody>, Failure> {
        if let Some(guarded) = asked.guarded.as_ref().filter(|guarded| self.is_guarded(guarded))
            && let Some(answer) = self.fill_guarded(asked, guarded).await?
        {
            return Ok(answer);
        }
        let plan = self.plan(asked);
        let first = match plan {
            Plan::Pass => None,
            Plan::Fill | Plan::Probe => self.together(asked, plan).await?,
        };
        if let Some(answer) = first {
            return Ok(answer);
        }
        // Who waited for a probe knows more now.
        if plan == Plan::Probe
            && self.plan(asked) == Plan::Fill
            && let Some(answer) = self.together(asked, Plan::Fill).await?
        {
            return Ok(answer);
        }
        self.alone(asked).await
    }

    /// Sends a request that others may wait for, or waits for one. `None`: nothing came of it that is for this client.
    async fn together(self: &Arc<Self>, asked: &Asked<'_>, plan: Plan) -> Result<Option<Response<EdgeBody>>, Failure> {
        let fields = asked.fields.unwrap_or_default();
        let Some(variant) = fields.variant(&asked.parts.headers) else {
            return Ok(None);
        };
        // No answer is stored by this name, because variants end in a newline.
        let name = if plan == Plan::Probe { "probe" } else { variant.as_str() };
        let url = [self.coherence.fence_of_url(&asked.target.url())];
        // Without the stream a request that is under way says nothing about now.
        let may_follow = self.coherence.is_intact(asked.at)
            && (!asked.ask.must_be_valid || asked.found.as_ref().is_some_and(|entry| entry.terms().is_purgeable));
        let role = self
            .flights
            .enter(asked.target.key(name).to_key(), self.coherence.stamp(), |stamp| {
                may_follow && self.coherence.is_current(stamp, &url)
            });
        match role {
            Role::Follow(follower) => {
                self.counts.followed.add();
                Ok(match follower.landing().await {
                    Landing::Stored(entry) if self.is_for(&entry, asked) => {
                        self.counts.collapsed.add();
                        entry.count_hit();
                        self.with(&entry, asked.parts, From::Other).await
                    }
                    Landing::Stored(_) | Landing::Alone => None,
                })
            }
            Role::Lead(leader) if plan == Plan::Probe => {
                let answer = self.alone(asked).await;
                leader.land(Landing::Alone);
                answer.map(Some)
            }
            Role::Lead(leader) => self.fill(asked, leader).await,
        }
    }

    /// Whether a follower may have it: nothing was purged meanwhile, and it is for those who say who they are if this one does.
    fn is_for(&self, entry: &Entry, asked: &Asked<'_>) -> bool {
        entry.is_current(&self.coherence) && (entry.terms().is_for_all || !has_credentials(&asked.parts.headers))
    }

    async fn fill(self: &Arc<Self>, asked: &Asked<'_>, leader: Leader) -> Result<Option<Response<EdgeBody>>, Failure> {
        let filling = Filling::of(
            asked.parts,
            asked.peer,
            asked.found.clone(),
            asked.fields.unwrap_or_default(),
        );
        // A task of its own: others wait for it, whatever becomes of this client.
        let task = tokio::spawn(self.clone().run_fill(filling, leader));
        let filled = task.await.unwrap_or(Filled::Failed(Failure::Down));
        match filled {
            Filled::Stored(entry) if entry.terms().is_for_all || !has_credentials(&asked.parts.headers) => {
                self.want_filled(&entry, asked);
                Ok(self.with(&entry, asked.parts, From::Origin).await)
            }
            Filled::Stored(_) | Filled::Gone => Ok(None),
            Filled::Failed(failure) => match self.stale(asked).await {
                Some(answer) => Ok(Some(answer)),
                None => Err(failure),
            },
            Filled::Passing(answer) if answer.status().is_server_error() => {
                let stale = self.stale(asked).await;
                let is_for_client = are_unseen(&asked.parts.headers);
                Ok(stale.or_else(|| is_for_client.then(|| passed_whole(*answer, asked.parts))))
            }
            // It was the answer to less than what this client asked.
            Filled::Passing(_) if !are_unseen(&asked.parts.headers) => Ok(None),
            Filled::Passing(answer) => Ok(Some(passed_whole(*answer, asked.parts))),
        }
    }

    /// Sends the client's own request.
    async fn alone(self: &Arc<Self>, asked: &Asked<'_>) -> Result<Response<EdgeBody>, Failure> {
        let empty = http_body_util::Empty::<Bytes>::new();
        let answer = self.pass(asked.parts, empty, &asked.target, asked.peer).await;
        let is_down = answer.as_ref().map_or_else(
            |failure| failure.is_origins(),
            |answer| answer.status().is_server_error(),
        );
        if is_down && let Some(answer) = self.stale(asked).await {
            return Ok(answer);
        }
        let answer = answer?;
        self.learn(asked, &answer);
        Ok(passed(answer, asked.parts))
    }

    /// What is out of date, if the app prefers that to an error.
    async fn stale(&self, asked: &Asked<'_>) -> Option<Response<EdgeBody>> {
        let entry = asked.found.as_ref()?;
        if !entry.is_better_than_nothing(&self.coherence, self.ticks.now()) {
            return None;
        }
        self.counts.stale.add();
        entry.count_hit();
        self.with(entry, asked.parts, From::Stale).await
    }

    /// Remembers whether there may be an answer for everybody, or one for those whom its rules let.
    fn learn(&self, asked: &Asked<'_>, answer: &Incomplete) {
        if asked.parts.method == Method::HEAD || answer.status().is_server_error() {
            return;
        }
        if let Some(guarded) = &asked.guarded
            && answer.headers().contains_key(GUARD)
        {
            self.learn_guarded(guarded, true);
            return;
        }
        if Filling::might_be_stored(&asked.target, answer, &self.coherence) {
            let fields = Fields::of_answer(answer.headers()).unwrap_or_default();
            // Without values that are fit for keys there is nothing to be learned about fields either.
            if let Some(known) = asked.fields.filter(|known| !known.contains(fields)) {
                self.shelf.vary(&asked.target, known.and(fields));
            }
            self.shelf.set_hint(&asked.target, Hint::Storable);
        } else if !has_credentials(&asked.parts.headers) {
            self.shelf.set_hint(&asked.target, Hint::Personal);
        }
    }

    async fn pass<B>(&self, parts: &Parts, body: B, target: &Target<'_>, peer: Peer) -> Result<Incomplete, Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        self.counts.passed.add();
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = parts.uri.clone();
        *request.headers_mut() = parts.headers.clone();
        forward(request.headers_mut(), target, peer);
        let answer = self.send(request).await?;
        self.groups.missed(answer.headers());
        let place = answer.headers().get(PURGED_UP_TO).and_then(|value| value.to_str().ok());
        if let Some(place) = place.and_then(Resume::of_header)
            && self.coherence.is_intact(self.ticks.now())
        {
            self.coherence.has_reached(place).await;
        }
        Ok(answer)
    }

    /// Sends a request to the origin, if there are not too many under way.
    pub(crate) async fn send<B>(&self, mut request: Request<B>) -> Result<Incomplete, Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| Failure::Busy)?;
        self.options.prove(request.headers_mut());
        let answer = self.origin.send(request).await?;
        Ok(answer.map(|body| body.holding(slot)))
    }
}

fn passed(answer: Incomplete, request: &Parts) -> Response<EdgeBody> {
    let (head, body) = answer.into_parts();
    with_answer(head, body, request, false, EdgeBody::passing::<Timed<_>>)
}

fn passed_whole(answer: Response<EdgeBody>, request: &Parts) -> Response<EdgeBody> {
    let (head, body) = answer.into_parts();
    with_answer(head, body, request, true, |body| body)
}
