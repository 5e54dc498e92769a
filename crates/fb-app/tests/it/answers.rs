//! Copies of answers of modules: whoever has one that is out of date finds its URL in the filter.

use std::collections::HashMap;
use std::sync::Mutex;

use bytes::Bytes;
use fb_app::QueryRequest;
use fb_app::caching::KeptAnswer;
use fb_app::functions::{CodeApi, CodeRequest, CodeType, ModuleCall, Read};
use fb_app::objects::Condition;
use fb_auth::Principal;
use fb_functions::{HostError, HttpResponse};
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use super::caching::{BLIND, LIFE, class, everybody, is_blind, is_listed, key, set};
use super::results::Dice;
use super::*;

/// Reads what everybody gets, in several ways.
const SHOW: &str = "
exports.get = async (db, req, res) => {
  res.cacheable();
  const { what } = req.query;
  const n = Number(req.query.n);
  const ids = (all) => all.map((one) => one.id + ':' + one.n).sort();
  const load = async (key) => (await db.Open.load(key))?.n ?? null;
  const ways = {
    object: () => load('o' + n),
    chain: async () => load('o' + await load('o' + n)),
    list: async () => ids(await db.Open.find().equal('n', n).resultList()),
    some: async () => ids(await db.Open.find().lessThan('n', n + 2).limit(2).resultList()),
    top: async () => ids(await db.Open.find().greaterThanOrEqualTo('n', n).descending('n').limit(n + 1).resultList()),
    count: () => db.Open.find().greaterThan('n', n).count(),
    both: async () => [await load('o' + n), await db.Open.find().equal('n', await load('o' + n)).count()],
  };
  res.json({ shown: await ways[what]() });
};";

const WAYS: [&str; 7] = ["object", "chain", "list", "some", "top", "count", "both"];

/// What code may ask for here: objects, results and counts of one class. A write that is waiting happens behind the first answer, before
/// code has it.
#[derive(Default)]
struct SmallApi {
    waiting: Mutex<Option<(Arc<App>, String, u64)>>,
    /// What the next answer waits for.
    gate: Mutex<Option<oneshot::Receiver<()>>>,
}

impl CodeApi for SmallApi {
    fn answer(&self, app: Arc<App>, request: CodeRequest) -> BoxFuture<'static, Result<HttpResponse, HostError>> {
        let waiting = self.waiting.lock().unwrap().take();
        let gate = self.gate.lock().unwrap().take();
        Box::pin(async move {
            if let Some(gate) = gate {
                gate.await.unwrap();
            }
            let CodeRequest { caller, request } = request;
            let (path, query) = request.url.split_once('?').unwrap_or((&request.url, ""));
            let part = |name: &str| {
                let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
                Some(decoded(pairs.find(|(other, _)| *other == name)?.1))
            };
            let json = |text: Option<String>| text.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
            let filter = part("q").map_or(json!({}), |text| serde_json::from_str(&text).unwrap());
            let note = |read: Read| {
                caller.reads.as_ref().is_some_and(|reads| {
                    reads.take_down(read);
                    true
                })
            };
            let body = match path.strip_prefix("/db/Open/").unwrap() {
                "query" => {
                    let asked = QueryRequest {
                        filter,
                        sort: json(part("sort")),
                        offset: part("start").and_then(|n| n.parse().ok()).unwrap_or(0),
                        limit: part("count").and_then(|n| n.parse().ok()),
                    };
                    match note(Read::Query("Open".into(), asked.clone())) {
                        true => app.query_in_order(&caller.principal, "Open", &asked).await,
                        false => app.query(&caller.principal, "Open", asked).await,
                    }
                }
                "count" => {
                    note(Read::Count("Open".into(), filter.clone()));
                    let count = app.count(&caller.principal, "Open", &filter).await;
                    count.map(|count| Bytes::from(format!("{{\"count\":{count}}}")))
                }
                name => {
                    note(Read::Object("Open".into(), key(name)));
                    let seen = app.load(&caller.principal, "Open", &key(name)).await;
                    seen.map(|seen| seen.body())
                }
            };
            if let Some((app, name, n)) = waiting {
                set(&app, &name, json!({ "n": n })).await;
            }
            let (status, body) = match body {
                Ok(body) => (200, body),
                Err(AppError::NoObject(_)) => (404, Bytes::from_static(b"{}")),
                Err(error) => return Err(HostError(error.to_string())),
            };
            Ok(HttpResponse {
                status,
                headers: vec![("content-type".into(), "application/json".into())],
                body,
            })
        })
    }
}

