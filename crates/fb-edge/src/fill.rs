//! Answers for everybody: asked for with requests that hold nothing but what is in the key.
//!
//! This is what keeps memory from being poisoned: no header that one client made up can have had a part in what others get.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, HeaderValue, IF_NONE_MATCH};
use http::request::Parts;
use http::{Request, Response, StatusCode, response};
use http_body_util::{BodyExt, Empty};
use tokio::sync::SemaphorePermit;

use crate::body::{EdgeBody, Resumed};
use crate::content::Content;
use crate::edge::Inner;
use crate::entry::{Entry, Sent, Terms};
use crate::error::Failure;
use crate::flight::{Landing, Leader};
use crate::headers::{Peer, name_client, name_target};
use crate::origin::Incomplete;
use crate::purge::Coherence;
use crate::shelf::Hint;
use crate::target::Target;
use crate::vary::Fields;

/// Bodies from this size on are kept on disk, if there is one.
const FOR_DISK: usize = 64 << 10;

/// What is to be asked for.
#[derive(Debug, Clone)]
pub(crate) struct Filling {
    client: Parts,
    peer: Peer,
    /// What is in memory, to be confirmed.
    old: Option<Arc<Entry>>,
    fields: Fields,
    /// The edge asks for itself, not on behalf of the client.
    is_own: bool,
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Filled {
    Stored(Arc<Entry>),
    /// Nothing that can be stored.
    Passing(Box<Response<EdgeBody>>),
    Failed(Failure),
    /// What the origin confirmed is not there any more.
    Gone,
}

impl Filling {
    pub(crate) fn of(client: &Parts, peer: Peer, old: Option<Arc<Entry>>, fields: Fields) -> Self {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.uri = client.uri.clone();
        parts.headers = client.headers.clone();
        Self {
            client: parts,
            peer,
            old,
            fields,
            is_own: false,
        }
    }

    /// The same, but no client's limits count for it.
    pub(crate) fn of_nobody(self) -> Self {
        Self { is_own: true, ..self }
    }

    /// The same, to be confirmed if this is what the origin has still.
    pub(crate) fn confirming(self, old: Option<Arc<Entry>>) -> Self {
        Self { old, ..self }
    }

    /// Says what is in memory now, to be confirmed.
    pub(crate) fn confirm(&mut self, old: Arc<Entry>) {
        self.old = Some(old);
    }

    /// Whether the same answer to a request without anything personal could be stored. `answer` may also confirm a client's copy.
    pub(crate) fn might_be_stored(target: &Target<'_>, answer: &Incomplete, coherence: &Coherence) -> bool {
        let (mut head, ()) = Response::new(()).into_parts();
        head.headers = answer.headers().clone();
        let is_whole = [StatusCode::OK, StatusCode::NOT_MODIFIED].contains(&answer.status());
        let (request, ()) = Request::new(()).into_parts();
        is_whole
            && Fields::of_answer(&head.headers).is_some()
            && Terms::of(&request, &head, target, coherence).is_some()
    }

    /// A request of the key's content, on behalf of the client as far as limits are concerned.
    fn compose(&self, target: &Target<'_>) -> Request<Empty<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.client.uri.clone();
        let headers = request.headers_mut();
        name_target(headers, target);
        if !self.is_own {
            name_client(headers, self.peer);
        }
        self.fields.copy(&self.client.headers, headers);
        // Of several nodes behind the origin's address, some may have caches that do not know yet what the edge was told.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Some(tag) = self.old.as_ref().and_then(|old| old.validator()) {
            headers.insert(IF_NONE_MATCH, tag.clone());
        }
        request
    }
}

impl Inner {
    pub(crate) async fn run_fill(self: Arc<Self>, mut filling: Filling, leader: Leader) -> Filled {
        let first = self.try_fill(&filling).await;
        let filled = match first {
            Ok(filled) => filled,
            // It varies by more than what the request had.
            Err(fields) => {
                filling.fields = fields;
                filling.old = None;
                self.try_fill(&filling).await.unwrap_or(Filled::Failed(Failure::Down))
            }
        };
        leader.land(match &filled {
            Filled::Stored(entry) => Landing::Stored(entry.clone()),
            Filled::Passing(_) | Filled::Failed(_) | Filled::Gone => Landing::Alone,
        });
        filled
    }

