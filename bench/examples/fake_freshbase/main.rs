//! Pretends to be `freshbase serve` for the benchmark's own tests: the few endpoints that a run
//! needs, in memory, without durability or rights. Its figures mean nothing.
//!
//! `FAKE_DEFECT=wrong-group` makes queries answer objects of another group, `FAKE_DEFECT=lose-writes`
//! acknowledges inserts without keeping them once the collection has 1,100 objects,
//! `FAKE_DEFECT=leak` shows a user everybody's private objects, and `FAKE_DEFECT=any-password` lets
//! everybody log in; `FAKE_DEFECT=lose-events`, `double-events` and `stray-events` tell subscribers too little, twice, and
//! of what is no matter of theirs. A run must notice all of them. `FAKE_DEFECT=busy` refuses every third login, and
//! `FAKE_DEFECT=busy-forever` does so without saying when to come back. `FAKE_DEFECT=no-books` knows of no copies. Further ones are
//! in the modules.

mod copies;
mod edge;
mod live;

use std::{
    collections::{BTreeMap, BTreeSet},
    convert::Infallible,
    io::Write as _,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc::UnboundedSender};

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Value>,
    groups: BTreeMap<String, Vec<String>>,
    indexes: Vec<Value>,
    /// Private objects by the path that they were imported at.
    notes: BTreeMap<String, Vec<Value>>,
    /// Passwords by user name.
    passwords: BTreeMap<String, String>,
    logins: u64,
    posts: BTreeSet<String>,
    /// Id, filter and socket of each subscription.
    subscriptions: Vec<(String, Value, UnboundedSender<String>)>,
    copies: copies::Copies,
    /// Answered requests.
    requests: u64,
    /// Objects that were read, and writes of such.
    read: BTreeSet<String>,
    stale_writes: u64,
    is_caching_off: bool,
    defect: Option<String>,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let defect = std::env::vars()
        .find(|(name, _)| name == "FAKE_DEFECT")
        .map(|(_, value)| value);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_io().build()?;
    if args.get(1).is_some_and(|command| command == "edge") {
        return runtime.block_on(edge::serve(&args, defect.as_deref()));
    }
    for expected in ["serve", "--listen", "--data-dir", "--compat", "--max-waiting-logins"] {
        ensure!(
            args.iter().any(|arg| arg == expected),
            "{expected} is missing on the command line"
        );
    }
    let state = Arc::new(Mutex::new(State {
        defect,
        ..State::default()
    }));
    runtime.block_on(accept_all(state))
}

async fn accept_all(state: Arc<Mutex<State>>) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "fake ready on http://{}/", listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let state = state.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let state = state.clone();
                async move {
                    if request.uri().path() == "/v1/events" {
                        return Ok(live::open_socket(request, state));
                    }
                    Ok::<_, Infallible>(answer(request, &state).await.unwrap_or_else(|error| {
                        reply(
                            StatusCode::INTERNAL_SERVER_ERROR,
                            &json!({ "message": format!("{error:#}") }),
                        )
                    }))
                }
            });
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .with_upgrades()
                .await;
        });
    }
}

