//! The server: finds the app and the route of each request, and answers. `listen` takes the connections.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fb_app::functions::CodeCaller;
use fb_app::{App, AppError, Apps, Profile, Session, TicketSlot};
use fb_edge::REPORT_PATH;
use fb_mail::Catcher;
use futures_util::FutureExt;
use http::{Method, header};
use http_body_util::Either;
use hyper::body::Incoming;

use crate::codes;
use crate::context::{Ctx, Params, Request};
use crate::edges::{EdgeAccess, Edges, PURGES};
use crate::error::ApiError;
use crate::https::Https;
use crate::listen::{Connection, Listeners};
use crate::live::{self, Places};
use crate::metrics::Metrics;
use crate::reply::{Body, Reply};
use crate::route::{Found, Router, table};
use crate::source::{TrustedProxy, address_of, source_of};
use crate::{code, cors, counted, hosting, listen, openapi, routes};

/// Limits of the HTTP side. All are on by default.
#[derive(Debug, Clone)]
pub struct HttpLimits {
    /// Largest JSON body in bytes.
    pub body_bytes: usize,
    /// Largest body of a request to a module in bytes.
    pub module_body_bytes: usize,
    /// Largest import in bytes.
    pub import_bytes: usize,
    /// Longest path and query in bytes.
    pub uri_bytes: usize,
    /// Most connections at once; more wait to be accepted.
    pub connections: usize,
    /// Most clients of live queries of one app at once.
    pub live_per_app: usize,
    /// Most clients of live queries from one address at once; networks of 64 bits count as one of IPv6.
    pub live_per_address: usize,
    /// How often clients of live queries are asked whether they are still there. Those that do not answer until the next time
    /// are cut off.
    pub live_ping: Duration,
    /// How long a WebSocket may be open without a subscription.
    pub live_idle: Duration,
    /// How long the headers of a request may take to arrive.
    pub header_time: Duration,
    /// How long a TLS handshake may take.
    pub handshake_time: Duration,
    /// How long running requests may take when the server stops.
    pub shutdown_time: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            body_bytes: 4 << 20,
            module_body_bytes: 16 << 20,
            import_bytes: 64 << 20,
            uri_bytes: 16 << 10,
            connections: 10_000,
            live_per_app: 5_000,
            live_per_address: 2_000,
            live_ping: Duration::from_secs(30),
            live_idle: Duration::from_secs(300),
            header_time: Duration::from_secs(15),
            handshake_time: Duration::from_secs(10),
            shutdown_time: Duration::from_secs(30),
        }
    }
}

/// What a server is put together from, besides its apps.
#[derive(Clone, Default)]
pub struct ServerOptions {
    /// Limits.
    pub limits: HttpLimits,
    /// Proxies that say where requests come from.
    pub trusted_proxies: Vec<TrustedProxy>,
    /// Where mails end up that are not sent, for the operator to read.
    pub catcher: Option<Arc<Catcher>>,
    /// How HTTPS is spoken, if it is.
    pub https: Option<Https>,
    /// Caches in front of the server.
    pub edges: EdgeAccess,
}

/// What all requests share.
pub(crate) struct ServerState {
    pub(crate) apps: Arc<Apps>,
    pub(crate) router: Router,
    pub(crate) limits: HttpLimits,
    pub(crate) trusted_proxies: Vec<TrustedProxy>,
    pub(crate) catcher: Option<Arc<Catcher>>,
    pub(crate) https: Option<Https>,
    pub(crate) edges: Edges,
    pub(crate) metrics: Metrics,
    pub(crate) places: Arc<Places>,
    pub(crate) openapi: bytes::Bytes,
    pub(crate) shutting_down: AtomicBool,
    pub(crate) request_ids: RequestIds,
}

/// A server that is not yet taking connections.
pub struct Server {
    state: Arc<ServerState>,
}

