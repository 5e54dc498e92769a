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
use crate::entry::Entry;
use crate::error::Failure;
use crate::fill::{Filled, Filling};
use crate::flight::{Flights, Landing, Leader, Role};
use crate::headers::{Peer, are_unseen, forward, has_credentials};
use crate::options::{EdgeError, EdgeOptions};
use crate::origin::{Incomplete, Origin};
use crate::purge::Coherence;
use crate::respond::{From, with_answer, with_entry};
use crate::shelf::{Hint, Shelf};
use crate::stats::{Counts, EdgeStats};
use crate::target::Target;
use crate::time::Ticks;
use crate::vary::Fields;

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
    pub(crate) flights: Arc<Flights>,
    pub(crate) origin: Origin,
    pub(crate) counts: Counts,
    /// Requests to the origin at once.
    slots: Arc<Semaphore>,
}

/// A request of which an answer may be in memory.
struct Asked<'r> {
    ask: Ask,
    parts: &'r Parts,
    target: Target<'r>,
    peer: Peer,
    found: Option<Arc<Entry>>,
    /// What answers of the target vary by, if the request's values of that are fit for keys.
    fields: Option<Fields>,
    /// When memory was looked at.
    at: Duration,
}

/// What a look into memory came to.
enum Found<'r> {
    Answer(Response<EdgeBody>),
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
            shelf: Shelf::new(options.memory),
            flights: Arc::default(),
            origin: Origin::new(&options)?,
            counts: Counts::default(),
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
        inner.counts.stats(
            inner.shelf.size(),
            inner.flights.len(),
            inner.coherence.count(),
            is_intact,
        )
    }
}

impl Inner {
    /// Answers from memory, or says what is to be done.
    fn look<'r>(&self, parts: &'r Parts, is_empty: bool, peer: Peer) -> Result<Found<'r>, Failure> {
        if [Method::CONNECT, Method::TRACE].contains(&parts.method) {
            return Err(Failure::Method);
        }
        let target = Target::of(parts, peer.is_tls).map_err(Failure::Malformed)?;
        // It is for edges, not for their clients.
        if parts.uri.path() == self.options.purge_path {
            return Err(Failure::NotHere);
        }
        let Some(ask) = Ask::of(parts, !is_empty).filter(|_| target.is_short()) else {
            return Ok(Found::Pass(target));
        };
        let now = self.ticks.now();
        let (found, fields) = self.shelf.find(&target, &parts.headers);
        let found = found.filter(|entry| entry.terms().is_for_all || !has_credentials(&parts.headers));
        if let Some(entry) = &found
            && entry.is_fresh(&self.coherence, now)
            && ask.takes(entry, now)
        {
            self.counts.hits.add();
            return Ok(Found::Answer(with_entry(entry, parts, now, From::Memory)));
        }
        if ask.only_if_stored {
            return Err(Failure::NotStored);
        }
        Ok(Found::Miss(Asked {
            ask,
            parts,
            target,
            peer,
            found,
            fields,
            at: now,
        }))
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
                        Some(with_entry(&entry, asked.parts, self.ticks.now(), From::Other))
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
        let now = self.ticks.now();
        let or_stale = |failure| match &asked.found {
            Some(entry) if entry.is_better_than_nothing(&self.coherence, now) => {
                self.counts.stale.add();
                Ok(Some(with_entry(entry, asked.parts, now, From::Stale)))
            }
            Some(_) | None => failure,
        };
        match filled {
            Filled::Stored(entry) if entry.terms().is_for_all || !has_credentials(&asked.parts.headers) => {
                Ok(Some(with_entry(&entry, asked.parts, now, From::Origin)))
            }
            Filled::Stored(_) => Ok(None),
            Filled::Failed(failure) => or_stale(Err(failure)),
            Filled::Passing(answer) if answer.status().is_server_error() => {
                let answer = passed_whole(*answer, asked.parts);
                or_stale(Ok(are_unseen(&asked.parts.headers).then_some(answer)))
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
        let now = self.ticks.now();
        if is_down
            && let Some(entry) = &asked.found
            && entry.is_better_than_nothing(&self.coherence, now)
        {
            self.counts.stale.add();
            return Ok(with_entry(entry, asked.parts, now, From::Stale));
        }
        let answer = answer?;
        self.learn(asked, &answer);
        Ok(passed(answer, asked.parts))
    }

    /// Remembers whether there may be an answer for everybody.
    fn learn(&self, asked: &Asked<'_>, answer: &Incomplete) {
        if asked.parts.method == Method::HEAD || answer.status().is_server_error() {
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
        self.send(request).await
    }

    /// Sends a request to the origin, if there are not too many under way.
    pub(crate) async fn send<B>(&self, request: Request<B>) -> Result<Incomplete, Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let slot = self.slots.clone().try_acquire_owned().map_err(|_| Failure::Busy)?;
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
