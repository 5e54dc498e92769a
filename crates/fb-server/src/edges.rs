//! Caches in front of this server: who is an edge, and what such caches are told.
//!
//! An edge (`freshbase edge`) proves with a secret that it is one. It is told then by what its copies are purged, follows the purges, and says
//! where its clients' requests come from. Whoever does not prove it gets what any client gets.

use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use fb_app::Session;
use fb_app::caching::{Guarded, LatePurges, Lifetime, PurgeSink, Shown, tags};
use fb_app::files::OpenFile;
use fb_app::objects::Seen;
use fb_auth::{LoadRules, PrincipalNote, Secret};
use fb_edge::{
    CALLER, EDGE_BOUND, EDGE_SECRET, GUARD, Late, Monotonic, PURGED_UP_TO, Pace, Purge, PurgeLog, Resume,
    SURROGATE_CONTROL, SURROGATE_KEY, Ticks,
};
use fb_purge::{Purger, TargetStats, wire_key};
use fb_types::{FileId, ObjectKey};
use futures_util::StreamExt;
use http::Method;
use http::header::{self, HeaderName};
use tokio::sync::watch;

use crate::context::{Ctx, Request};
use crate::error::ApiError;
use crate::reply::Reply;

/// Where edges follow the purges. Not a path of any app: an edge does not pass it on.
pub(crate) const PURGES: &str = "/.freshbase/purges";

/// How often edges are told that nothing is missing; several times within the smallest bound that makes sense.
const BEAT: Duration = Duration::from_millis(200);

/// Purges that are kept for edges that were away; about a hundred bytes each.
const KEPT: usize = 1 << 16;

/// Names in one purge, and their bytes; more make several of them.
const NAMES: usize = 200;
const NAME_BYTES: usize = 16 << 10;

/// Largest description of rules or of a caller that is put into a header, in bytes.
const MAX_NOTE: usize = 6 << 10;

/// What foreign caches read of the names of an answer: 16 KiB.
const FOREIGN_BYTES: usize = 16 << 10;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The purges of a node, numbered, for whoever follows them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Purges(Arc<PurgeLog>);

impl Purges {
    /// None so far. `boot` is a random number that no other start of the node drew.
    pub fn new(boot: u64) -> Self {
        Self(Arc::new(PurgeLog::new(boot, KEPT)))
    }

    /// For followers in this process: [`PurgeLog::after`] and [`PurgeLog::news`].
    pub fn log(&self) -> &Arc<PurgeLog> {
        &self.0
    }
}

impl PurgeSink for Purges {
    fn purge(&self, names: Vec<String>) {
        let mut batch = Vec::with_capacity(names.len().min(NAMES));
        let mut n_bytes = 0;
        for name in names {
            if batch.len() == NAMES || n_bytes + name.len() > NAME_BYTES {
                self.0.push(Purge::Keys(std::mem::take(&mut batch)));
                n_bytes = 0;
            }
            n_bytes += name.len();
            batch.push(name);
        }
        if !batch.is_empty() {
            self.0.push(Purge::Keys(batch));
        }
    }

    fn purge_all(&self) {
        self.0.push(Purge::All);
    }

    fn expect(&self, late: Weak<LatePurges>) {
        self.0.expect(Box::new(LateApp(late)));
    }
}

/// An app whose results are purged late.
#[derive(Debug)]
struct LateApp(Weak<LatePurges>);

impl Late for LateApp {
    fn lag(&self) -> Option<Duration> {
        self.0.upgrade().map(|late| late.lag())
    }

    fn wait_for(&self, is_waited_for: bool) {
        if let Some(late) = self.0.upgrade() {
            late.wait_for(is_waited_for);
        }
    }
}

/// Who is told of purges.
#[derive(Debug, Clone, Default)]
pub struct EdgeAccess {
    /// The purges; without them there are no edges.
    pub purges: Option<Purges>,
    /// What edges prove themselves with. `None`: there are none.
    pub secret: Option<Secret>,
    /// Who tells foreign caches, which stand in front of this server as well.
    pub foreign: Option<Arc<Purger>>,
    /// Headers by which everybody is told what answers are purged by, because foreign caches are. They remove them. How long they may keep
    /// answers they are not told beside `s-maxage`: purges reach them over other networks, and may not at all.
    pub name_headers: Vec<HeaderName>,
}