/// The server could not be put together.
#[derive(Debug, thiserror::Error)]
#[error("the routes contradict each other")]
pub struct RouteConflict(#[source] fb_store::BoxError);

impl Server {
    /// A server of these apps.
    pub fn new(apps: Arc<Apps>, options: ServerOptions) -> Result<Self, RouteConflict> {
        let routes = table();
        let names = routes.iter().map(|route| route.name.to_owned()).collect();
        let openapi = openapi::document(&routes).to_string().into();
        let router = Router::new(routes).map_err(|e| RouteConflict(e.into()))?;
        let state = ServerState {
            apps,
            router,
            places: Arc::new(Places::new(&options.limits)),
            limits: options.limits,
            trusted_proxies: options.trusted_proxies,
            catcher: options.catcher,
            https: options.https,
            edges: Edges::new(options.edges),
            metrics: Metrics::new(names),
            openapi,
            shutting_down: AtomicBool::new(false),
            request_ids: RequestIds::new(),
        };
        let state = Arc::new(state);
        state.apps.serve_code(Arc::new(code::Api::new(&state)));
        Ok(Self { state })
    }

    /// Answers requests until `stop` is done, then finishes the running ones and closes all apps.
    pub async fn serve(self, listeners: Listeners, stop: impl Future<Output = ()>) {
        listen::serve(&self.state, listeners, stop).await;
        self.state.apps.close().await;
    }
}

/// Ids for log lines and error bodies: 8 random digits of the process, then a counter.
pub(crate) struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    fn new() -> Self {
        let random = fb_auth::random_bytes::<4>().unwrap_or_default();
        Self {
            process: fb_auth::encode_hex(&random),
            next: AtomicU64::new(1),
        }
    }

    pub(crate) fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn text(&self, number: u64) -> String {
        format!("{}-{number:x}", self.process)
    }
}

/// Where a request goes.
enum Target<'p> {
    /// The API of an app: the app's name if the path names it, and the path below the API's base.
    App {
        name: Option<&'p str>,
        path: &'p str,
    },
    Admin(&'p str),
    Setup(&'p str),
    Health,
    Ready,
    Metrics,
    /// The stream of purges, for edges.
    Purges,
    /// Reports of edges.
    Hits,
    /// A page of an app's website.
    Page,
}

impl<'p> Target<'p> {
    fn of(path: &'p str) -> Self {
        let below = |base: &str| {
            let rest = path.strip_prefix(base)?;
            (rest.is_empty() || rest.starts_with('/')).then_some(rest)
        };
        let or_root = |rest: &'p str| if rest.is_empty() { "/" } else { rest };
        if let Some(rest) = below("/v1") {
            return Self::App {
                name: None,
                path: or_root(rest),
            };
        }
        if let Some(rest) = path.strip_prefix("/apps/")
            && let Some((name, rest)) = rest.split_once('/')
            && let Some(rest) = rest.strip_prefix("v1")
            && (rest.is_empty() || rest.starts_with('/'))
        {
            return Self::App {
                name: Some(name),
                path: or_root(rest),
            };
        }
        match path {
            "/healthz" => Self::Health,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            PURGES => Self::Purges,
            REPORT_PATH => Self::Hits,
            _ => match (below("/admin/v1"), below("/setup")) {
                (Some(rest), _) => Self::Admin(rest),
                (_, Some(rest)) => Self::Setup(rest),
                (None, None) => Self::Page,
            },
        }
    }
}

/// Answers one request, whatever happens: an error is a reply, a panic is one as well.
pub(crate) async fn answer(connection: Arc<Connection>, request: http::Request<Incoming>) -> http::Response<Body> {
    let state = &connection.state;
    let started = Instant::now();
    let request_number = state.request_ids.next();
    let (mut parts, body) = request.into_parts();
    // Another reference to the same text: the request itself moves into the handler.
    let uri = parts.uri.clone();
    let path = uri.path();
    let host = host_of(&parts);
    let cors_headers = parts.headers.get(header::ORIGIN).map(|_| parts.headers.clone());
    let method = parts.method.clone();
    let mut request = Request {
        method: parts.method,
        headers: parts.headers,
        uri: parts.uri,
        params: Params::default(),
        body: Some(Either::Left(body)),
        number: request_number,
        peer: connection.peer,
        is_tls: connection.is_tls,
        edge: None,
        upgrade: live::upgrade_of(parts.version, &mut parts.extensions),
    };
    state.edges.admit(&mut request);
    let is_for_edge = request.edge.is_some();
    let mut seen = Seen::new(state, request_number);
    let target = Target::of(path);
    let is_app = matches!(target, Target::App { .. });
    let wants_page = matches!(target, Target::Page) && hosting::is_navigation(&request);
    let at_the_door = match &state.https {
        Some(https) => https.answer(&request, host.as_deref(), &state.trusted_proxies),
        None => None,
    };
    let handled = match at_the_door {
        Some(reply) => Ok(Ok(reply)),
        None => {
            AssertUnwindSafe(dispatch(state, request, target, host.as_deref(), &mut seen))
                .catch_unwind()
                .await
        }
    };
    let mut reply = match handled {
        Ok(Ok(reply)) => reply,
        Ok(Err(error)) => {
            let id = state.request_ids.text(request_number);
            log_error(&error, &id, &seen, &method, path);
            match wants_page {
                true => hosting::error_page(error, &id),
                false => error.into_reply(&id),
            }
        }
        Err(_) => {
            state.metrics.panics.fetch_add(1, Ordering::Relaxed);
            let id = state.request_ids.text(request_number);
            let app = seen.app.as_ref().map_or("-", |app| app.id().as_str());
            tracing::error!(request.id = %id, app, method = %method, "a handler panicked");
            ApiError::new(
                codes::INTERNAL,
                "The server failed. Its log has the details under the request id.",
            )
            .into_reply(&id)
        }
    };
    if is_app && let Some(headers) = &cors_headers {
        cors::decorate(headers, &mut reply);
    }
    if connection.is_tls
        && let Some(https) = &state.https
    {
        https.decorate(host.as_deref(), &mut reply);
    }
    if is_for_edge {
        state.edges.date(&mut reply);
    }
    if let Some(app) = &seen.app {
        state
            .metrics
            .app(app.id().as_str())
            .count(seen.route, reply.status(), started.elapsed());
        tracing::debug!(
            target: "freshbase::access",
            app = %app.id(), method = %method, route = seen.route_name(state), status = reply.status(),
            duration_ms = started.elapsed().as_secs_f64() * 1e3, request.number = request_number, "answered"
        );
    }
    let mut response = reply.into_response();
    if let Some(ticket) = seen.ticket.as_ref().and_then(TicketSlot::take) {
        response.body_mut().hold(ticket, connection.flushed.clone());
    }
    response
}

/// What was found out about a request, for logs and metrics.
pub(crate) struct Seen {
    request_number: u64,
    app: Option<Arc<App>>,
    route: usize,
    /// Of a request that may write.
    ticket: Option<TicketSlot>,
}

impl Seen {
    pub(crate) fn new(state: &ServerState, request_number: u64) -> Self {
        Self {
            request_number,
            app: None,
            route: state.metrics.no_route(),
            ticket: None,
        }
    }

    fn route_name<'s>(&self, state: &'s ServerState) -> &'s str {
        state.router.routes.get(self.route).map_or("none", |route| route.name)
    }
}