async fn answer(request: Request<Incoming>, state: &Mutex<State>) -> Result<Response<Full<Bytes>>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let is_text = |path: &str| path.contains("/v1/file/") || path.contains("/v1/code/");
    let body = if body.is_empty() || is_text(head.uri.path()) {
        Value::Null
    } else if head.method == Method::PUT
        && (matches!(head.uri.path(), "/v1/db/Note" | "/v1/db/OwnNote" | "/v1/db/Post")
            || head.uri.path().starts_with("/v1/db/Zipf"))
    {
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        lines.map(serde_json::from_slice::<Value>).collect::<Result<_, _>>()?
    } else {
        serde_json::from_slice(&body)?
    };
    let (path, query) = (head.uri.path(), head.uri.query().unwrap_or_default());
    let admin = head
        .headers
        .get("authorization")
        .is_some_and(|value| value == "BAT 0123");
    let mut state = state.lock().ok().context("the state is poisoned")?;
    let state = &mut *state;
    state.requests += 1;
    let defect = state.defect.as_deref();
    let answer = state
        .copies
        .answer(&head.method, path, query, &head.headers, &body, defect)?;
    if let Some(answer) = answer {
        return Ok(answer);
    }

    let outcome = match (&head.method, path) {
        (&Method::GET, "/healthz") => (StatusCode::OK, json!({ "ok": true })),
        (&Method::POST, "/v1/db/User/register") => {
            let name = body["user"]["username"].as_str().context("a user without name")?;
            let password = body["password"].as_str().context("a user without password")?;
            state.passwords.insert(name.to_owned(), password.to_owned());
            return logged_in(name);
        }
        (&Method::POST, "/v1/db/User/login") => return state.log_in(&body),
        (&Method::PUT, "/v1/config") if admin => {
            state.is_caching_off = body["caching"]["enabled"] == false;
            (StatusCode::OK, body)
        }
        (&Method::GET, "/metrics") => {
            let text = format!("freshbase_requests_total{{app=\"main\"}} {}\n", state.requests);
            return Ok(Response::new(Full::new(Bytes::from(text))));
        }
        (&Method::GET, "/v1/caching") if admin => {
            let keeps = !state.is_caching_off && defect != Some("no-books");
            let keys = if keeps { state.read.len() } else { 0 };
            let stale_writes = if keeps { state.stale_writes } else { 0 };
            (StatusCode::OK, json!({ "keys": keys, "staleWrites": stale_writes }))
        }
        (&Method::POST, "/v1/schema") if admin => (StatusCode::OK, body),
        (&Method::POST, "/v1/index/Item") if admin => {
            state.indexes.push(body);
            (StatusCode::ACCEPTED, Value::Null)
        }
        (&Method::GET, "/v1/index/Item") if admin => {
            let default = json!({ "unique": true, "keys": [{ "id": "asc" }] });
            (
                StatusCode::OK,
                std::iter::once(default).chain(state.indexes.iter().cloned()).collect(),
            )
        }
        (&Method::POST, "/v1/index/Post") if admin => (StatusCode::ACCEPTED, Value::Null),
        (&Method::POST, "/v1/db/Role") if admin => (StatusCode::CREATED, json!({ "id": "/db/Role/r" })),
        (&Method::PUT, "/v1/db/Post") if admin => {
            let posts = body.as_array().into_iter().flatten();
            state
                .posts
                .extend(posts.filter_map(|post| post["id"].as_str().map(str::to_owned)));
            (StatusCode::OK, Value::Null)
        }
        (&Method::GET, "/v1/db/Post/count") => (StatusCode::OK, json!({ "count": state.posts.len() })),
        (&Method::PUT, path) if path.starts_with("/v1/db/Post/") && admin => {
            state.tell(&body);
            (StatusCode::OK, body)
        }
        // Files and code, as much of them as a run looks at.
        (&Method::PUT, path) if path.starts_with("/v1/file/") || path.contains("/v1/code/") => {
            (StatusCode::OK, Value::Null)
        }
        (&Method::GET, "/v1/code/constant") => return Ok(Response::new(Full::new(Bytes::from_static(b"hello")))),
        (&Method::GET, "/apps/runaway/v1/code/runaway") => {
            (StatusCode::SERVICE_UNAVAILABLE, json!({ "message": "busy" }))
        }
        (&Method::POST, "/admin/v1/login") => (StatusCode::OK, json!({ "token": "0123" })),
        (&Method::POST, "/admin/v1/apps") => (StatusCode::OK, Value::Null),
        (&Method::POST, "/apps/runaway/v1/db/User/login") => return logged_in("root"),
        (&Method::POST, "/v1/db/Guarded" | "/v1/db/Unguarded") => {
            let mut object = body;
            if path == "/v1/db/Guarded" && state.defect.as_deref() != Some("no-handler") && object["name"] == "a" {
                object["name"] = json!("a!");
            }
            add_metadata(&mut object, 1);
            (StatusCode::CREATED, object)
        }
        (&Method::GET, "/v1/db/Item/count") => (StatusCode::OK, json!({ "count": state.objects.len() })),
        (&Method::GET, "/v1/db/Item/query") => (StatusCode::OK, Value::Array(state.query(query)?)),
        (&Method::POST, "/v1/db/Item") => state.insert(body)?,
        (&Method::PUT, "/v1/db/Note" | "/v1/db/OwnNote") if admin => {
            let count = body.as_array().map_or(0, Vec::len);
            state
                .notes
                .entry(path.to_owned())
                .or_default()
                .extend(body.as_array().cloned().unwrap_or_default());
            (StatusCode::OK, json!({ "count": count, "failed": [] }))
        }
        (&Method::GET, "/v1/db/Note/count" | "/v1/db/OwnNote/count") => {
            let own = state.own(path);
            (StatusCode::OK, json!({ "count": own.len() }))
        }
        (&Method::GET, "/v1/db/Note/query" | "/v1/db/OwnNote/query") => {
            let mut own = state.own(path);
            own.truncate(20);
            (StatusCode::OK, Value::Array(own))
        }
        (method, path) => {
            let id = path.strip_prefix("/v1").unwrap_or_default();
            if method == Method::GET {
                state.read.insert(id.to_owned());
            } else {
                state.stale_writes += u64::from(state.read.remove(id));
            }
            let mut response = reply_of(state.one(method, id, body));
            if method == Method::GET && !state.is_caching_off {
                let headers = response.headers_mut();
                headers.insert("cache-control", "public, max-age=60".parse()?);
            }
            return Ok(response);
        }
    };
    Ok(reply_of(outcome))
}

fn logged_in(name: &str) -> Result<Response<Full<Bytes>>> {
    let mut response = reply(StatusCode::OK, &json!({ "id": format!("/db/User/{name}") }));
    let headers = response.headers_mut();
    headers.insert("baqend-authorization-token", "0123".parse()?);
    Ok(response)
}