/// The same, at work.
pub(crate) struct Edges {
    access: EdgeAccess,
    ticks: Arc<dyn Ticks>,
    stopping: watch::Sender<bool>,
}

/// What an edge said along with its proof.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edge {
    /// By how much it may be behind.
    bound: Duration,
    /// It asks for itself, not for a client.
    pub(crate) is_own: bool,
}

/// As [`GUARD`] has it.
#[derive(serde::Serialize)]
struct Guard<'a> {
    app: &'a str,
    rules: &'a LoadRules,
}

/// As [`CALLER`] has it.
#[derive(serde::Serialize)]
struct Caller<'a> {
    app: &'a str,
    caller: &'a PrincipalNote,
    seconds: u64,
    names: &'a [String],
}

impl Edges {
    pub(crate) fn new(access: EdgeAccess) -> Self {
        Self {
            access,
            ticks: Arc::new(Monotonic::default()),
            stopping: watch::Sender::new(false),
        }
    }

    /// Ends the streams of purges.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Figures of foreign caches.
    pub(crate) fn foreign(&self) -> Vec<TargetStats> {
        self.access
            .foreign
            .as_ref()
            .map_or_else(Vec::new, |purger| purger.stats())
    }

    /// How many follow the purges.
    pub(crate) fn followers(&self) -> usize {
        self.access.purges.as_ref().map_or(0, |purges| purges.0.followers())
    }

    /// How many purges there were.
    pub(crate) fn purges(&self) -> u64 {
        self.access.purges.as_ref().map_or(0, |purges| purges.0.last())
    }

    /// Takes the proof off a request. If it is one, the request is as if the edge's client had sent it here.
    pub(crate) fn admit(&self, request: &mut Request) {
        if !request.headers.contains_key(EDGE_SECRET) {
            return;
        }
        let proof = request.headers.remove(EDGE_SECRET);
        let bound = request.headers.remove(EDGE_BOUND);
        let is_edge = match (&self.access.secret, &proof) {
            (Some(secret), Some(proof)) => secret.is(proof.as_bytes()),
            _ => false,
        };
        if !is_edge {
            return;
        }
        let bound = bound.and_then(|bound| bound.to_str().ok()?.parse().ok());
        let client = take_client(&mut request.headers);
        request.edge = Some(Edge {
            bound: bound.map_or(Duration::MAX, Duration::from_millis),
            is_own: client.is_none(),
        });
        request.peer = client.unwrap_or(request.peer);
        if let Some(scheme) = request.headers.get(FORWARDED_PROTO) {
            request.is_tls = scheme == "https";
        }
    }

    /// The stream of purges, if it is an edge that asks.
    pub(crate) fn stream(&self, request: &Request) -> Option<Reply> {
        let edge = request.edge?;
        let purges = self.access.purges.as_ref()?;
        let resume = Resume::of_query(request.uri.query().unwrap_or_default());
        let mut stopping = self.stopping.subscribe();
        let stopped = async move { drop(stopping.wait_for(|is_stopping| *is_stopping).await) };
        let pieces = purges.0.clone().stream(resume, self.ticks.clone(), pace(edge.bound));
        let pieces = pieces.take_until(Box::pin(stopped));
        let reply = Reply::stream(200, pieces.map(Ok::<_, std::convert::Infallible>));
        Some(
            reply
                .header(header::CONTENT_TYPE, "application/x-ndjson")
                .header(header::CACHE_CONTROL, "no-store"),
        )
    }

    /// Says to an edge which purges came before this answer.
    pub(crate) fn date(&self, reply: &mut Reply) {
        if let Some(purges) = &self.access.purges {
            let Resume { boot, after } = purges.0.place();
            reply.set_header(PURGED_UP_TO, &format!("{boot:016x}:{after}"));
        }
    }
}

/// What an edge with this bound has to be told so that it can answer from memory all the time: of what its bound leaves beside a beat, half is
/// for purges that are late, and half for the way.
fn pace(bound: Duration) -> Pace {
    Pace {
        beat: BEAT,
        patience: bound.saturating_sub(BEAT) / 2,
    }
}

