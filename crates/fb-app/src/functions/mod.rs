//! Server-side code: keeping it, and calling it. What runs it is `fb-functions`.

mod before;
mod call;
mod gate;
mod host;
mod reads;
mod sources;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use fb_auth::Principal;
use fb_functions::{Engine, HostError, HttpRequest, HttpResponse, Pool};
use fb_outbound::Outbound;
use fb_store::Store;
use fb_types::ObjectKey;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::{App, AppError};
use gate::Gate;

pub(crate) use before::{Basis, Prepared, Subject};
pub use call::ModuleCall;
pub(crate) use host::describe;

pub(crate) use reads::MAX_READS;
pub use reads::{Read, Reads};
pub use sources::CodeType;
pub(crate) use sources::{Sources, removal};

/// Most calls that stand in each other: code that calls a module whose code calls a module.
pub(crate) const MAX_DEPTH: u8 = 4;

/// A request that code makes to its app's API.
#[derive(Debug, Clone)]
pub struct CodeRequest {
    /// On whose behalf, as code.
    pub caller: CodeCaller,
    /// The request.
    pub request: HttpRequest,
}

/// Code as a caller.
#[derive(Debug, Clone)]
pub struct CodeCaller {
    /// With the rights of code.
    pub principal: Principal,
    /// How many calls stand in each other, this one included.
    pub depth: u8,
    /// Who wants to know what it reads.
    pub reads: Option<Arc<Reads>>,
}

/// Whoever answers the requests that code makes to its own app's API, without a network in between.
pub trait CodeApi: Send + Sync + 'static {
    /// Answers one request.
    fn answer(&self, app: Arc<App>, request: CodeRequest) -> BoxFuture<'static, Result<HttpResponse, HostError>>;
}

/// What calls of all apps share.
#[derive(Clone)]
pub(crate) struct Functions {
    pub(crate) engine: Arc<Engine>,
    pub(crate) limits: fb_functions::Limits,
    /// The client for what code and webhooks request; an app has a share of it.
    pub(crate) outbound: Outbound,
    /// Set once, by the server that has these apps.
    pub(crate) api: Arc<OnceLock<Arc<dyn CodeApi>>>,
}

/// An app's code, and what runs it.
pub(crate) struct AppCode {
    pub(crate) pool: Pool,
    gate: Gate,
    /// Writers of objects that code prepares and that changed meanwhile take turns, by object.
    pub(crate) turns: Turns,
    pub(crate) sources: Arc<ArcSwap<Sources>>,
    /// Sources are written one after the other; held across the commit, hence an async lock.
    edits: Arc<Mutex<()>>,
    /// The schema's JSON, for code, by the revision it is of.
    schema: ArcSwap<(u32, Arc<str>)>,
}

impl AppCode {
    pub(crate) async fn open(store: &dyn Store, functions: &Functions, app: &str) -> Result<Self, AppError> {
        let sources = Sources::load(store).await?;
        let (gate, limits) = Gate::new(&functions.limits);
        Ok(Self {
            pool: functions.engine.pool(app, limits),
            gate,
            turns: Turns::default(),
            sources: Arc::new(ArcSwap::from_pointee(sources)),
            edits: Arc::default(),
            schema: ArcSwap::from_pointee((0, Arc::from(""))),
        })
    }
}

/// How many objects' writers can take turns at once without being in each other's way.
const STRIPES: usize = 64;

/// One lock for each object, as good as: objects share some.
pub(crate) struct Turns([Mutex<()>; STRIPES]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::default()))
    }
}

impl Turns {
    /// The lock of one object.
    pub(crate) fn of(&self, bucket: &str, key: &ObjectKey) -> &Mutex<()> {
        let mut hasher = DefaultHasher::new();
        (bucket, key.as_str()).hash(&mut hasher);
        &self.0[hasher.finish() as usize % STRIPES]
    }
}

tokio::task_local! {
    /// What code is told about the request that it runs for. Not a parameter: of all use cases only those that run code
    /// care, and these are reached on many ways.
    static REQUEST: Arc<Value>;
}

/// Runs `work`, in which code is told that it runs for this request: `method`, `url`, `headers` and the like.
pub async fn on_request<T>(request: Value, work: impl Future<Output = T>) -> T {
    REQUEST.scope(Arc::new(request), work).await
}

/// What code is told about the request that it runs for; null if there is none.
pub(crate) fn request() -> Value {
    REQUEST.try_with(|request| Value::clone(request)).unwrap_or(Value::Null)
}

impl App {
    /// True if there is code that runs before writes, in mails or in logins, so that it is worth while to say what request it is for.
    pub fn has_handlers(&self) -> bool {
        let sources = self.code().sources.load();
        sources.has_handlers() || sources.has_hooks()
    }
}