/// ASCII, percent-encoded.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |all, part| {
        let (code, rest) = part.split_at(2);
        all + &char::from(u8::from_str_radix(code, 16).unwrap()).to_string() + rest
    })
}

impl Fixture {
    async fn with_show() -> (Self, Arc<SmallApi>) {
        let it = Self::with_open().await;
        let api = Arc::new(SmallApi::default());
        it.apps.serve_code(api.clone());
        it.publish("show", SHOW).await;
        (it, api)
    }

    async fn publish(&self, name: &str, text: &str) {
        let root = &self.admin.principal;
        self.app.write_code(root, name, CodeType::Module, text).await.unwrap();
    }
}

fn url(what: &str, n: u64) -> String {
    format!("/code/show?what={what}&n={n}")
}

fn call(url: &str) -> ModuleCall<'_> {
    let query = url.split_once('?').unwrap().1;
    let request = json!({
        "method": "GET", "url": format!("/?{query}"), "path": "/", "query": query, "headers": [], "ip": "::1",
        "protocol": "http", "host": "localhost", "originalUrl": url,
    });
    ModuleCall {
        name: "show",
        request,
        body: Bytes::new(),
        depth: 0,
    }
}

async fn kept_as(app: &Arc<App>, url: &str, name: &str) -> (Bytes, Option<KeptAnswer>) {
    let anybody = Principal::anonymous();
    let (answer, kept) = app.call_module_to_keep(&anybody, call(url), name).await.unwrap();
    assert_eq!(answer.status, 200);
    (answer.body, kept)
}

/// The answer, if it may be kept.
async fn kept(app: &Arc<App>, url: &str) -> Option<Bytes> {
    let (body, kept) = kept_as(app, url, url).await;
    kept.unwrap().lifetime.map(|_| body)
}

/// The law: after each acknowledged write, also one in the middle of a call, each copy that is not what a call would answer now is
/// in the filter.
#[tokio::test]
async fn whatever_happens_outdated_answers_are_in_the_filter() {
    let (it, api) = Fixture::with_show().await;
    let (mut n_right, mut n_outdated, mut n_in_vain, mut n_refused) = (0, 0, 0, 0);
    for seed in 1..=3 {
        let mut dice = Dice(seed);
        let mut copies: HashMap<String, Bytes> = HashMap::new();
        for _ in 0..70 {
            if dice.roll(6) == 0 {
                it.pass(BLIND);
                copies.clear();
            }
            let before = it.app.filter().await;
            for _ in 0..dice.roll(5) {
                let url = url(WAYS[dice.roll(7) as usize], dice.roll(4));
                if dice.roll(4) == 0 {
                    let write = (it.app.clone(), format!("o{}", dice.roll(6)), dice.roll(5));
                    *api.waiting.lock().unwrap() = Some(write);
                }
                match kept(&it.app, &url).await {
                    Some(body) => drop(copies.insert(url, body)),
                    None => n_refused += 1,
                }
                *api.waiting.lock().unwrap() = None;
            }
            let name = format!("o{}", dice.roll(6));
            let n = dice.roll(5);
            let secret = json!({ "n": n, "acl": { "read": { "/db/Role/1": "allow" } } });
            match dice.roll(8) {
                0 => {
                    let root = &it.admin.principal;
                    let _ = it.app.delete(root, "Open", &key(&name), Condition::None).await;
                }
                1 => set(&it.app, &name, secret).await,
                _ => set(&it.app, &name, json!({ "n": n })).await,
            }
            let filter = it.app.filter().await;
            for (url, body) in &copies {
                let element = fb_sketch::KeyHash::of(url);
                let is_listed = filter.filter().contains(element);
                // Under a name of its own, so that it is no copy of this one.
                let now = kept_as(&it.app, url, "/code/fresh").await.0;
                if now == *body {
                    n_right += 1;
                    n_in_vain += usize::from(is_listed && !before.filter().contains(element));
                } else {
                    n_outdated += 1;
                    assert!(
                        is_listed,
                        "seed {seed}: {url} is {now:?}, but {body:?} is not in the filter"
                    );
                }
            }
            copies.retain(|url, _| !filter.filter().contains(fb_sketch::KeyHash::of(url)));
        }
        it.pass(BLIND);
    }
    assert!(n_right > 100 && n_outdated > 50, "{n_right} {n_outdated}");
    assert!(
        n_in_vain < n_outdated,
        "{n_in_vain} listed in vain, {n_outdated} outdated"
    );
    assert!(n_refused * 5 < n_right + n_outdated, "{n_refused} got no lifetime");
}