/// JSON in a header: base64, as ids in it may have any character. `None` if it is larger than headers should be.
fn in_header(value: &impl serde::Serialize) -> Option<String> {
    let json = serde_json::to_vec(value).ok().filter(|json| json.len() <= MAX_NOTE)?;
    Some(data_encoding::BASE64URL_NOPAD.encode(&json))
}

/// Takes the last address off the route that the edge wrote: that of its client. None stands there if the edge asks for itself.
fn take_client(headers: &mut http::HeaderMap) -> Option<IpAddr> {
    let all: Vec<&str> = headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let all = all.join(",");
    let (before, last) = all.rsplit_once(',').unwrap_or(("", &all));
    let client = last.trim().parse().ok()?;
    headers.remove(FORWARDED_FOR);
    if !before.is_empty()
        && let Ok(before) = before.parse()
    {
        headers.insert(FORWARDED_FOR, before);
    }
    Some(client)
}

impl Ctx {
    /// How the caller showed its token, if it is an edge that passes it on which may decide by itself who gets the answer.
    fn shown_to_edge(&self) -> Option<(&Session, Shown<'_>)> {
        let edge = self.request.edge?;
        let staleness = self.app.settings().caching.edge_staleness;
        let session = self.session.as_ref().ok()?.as_ref()?;
        let (token, is_in_url) = self.request.token()?;
        let shown = match is_in_url {
            false => Shown::Header(token),
            true => Shown::Url {
                token,
                path: self.request.path(),
            },
        };
        let is_read = self.request.method == Method::GET && self.code.is_none();
        (is_read && edge.bound <= Duration::from_secs(staleness.into())).then_some((session, shown))
    }

    /// An object that is not for everybody, for an edge.
    pub(crate) async fn object_for_edge(
        &self,
        bucket: &str,
        key: &ObjectKey,
    ) -> Result<Option<(Seen, Guarded)>, ApiError> {
        match self.shown_to_edge() {
            Some((session, shown)) => Ok(Box::pin(self.app.load_for_edge(session, shown, bucket, key)).await?),
            None => Ok(None),
        }
    }

    /// The same for a file.
    pub(crate) async fn file_for_edge(&self, id: &FileId) -> Result<Option<(OpenFile, Guarded)>, ApiError> {
        match self.shown_to_edge() {
            Some((session, shown)) => Ok(Box::pin(self.app.open_file_for_edge(session, shown, id)).await?),
            None => Ok(None),
        }
    }

    /// The answer with what the edge needs to give it to others who may see it.
    pub(crate) fn guarded(&self, mut reply: Reply, guarded: &Guarded) -> Reply {
        let app = self.app.id().as_str();
        let guard = in_header(&Guard {
            app,
            rules: &guarded.rules,
        });
        let caller = in_header(&Caller {
            app,
            caller: &guarded.caller,
            seconds: guarded.seconds,
            names: &guarded.caller_names,
        });
        let is_private = |value: &header::HeaderValue| value.as_bytes().starts_with(b"private");
        let is_meant = reply.headers_mut().get(header::CACHE_CONTROL).is_some_and(is_private);
        if let (true, Some(guard), Some(caller)) = (is_meant && matches!(reply.status(), 200 | 304), guard, caller) {
            reply.set_header(GUARD, &guard);
            reply.set_header(CALLER, &caller);
            reply.set_header(SURROGATE_KEY, &guarded.names.join(" "));
            reply.set_header(SURROGATE_CONTROL, &format!("max-age={}", guarded.seconds));
            reply.vary_on("Origin");
        }
        reply
    }

    /// The answer as what everybody may keep for so long; caches that are told of purges get the names of what it is made of, and may
    /// keep it for as long as its reader.
    pub(crate) fn kept(&self, reply: Reply, lifetime: Lifetime, names: impl FnOnce() -> Vec<String>) -> Reply {
        self.kept_until_purged(reply, lifetime, lifetime.browser, names)
    }

    /// The same for what is purged a little after writes are acknowledged. Edges of this server keep it for `seconds`: no longer than others, unless
    /// the app says that they may rely on its purge. Other caches get no lifetime for it at all beside that of everybody.
    pub(crate) fn kept_and_purged_late(
        &self,
        reply: Reply,
        lifetime: Lifetime,
        seconds: u64,
        names: impl FnOnce() -> Vec<String>,
    ) -> Reply {
        let is_for_edge = self.request.edge.is_some();
        self.kept_until_purged(reply, lifetime, seconds, || {
            let mut names = names();
            names.extend(is_for_edge.then(|| tags::results(self.app.id())));
            names
        })
    }