/// Server errors are logged once, here. What clients do wrong is theirs to see.
pub(crate) fn log_error(error: &ApiError, id: &str, seen: &Seen, method: &Method, path: &str) {
    // Mistakes in an app's code are in the app's log.
    if error.code.status < 500 || std::ptr::eq(error.code, codes::CODE_FAILED) {
        return;
    }
    let app = seen.app.as_ref().map_or("-", |app| app.id().as_str());
    let mut cause = String::new();
    let mut source: Option<&dyn std::error::Error> = error.source.as_ref().map(|s| &**s as &dyn std::error::Error);
    while let Some(error) = source {
        cause.push_str(": ");
        cause.push_str(&error.to_string());
        source = error.source();
    }
    let path: String = path.chars().take(200).collect();
    let (status, code) = (error.code.status, error.code.name);
    tracing::error!(request.id = id, app, %method, path, status, code, "{}{cause}", error.message);
    debug_assert!(seen.request_number > 0);
}

/// The host name the request was sent to, in lower case, without port.
fn host_of(parts: &http::request::Parts) -> Option<Cow<'static, str>> {
    let authority = match parts.uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => parts.headers.get(header::HOST).and_then(|v| v.to_str().ok()),
    }?;
    let host = match authority.rsplit_once(':') {
        // The last colon of an IPv6 address in brackets is not that of a port.
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    };
    Some(match host {
        // Health checks, proxies and benchmarks mostly come by address.
        "localhost" => Cow::Borrowed("localhost"),
        "127.0.0.1" => Cow::Borrowed("127.0.0.1"),
        host => Cow::Owned(host.to_ascii_lowercase()),
    })
}

async fn dispatch(
    state: &Arc<ServerState>,
    request: Request,
    target: Target<'_>,
    host: Option<&str>,
    seen: &mut Seen,
) -> Result<Reply, ApiError> {
    let length = request.uri.path_and_query().map_or(0, |text| text.as_str().len());
    if length > state.limits.uri_bytes {
        let limit = state.limits.uri_bytes;
        let text = format!("The URL has {length} bytes, at most {limit} are allowed. Send long filters with POST.");
        return Err(ApiError::new(codes::URI_TOO_LONG, text));
    }
    match target {
        Target::App { name, path } => {
            if request.method == Method::OPTIONS {
                return Ok(cors::preflight(&request.headers));
            }
            let app = match name {
                Some(name) => state.apps.by_name(name).await?,
                None => state.apps.for_host(host.unwrap_or("")).await?,
            };
            let app = app.ok_or_else(|| {
                let which = name.or(host).unwrap_or("").chars().take(80).collect::<String>();
                ApiError::new(codes::NO_APP, format!("There is no app for {which} here."))
            })?;
            seen.app = Some(app.clone());
            app_request(state, request, app, path, None, seen).await
        }
        Target::Admin(path) => Box::pin(routes::admin::handle(state, request, path)).await,
        Target::Setup(path) => Box::pin(routes::setup::handle(state, request, path)).await,
        Target::Health => Ok(routes::node::healthz()),
        Target::Ready => routes::node::readyz(state).await,
        Target::Metrics => routes::node::metrics(state).await,
        // For everybody else there is nothing here.
        Target::Purges => state.edges.stream(&request).ok_or_else(hosting::nothing_here),
        Target::Hits => Box::pin(counted::take_report(state, request)).await,
        Target::Page => {
            let host = host.unwrap_or("");
            let app = state.apps.for_host(host).await?;
            let app = app.ok_or_else(hosting::nothing_here)?;
            seen.app = Some(app.clone());
            seen.route = state.metrics.pages();
            // Apart, so that the futures of requests for objects stay small.
            let source = || source_of(request.peer, &request.headers, &state.trusted_proxies);
            Box::pin(hosting::serve(&app, &request, host, source)).await
        }
    }
}