#[tokio::test]
async fn what_the_last_call_read_is_entered_before_the_next_one() {
    let (it, api) = Fixture::with_show().await;
    set(&it.app, "o1", json!({ "n": 1 })).await;
    let object = url("object", 1);
    let write = |name: &str| Some((it.app.clone(), name.to_owned(), 2));
    *api.waiting.lock().unwrap() = write("other");
    assert_eq!(
        kept(&it.app, &object).await,
        None,
        "something changed, and nobody knew what it reads"
    );
    *api.waiting.lock().unwrap() = write("other");
    assert!(kept(&it.app, &object).await.is_some());
    assert!(!is_listed(&it.app, &object).await);
    *api.waiting.lock().unwrap() = write("o1");
    assert!(kept(&it.app, &object).await.is_some());
    assert!(
        is_listed(&it.app, &object).await,
        "what it shows is out of date already"
    );
}

/// Two calls of one URL that read different objects although nothing changed, and what the first one read is forgotten before it has
/// answered.
#[tokio::test]
async fn what_was_read_for_a_call_under_way_is_not_forgotten_unnoticed() {
    let (it, api) = Fixture::with_show().await;
    it.publish(
        "show",
        "exports.get = async (db, req, res) => { res.cacheable(); await db.Open.load(req.get('which')); res.json(1) };",
    )
    .await;
    let url = url("object", 1);
    let kept = async |which: &str| {
        let mut call = call(&url);
        call.request["headers"] = json!([["which", which]]);
        let answered = it.app.call_module_to_keep(&Principal::anonymous(), call, &url).await;
        answered.unwrap().1.unwrap().lifetime
    };
    // So that nothing else is remembered, and no copy is out there.
    *api.waiting.lock().unwrap() = Some((it.app.clone(), "other".to_owned(), 2));
    assert_eq!(kept("o1").await, None);
    let (open, gate) = oneshot::channel();
    *api.gate.lock().unwrap() = Some(gate);
    let mut first = std::pin::pin!(kept("o1"));
    while api.gate.lock().unwrap().is_some() {
        assert!(futures_util::poll!(first.as_mut()).is_pending());
        tokio::task::yield_now().await;
    }
    assert!(kept("o2").await.is_some());
    open.send(()).unwrap();
    assert_eq!(first.await, None);
    // Without copies to keep both in mind for, both are read soon again.
    assert!(kept("o1").await.is_some() && kept("o2").await.is_some());
    set(&it.app, "o1", json!({ "n": 1 })).await;
    assert!(is_listed(&it.app, &url).await);
}

#[tokio::test]
async fn what_reads_more_and_more_is_given_up_and_tried_again() {
    let (it, api) = Fixture::with_show().await;
    it.publish("show", "exports.get = async (db, req, res) => { res.cacheable(); await db.Open.load('x' + Math.random()); res.json(1) };")
        .await;
    let object = url("object", 1);
    for _ in 0..5 {
        *api.waiting.lock().unwrap() = Some((it.app.clone(), "other".to_owned(), 2));
        assert_eq!(kept(&it.app, &object).await, None);
    }
    // Nothing is written now, but it is not believed for a while.
    assert_eq!(kept(&it.app, &object).await, None);
    it.pass(2 * MINUTE);
    let mut n_kept = 0;
    for _ in 0..150 {
        n_kept += usize::from(kept(&it.app, &object).await.is_some());
    }
    assert!(
        (50..=100).contains(&n_kept),
        "{n_kept}: with its copies everything counts that was read for them"
    );
    it.pass(LIFE + 2 * MINUTE);
    assert!(kept(&it.app, &object).await.is_some());
}