    fn kept_until_purged(
        &self,
        reply: Reply,
        lifetime: Lifetime,
        seconds: u64,
        names: impl FnOnce() -> Vec<String>,
    ) -> Reply {
        let mut reply = reply.kept_for(lifetime);
        let access = &self.state.edges.access;
        match self.request.edge {
            Some(edge) if edge.bound <= Duration::from_secs(lifetime.edge) => {
                reply.set_header(SURROGATE_KEY, &names().join(" "));
                let stale = self.app.settings().caching.stale_if_error;
                reply.set_header(SURROGATE_CONTROL, &format!("max-age={seconds}, stale-if-error={stale}"));
            }
            None if !access.name_headers.is_empty() && self.code.is_none() => {
                let names = names();
                for header in &access.name_headers {
                    reply.set_header(header.clone(), &for_foreign(header, &names));
                }
            }
            _ => {}
        }
        reply
    }
}

/// Names as foreign caches want them: tags with commas, keys with spaces, and not more than they read.
fn for_foreign(header: &HeaderName, names: &[String]) -> String {
    let separator = if header.as_str().contains("tag") { "," } else { " " };
    let mut text = String::new();
    for name in names {
        let name = wire_key(name);
        if text.len() + separator.len() + name.len() > FOREIGN_BYTES {
            break;
        }
        if !text.is_empty() {
            text.push_str(separator);
        }
        text.push_str(&name);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_address_is_the_edges_word() {
        for (route, client, rest) in [
            (Some("192.0.2.1"), Some("192.0.2.1"), None),
            (Some("198.51.100.7, 192.0.2.1"), Some("192.0.2.1"), Some("198.51.100.7")),
            (Some("nonsense, 2001:db8::1"), Some("2001:db8::1"), Some("nonsense")),
            (Some("192.0.2.1, nonsense"), None, Some("192.0.2.1, nonsense")),
            (None, None, None),
        ] {
            let mut headers = http::HeaderMap::new();
            if let Some(route) = route {
                headers.insert(FORWARDED_FOR, route.parse().unwrap());
            }
            let client = client.map(|client| client.parse().unwrap());
            assert_eq!(take_client(&mut headers), client, "{route:?}");
            assert_eq!(headers.get(FORWARDED_FOR).map(|v| v.to_str().unwrap()), rest);
        }
    }

    #[test]
    fn late_purges_and_the_way_have_their_share_of_every_bound() {
        for (bound, patience) in [(500, 150), (1_000, 400), (200, 0), (100, 0)] {
            let pace = pace(Duration::from_millis(bound));
            assert_eq!(pace.patience, Duration::from_millis(patience));
        }
    }

    #[test]
    fn many_names_are_several_purges() {
        let purges = Purges::new(1);
        purges.purge((0..450).map(|n| n.to_string()).collect());
        purges.purge(vec!["x".repeat(10_000), "y".repeat(10_000)]);
        purges.purge(Vec::new());
        let (all, last) = purges.log().after(0).unwrap();
        let sizes: Vec<usize> = all
            .iter()
            .map(|purge| match &**purge {
                Purge::Keys(keys) => keys.len(),
                Purge::Urls(_) | Purge::All => 0,
            })
            .collect();
        assert_eq!((sizes, last), (vec![200, 200, 50, 1, 1], 5));
    }

    #[test]
    fn foreign_caches_get_names_as_they_read_them() {
        let names = ["shop", "shop/class/T", &"x".repeat(2000)].map(str::to_owned);
        let of = |header: &'static str| for_foreign(&HeaderName::from_static(header), &names);
        assert!(of("surrogate-key").starts_with("shop shop/class/T sha256:"));
        assert!(of("cache-tag").starts_with("shop,shop/class/T,sha256:"));
        let many: Vec<_> = (0..100).map(|i| format!("{i:01000}")).collect();
        assert_eq!(
            for_foreign(&HeaderName::from_static("cache-tag"), &many).len(),
            16 * 1001 - 1
        );
    }
}
