//! Answers that are not for everybody: kept apart from all others, and given to those whom the origin's own rules let.
//!
//! The edge only ever says yes. Whoever it does not know, whatever it does not have, and all that the rules refuse goes to the origin.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, HeaderValue, IF_NONE_MATCH};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;

use crate::body::EdgeBody;
use crate::callers::{Caller, Guard, Presented};
use crate::edge::{Asked, Inner};
use crate::entry::{Entry, Sent, Terms};
use crate::error::Failure;
use crate::fill::{Collected, collect, declared_length};
use crate::flight::{Landing, Role};
use crate::headers::{name_client, name_target};
use crate::respond::{From, needs_body, with_entry};
use crate::shelf::Hint;
use crate::target::Target;
use crate::vary::Fields;

/// A request of a caller for something that may be kept for others.
pub(crate) struct Guarded<'r> {
    pub(crate) presented: Presented,
    pub(crate) found: Option<Arc<Entry>>,
    fields: Option<Fields>,
    target: Target<'r>,
}

impl Inner {
    /// Looks at what there is for this request. `None` if nobody shows who it is from.
    pub(crate) fn look_guarded<'r>(&self, parts: &'r Parts, target: &Target<'r>) -> Option<Guarded<'r>> {
        let presented = Presented::of(parts)?;
        let target = Target {
            path: match &presented.path {
                // It lives as long as the request: tokens in URLs are rare, so this is a search and no copy.
                Some(_) => parts.uri.path(),
                None => target.path,
            },
            ..target.clone()
        };
        // Other parameters than the token make another address.
        if presented.path.as_deref().is_some_and(|path| path != target.path) {
            return None;
        }
        let (found, fields) = self.guarded.find(&target, &parts.headers);
        Some(Guarded {
            presented,
            found,
            fields,
            target,
        })
    }

    /// Whether what there is may be the answer now, without asking the origin.
    pub(crate) fn permits(&self, guarded: &Guarded<'_>, now: Duration) -> bool {
        let (Some(entry), Some(caller)) = (&guarded.found, self.callers.get(&guarded.presented.key)) else {
            return false;
        };
        let is_let = entry.guard.as_ref().is_some_and(|guard| caller.may_have(guard));
        is_let && caller.is_current(&self.coherence, now) && entry.is_fresh(&self.coherence, now)
    }

    /// Whether the origin has said of this address that answers may be kept with their rules.
    pub(crate) fn is_guarded(&self, guarded: &Guarded<'_>) -> bool {
        self.guarded.hint(&guarded.target) == Hint::Storable
    }

    /// Remembers that of an address, or that it is not so any more.
    pub(crate) fn learn_guarded(&self, guarded: &Guarded<'_>, is_kept: bool) {
        let hint = if is_kept { Hint::Storable } else { Hint::Unknown };
        self.guarded.set_hint(&guarded.target, hint);
    }

    /// Has the origin answer a request that the edge composes, with the caller's token; those who show the same token meanwhile wait for
    /// it. `None`: nothing came of it that is for this client.
    pub(crate) async fn fill_guarded(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        guarded: &Guarded<'_>,
    ) -> Result<Option<Response<EdgeBody>>, Failure> {
        let Some(variant) = guarded.fields.and_then(|fields| fields.variant(&asked.parts.headers)) else {
            return Ok(None);
        };
        let name = format!("{variant}{}", guarded.presented.key.as_str());
        let may_follow = self.coherence.is_intact(asked.at);
        let url = [self.coherence.fence_of_url(&guarded.target.url())];
        let role = self
            .flights
            .enter(guarded.target.key(&name).to_key(), self.coherence.stamp(), |stamp| {
                may_follow && self.coherence.is_current(stamp, &url)
            });
        match role {
            Role::Follow(follower) => {
                self.counts.followed.add();
                let landing = follower.landing().await;
                let now = self.ticks.now();
                match landing {
                    Landing::Stored(entry) if self.still_permits(&entry, guarded, now) => {
                        self.counts.collapsed.add();
                        entry.count_hit();
                        Ok(self.with(&entry, asked.parts, From::Other).await)
                    }
                    Landing::Stored(_) | Landing::Alone => Ok(None),
                }
            }
            Role::Lead(leader) => {
                let entry = self.ask_guarded(asked, guarded).await?;
                leader.land(entry.clone().map_or(Landing::Alone, Landing::Stored));
                self.learn_guarded(guarded, entry.is_some());
                match entry {
                    Some(entry) => Ok(self.with(&entry, asked.parts, From::Origin).await),
                    None => Ok(None),
                }
            }
        }
    }