pub(crate) async fn app_request(
    state: &Arc<ServerState>,
    mut request: Request,
    app: Arc<App>,
    path: &str,
    code: Option<CodeCaller>,
    seen: &mut Seen,
) -> Result<Reply, ApiError> {
    let session = authenticate(&app, &request).await;
    let is_admin = matches!(&session, Ok(Some(session)) if session.principal.is_admin());
    let is_own = request.edge.is_some_and(|edge| edge.is_own);
    if code.is_none() && !is_admin && !is_own {
        app.count_visit(address_of(request.peer, &request.headers, &state.trusted_proxies))?;
    }
    let method = request.method.clone();
    let (number, handler) = match state.router.find(&method, path) {
        Found::Route {
            number,
            route,
            names,
            params,
        } => {
            let whole = request.uri.path();
            request.params = Params::new(whole, names, params.iter().map(|(_, value)| value));
            (number, route.handler)
        }
        Found::WrongMethod(methods) => {
            let text = format!("This endpoint knows {methods}, not {method}.");
            return Err(ApiError::new(codes::METHOD_NOT_ALLOWED, text).with(header::ALLOW, methods));
        }
        Found::Nothing => {
            let path: String = path.chars().take(200).collect();
            let text = format!("There is no endpoint {method} {path}. GET /v1/spec lists all there are.");
            return Err(ApiError::new(codes::NO_ENDPOINT, text));
        }
    };
    seen.route = number;
    // Renewal: a write with a token that is not brand-new gets a fresh one along. Never on reads, which may be cached.
    let renew = match &session {
        Ok(Some(session)) if method != Method::GET && method != Method::HEAD && code.is_none() => {
            let age = app.clock().now().millis() - session.claims.created_at.millis();
            (age >= RENEW_AFTER_MS).then(|| session.claims.clone())
        }
        _ => None,
    };
    // What code is told of the request, if there is code that wants to know.
    let has_say = method != Method::GET && method != Method::HEAD && app.has_handlers();
    let about = has_say.then(|| code::describe(state, &request, path));
    // The request that code is called for has one.
    let may_write = (method != Method::GET && method != Method::HEAD) || path.starts_with("/code/");
    if may_write && code.is_none() {
        seen.ticket = Some(TicketSlot::default());
    }
    let slot = seen.ticket.clone();
    let answer = handler(Ctx {
        state: state.clone(),
        app: app.clone(),
        session,
        code,
        request,
    });
    let answer = async {
        match about {
            Some(about) => fb_app::functions::on_request(about, answer).await,
            None => answer.await,
        }
    };
    let reply = match slot {
        Some(slot) => slot.hold(answer).await,
        None => answer.await,
    };
    let reply = reply.map_err(|error| match is_admin || app.settings().profile == Profile::Baqend {
        true => error.with_exception(),
        false => error,
    });
    match (reply, renew) {
        (Ok(reply), Some(claims)) if !reply.has_token() && reply.status() < 400 => {
            Ok(reply.token(app.renewed(&claims).as_ref()))
        }
        (reply, _) => reply,
    }
}

/// Age of a token at which writes renew it; the protocol's clients expect two seconds.
const RENEW_AFTER_MS: i64 = 2000;

/// The caller: by the token in `Authorization`, or by a resource token in the URL of a read.
async fn authenticate(app: &App, request: &Request) -> Result<Option<Session>, AppError> {
    match request.token() {
        Some((token, false)) => app.authenticate(token).await.map(Some),
        Some((token, true)) => app.authenticate_resource(token, request.path()).await.map(Some),
        None if request.headers.contains_key(header::AUTHORIZATION) => Err(AppError::BadToken),
        None => Ok(None),
    }
}