    /// The error is by which fields to ask again.
    pub(crate) async fn try_fill(&self, filling: &Filling) -> Result<Filled, Fields> {
        let client = &filling.client;
        let Ok(target) = Target::of(client, filling.peer.is_tls) else {
            return Ok(Filled::Failed(Failure::Malformed("the URL")));
        };
        let Some(variant) = filling.fields.variant(&client.headers) else {
            return Ok(Filled::Failed(Failure::Malformed("a header")));
        };
        self.counts.fills.add();
        // Both are read before the request is sent: purges that come from now on concern its answer.
        let sent = Sent {
            stamp: self.coherence.stamp(),
            at: self.ticks.now(),
        };
        let request = filling.compose(&target);
        let (composed, body) = request.into_parts();
        let (as_sent, ()) = copy(&composed).into_parts();
        let answer = match self.send(Request::from_parts(composed, body)).await {
            Ok(answer) => answer,
            Err(failure) => return Ok(Filled::Failed(failure)),
        };
        let (mut head, body) = answer.into_parts();
        let group = match filling.is_own {
            true => self.groups.of(&head.headers),
            false => self.groups.missed(&head.headers),
        };
        let confirmed = filling.old.as_ref().filter(|_| head.status == StatusCode::NOT_MODIFIED);
        if let Some(old) = confirmed {
            self.counts.confirmed.add();
            head.headers = old.confirmed(&head.headers);
            head.status = StatusCode::OK;
        }
        let terms = Terms::of(&as_sent, &head, &target, &self.coherence);
        let varies = Fields::of_answer(&head.headers);
        let in_memory = self.options.limits.answer.min(self.shelf.largest());
        let (limit, _place) = self.limit(declared_length(&head), in_memory);
        let (Some(terms), Some(varies), true) = (terms, varies, declared_length(&head) <= limit) else {
            if !head.status.is_server_error() {
                self.shelf.set_hint(&target, Hint::Personal);
                self.shelf.forget(target.key(&variant));
            }
            let body = match confirmed {
                Some(old) => match old.content.read().await {
                    Some(bytes) => EdgeBody::whole(bytes),
                    None => return Ok(self.gone(&target, &variant)),
                },
                None => EdgeBody::passing(body),
            };
            return Ok(Filled::Passing(Box::new(Response::from_parts(head, body))));
        };
        let fields = filling.fields.and(varies);
        let Some(full_variant) = fields.variant(&client.headers) else {
            self.shelf.vary(&target, fields);
            return Ok(Filled::Passing(Box::new(Response::from_parts(
                head,
                EdgeBody::passing(body),
            ))));
        };
        if fields.values(&client.headers) != filling.fields.values(&client.headers) {
            self.shelf.vary(&target, fields);
            return Err(fields);
        }
        let bytes = match confirmed {
            Some(old) => match old.content.read().await {
                Some(bytes) => bytes,
                None => return Ok(self.gone(&target, &variant)),
            },
            None => match collect(body, limit).await {
                Collected::Whole(bytes) => bytes,
                Collected::TooLarge(body) => {
                    self.shelf.set_hint(&target, Hint::Personal);
                    return Ok(Filled::Passing(Box::new(Response::from_parts(
                        head,
                        EdgeBody::passing(body),
                    ))));
                }
                Collected::Broken => return Ok(Filled::Failed(Failure::Down)),
            },
        };
        let entry = Arc::new(Entry::new(head.headers, bytes, sent, terms).in_group(group));
        if entry.is_current(&self.coherence)
            && let Some(kept) = self.on_disk(&entry, in_memory).await
        {
            self.shelf.keep(&target, fields, &full_variant, kept);
        }
        self.shelf.set_hint(&target, Hint::Storable);
        Ok(Filled::Stored(entry))
    }

    /// How large an answer may be to be kept, and the place that a large one takes while it comes in.
    fn limit(&self, declared: usize, in_memory: usize) -> (usize, Option<SemaphorePermit<'_>>) {
        if declared <= in_memory || self.disk.is_none() {
            return (in_memory, None);
        }
        match self.large.try_acquire() {
            Ok(place) => (self.options.limits.answer_on_disk, Some(place)),
            Err(_) => (in_memory, None),
        }
    }

    /// The entry as it is kept: with its body on disk if that is large. `None` if it cannot be kept.
    async fn on_disk(&self, entry: &Arc<Entry>, in_memory: usize) -> Option<Arc<Entry>> {
        let (Some(disk), Some(body)) = (&self.disk, entry.content.in_memory()) else {
            return Some(entry.clone());
        };
        if body.len() < FOR_DISK.min(in_memory) {
            return Some(entry.clone());
        }
        let piece = disk.put(body).await?;
        let content = Content::Disk(Arc::downgrade(&piece));
        Some(Arc::new(entry.with_content(content)))
    }

    /// The origin confirmed what is not there any more: the client's own request fetches it.
    fn gone(&self, target: &Target<'_>, variant: &str) -> Filled {
        self.shelf.forget(target.key(variant));
        Filled::Gone
    }
}

fn copy(parts: &Parts) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = parts.headers.clone();
    request
}

pub(crate) fn declared_length(head: &response::Parts) -> usize {
    let length = head
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    length.unwrap_or(0)
}

/// What came of reading a body.
pub(crate) enum Collected<B> {
    Whole(Bytes),
    TooLarge(Resumed<B>),
    Broken,
}

pub(crate) async fn collect<B>(mut body: B, limit: usize) -> Collected<B>
where
    B: hyper::body::Body<Data = Bytes> + Unpin,
{
    let (mut read, mut n_bytes) = (VecDeque::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Collected::Broken };
        let Ok(data) = frame.into_data() else { continue };
        n_bytes += data.len();
        read.push_back(data);
        if n_bytes > limit {
            return Collected::TooLarge(Resumed { read, rest: body });
        }
    }
    if read.len() == 1 {
        return Collected::Whole(read.pop_front().unwrap_or_default());
    }
    let mut whole = Vec::with_capacity(n_bytes);
    read.iter().for_each(|bytes| whole.extend_from_slice(bytes));
    Collected::Whole(whole.into())
}