impl State {
    fn log_in(&mut self, body: &Value) -> Result<Response<Full<Bytes>>> {
        let name = body["username"].as_str().context("a login without name")?;
        self.logins += 1;
        let defect = self.defect.as_deref().unwrap_or_default();
        // The first ones are those that the run is set up with.
        if defect.starts_with("busy") && self.logins > 10 && self.logins.is_multiple_of(3) {
            let mut response = reply(StatusCode::SERVICE_UNAVAILABLE, &json!({ "message": "busy" }));
            if defect == "busy" {
                response.headers_mut().insert("retry-after", "1".parse()?);
            }
            return Ok(response);
        }
        let known = self.passwords.get(name).map(String::as_str);
        let is_right = name == "root" || body["password"].as_str() == known;
        if is_right || defect == "any-password" {
            logged_in(name)
        } else {
            Ok(reply(StatusCode::UNAUTHORIZED, &json!({ "message": "wrong" })))
        }
    }

    /// The user's own objects of the class whose query or count this is, by rank.
    fn own(&self, path: &str) -> Vec<Value> {
        let class = path.rsplit_once('/').map_or(path, |(class, _)| class);
        let notes = self.notes.get(class).into_iter().flatten();
        let mut own: Vec<Value> = notes
            .filter(|note| self.defect.as_deref() == Some("leak") || note["acl"]["read"]["/db/User/reader"] == "allow")
            .cloned()
            .collect();
        own.sort_by_key(|note| note["rank"].as_i64());
        own
    }

    fn insert(&mut self, mut object: Value) -> Result<(StatusCode, Value)> {
        let id = object["id"].as_str().context("an object without id")?.to_owned();
        if self.objects.contains_key(&id) {
            return Ok((StatusCode::CONFLICT, json!({ "message": "exists" })));
        }
        add_metadata(&mut object, 1);
        if self.defect.as_deref() != Some("lose-writes") || self.objects.len() < 1100 {
            let group = object["group"].as_str().context("an object without group")?.to_owned();
            self.groups.entry(group).or_default().push(id.clone());
            self.objects.insert(id, object.clone());
        }
        Ok((StatusCode::CREATED, object))
    }

    fn one(&mut self, method: &Method, id: &str, body: Value) -> (StatusCode, Value) {
        let Some(object) = self.objects.get_mut(id) else {
            return (StatusCode::NOT_FOUND, json!({ "message": "not found" }));
        };
        if method == Method::PUT {
            let version = object["version"].as_i64().unwrap_or_default() + 1;
            *object = body;
            add_metadata(object, version);
        } else if method == Method::POST {
            let amount = body["$inc"]["score"].as_f64().unwrap_or_default();
            object["score"] = json!(object["score"].as_f64().unwrap_or_default() + amount);
        }
        (StatusCode::OK, object.clone())
    }

    fn query(&self, query: &str) -> Result<Vec<Value>> {
        let parameter = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(key, _)| *key == name)
                .map(|(_, value)| percent_decode(value))
        };
        let filter: Value = serde_json::from_str(&parameter("q").context("q is missing")?)?;
        let limit: usize = parameter("count").context("count is missing")?.parse()?;
        let sort = parameter("sort").unwrap_or_default();
        let by = |row: &Value, field: &str| row[field].as_f64().unwrap_or_default();

        let mut rows: Vec<Value> = if let Some(group) = filter["group"].as_str() {
            let wrong = self.defect.as_deref() == Some("wrong-group");
            let group = if wrong { "g00000" } else { group };
            let ids = self.groups.get(group).context("an unknown group")?;
            ids.iter().filter_map(|id| self.objects.get(id).cloned()).collect()
        } else {
            let from = filter["score"]["$gte"].as_f64().context("an unknown filter")?;
            self.objects
                .values()
                .filter(|row| by(row, "score") >= from)
                .cloned()
                .collect()
        };
        for field in ["rank", "score"] {
            if sort.contains(field) {
                rows.sort_by(|a, b| by(a, field).total_cmp(&by(b, field)));
            }
        }
        rows.truncate(limit);
        Ok(rows)
    }
}

fn add_metadata(object: &mut Value, version: i64) {
    object["version"] = json!(version);
    object["acl"] = Value::Null;
    object["createdAt"] = json!("2026-01-01T00:00:00.123Z");
    object["updatedAt"] = json!("2026-01-01T00:00:00.123Z");
}

fn percent_decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits = (byte == b'%').then(|| [rest.next(), rest.next()]);
        let decoded = digits.and_then(|digits| {
            let digits: Vec<u8> = digits.into_iter().flatten().collect();
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
        });
        bytes.push(decoded.unwrap_or(byte));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn reply_of((status, body): (StatusCode, Value)) -> Response<Full<Bytes>> {
    reply(status, &body)
}

fn reply(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status;
    response
}