    fn still_permits(&self, entry: &Entry, guarded: &Guarded<'_>, now: Duration) -> bool {
        let caller = self.callers.get(&guarded.presented.key);
        let is_let = |caller: &Caller| entry.guard.as_ref().is_some_and(|guard| caller.may_have(guard));
        caller.is_some_and(|caller| is_let(&caller) && caller.is_current(&self.coherence, now))
            && entry.is_current(&self.coherence)
    }

    /// Answers with an entry, wherever its body is. `None` if that is gone.
    pub(crate) async fn with(&self, entry: &Entry, parts: &Parts, from: From) -> Option<Response<EdgeBody>> {
        let body = match needs_body(entry, parts) {
            true => entry.content.read().await?,
            false => Bytes::new(),
        };
        Some(with_entry(entry, body, parts, self.ticks.now(), from))
    }

    async fn ask_guarded(&self, asked: &Asked<'_>, guarded: &Guarded<'_>) -> Result<Option<Arc<Entry>>, Failure> {
        self.counts.fills.add();
        // Both are read before the request is sent: purges that come from now on concern its answer.
        let sent = Sent {
            stamp: self.coherence.stamp(),
            at: self.ticks.now(),
        };
        let known = guarded.fields.unwrap_or_default();
        let old = guarded.found.as_ref();
        let answer = self.send(compose(asked, known, old)).await?;
        let (mut head, body) = answer.into_parts();
        let group = self.groups.missed(&head.headers);
        // By what the origin says now, also if it confirms what is here.
        let (Some(guard), Some(caller)) = (
            Guard::of(&head.headers),
            Caller::of(&head.headers, sent, &self.coherence),
        ) else {
            return Ok(None);
        };
        let confirmed = old.filter(|_| head.status == StatusCode::NOT_MODIFIED);
        if let Some(old) = confirmed {
            self.counts.confirmed.add();
            let news = std::mem::take(&mut head.headers);
            head.headers = old.confirmed(&news);
            // Names of before are of other rules, perhaps.
            head.headers.remove(crate::SURROGATE_KEY);
            for keys in news.get_all(crate::SURROGATE_KEY) {
                head.headers.append(crate::SURROGATE_KEY, keys.clone());
            }
            head.status = StatusCode::OK;
        }
        let terms = Terms::guarded(&head, &guarded.target, &self.coherence);
        let varies = Fields::of_answer(&head.headers).filter(|fields| !fields.has_credentials());
        let limit = self.options.limits.answer.min(self.guarded.largest());
        let (Some(terms), Some(varies), true) = (terms, varies, declared_length(&head) <= limit) else {
            return Ok(None);
        };
        let fields = known.and(varies);
        let headers = &asked.parts.headers;
        let Some(variant) = fields.variant(headers) else {
            return Ok(None);
        };
        if fields.values(headers) != known.values(headers) {
            // It varies by more than what the request had. The next one has it.
            self.guarded.vary(&guarded.target, fields);
            return Ok(None);
        }
        let bytes = match confirmed {
            Some(old) => match old.content.read().await {
                Some(bytes) => bytes,
                None => return Ok(None),
            },
            None => match collect(body, limit).await {
                Collected::Whole(bytes) => bytes,
                Collected::TooLarge(_) | Collected::Broken => return Ok(None),
            },
        };
        let entry = Entry::new(head.headers, bytes, sent, terms).guarded_by(Arc::new(guard));
        let entry = Arc::new(entry.in_group(group));
        if entry.is_current(&self.coherence) {
            self.guarded.keep(&guarded.target, fields, &variant, entry.clone());
            self.callers.put(guarded.presented.key.clone(), caller);
        }
        Ok(Some(entry))
    }
}

/// A request of the key's content and the token.
fn compose(asked: &Asked<'_>, fields: Fields, old: Option<&Arc<Entry>>) -> Request<Empty<Bytes>> {
    let client = asked.parts;
    let mut request = Request::new(Empty::new());
    *request.uri_mut() = client.uri.clone();
    let headers = request.headers_mut();
    name_target(headers, &asked.target);
    name_client(headers, asked.peer);
    fields.copy(&client.headers, headers);
    headers.remove(COOKIE);
    if let Some(token) = client.headers.get(AUTHORIZATION) {
        headers.insert(AUTHORIZATION, token.clone());
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Some(tag) = old.and_then(|old| old.validator()) {
        headers.insert(IF_NONE_MATCH, tag.clone());
    }
    request
}