#[tokio::test]
async fn answers_are_forgotten_with_their_copies_and_do_not_go_past_their_number() {
    let (it, _api) = Fixture::with_show().await;
    for n in 0..2_000 {
        assert!(kept(&it.app, &url("object", n)).await.is_some());
    }
    assert_eq!(kept(&it.app, &url("object", 2_000)).await, None);
    it.pass(LIFE);
    it.app.tend_caching().await.unwrap();
    assert!(kept(&it.app, &url("object", 2_000)).await.is_some());
}

#[tokio::test]
async fn other_code_and_other_schemas_outdate_answers_and_nothing_else() {
    let (it, _api) = Fixture::with_show().await;
    set(&it.app, "o1", json!({ "n": 1 })).await;
    let anybody = Principal::anonymous();
    it.app.load_to_keep(&anybody, "Open", &key("o1")).await.unwrap();
    let list = url("list", 1);
    kept(&it.app, &list).await.unwrap();
    it.publish("other", "exports.call = () => 1").await;
    assert!(is_listed(&it.app, &list).await);
    assert!(!is_blind(&it.app).await && !is_listed(&it.app, "/db/Open/o1").await);
    it.pass(BLIND);
    assert!(!is_listed(&it.app, &list).await);
    kept(&it.app, &list).await.unwrap();
    it.edit(class("Other", everybody())).await;
    assert!(is_listed(&it.app, &list).await, "it may look at the schema");
    // It goes on.
    it.pass(BLIND);
    kept(&it.app, &list).await.unwrap();
    set(&it.app, "o2", json!({ "n": 1 })).await;
    assert!(is_listed(&it.app, &list).await);
}

#[tokio::test]
async fn after_a_crash_answers_are_asked_about_for_as_long_as_their_copies_live() {
    let (it, _api) = Fixture::with_show().await;
    set(&it.app, "o1", json!({ "n": 1 })).await;
    let urls = [url("object", 1), url("list", 1)];
    for url in &urls {
        kept(&it.app, url).await.unwrap();
    }
    it.app.tend_caching().await.unwrap();
    for url in &urls {
        let (_, kept) = kept_as(&it.app, url, url).await;
        assert!(kept.unwrap().lifetime.unwrap().browser > 10);
    }
    let (apps, app, _dir) = it.crashed().await;
    it.pass(BLIND);
    assert!(!is_blind(&app).await);
    for url in &urls {
        assert!(is_listed(&app, url).await, "nobody watched it meanwhile");
    }
    it.pass(3 * LIFE);
    for url in &urls {
        assert!(!is_listed(&app, url).await);
    }
    apps.close().await;
}

#[tokio::test]
async fn what_is_written_often_gets_short_lifetimes() {
    let (it, _api) = Fixture::with_show().await;
    it.set(json!({ "caching": { "minLifetime": 1, "maxLifetime": LIFE } }))
        .await;
    for url in [url("object", 1), url("object", 2)] {
        kept(&it.app, &url).await.unwrap();
    }
    for n in 0..100 {
        it.pass(4);
        it.app.tend_caching().await.unwrap();
        set(&it.app, "o1", json!({ "n": n })).await;
        kept(&it.app, &url("object", 1)).await;
        kept(&it.app, &url("object", 2)).await;
    }
    let lifetime = |url: String| {
        let app = it.app.clone();
        async move { kept_as(&app, &url, &url).await.1.unwrap().lifetime.unwrap().browser }
    };
    let (often, never) = (lifetime(url("object", 1)).await, lifetime(url("object", 2)).await);
    assert!(often <= 20 && never > 5 * often, "{often} {never}");
}
