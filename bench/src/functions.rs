//! Server-side code: calls of one module, a handler before inserts, many apps with code, and a neighbour that computes without end.

use std::{
    net::SocketAddr,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow, ensure};
use serde::Serialize;
use serde_json::json;

use crate::{
    api::{Api, Line},
    client::{self, Limit, Target, Workload},
    freshbase,
    http::RequestHeaders,
    launch,
    measure::Sample,
    server::Server,
};

/// What `GET /code/constant` runs.
const CONSTANT: &str = "exports.call = () => 'hello';";
/// What runs before objects of `Guarded` are inserted.
const HANDLER: &str = "exports.onInsert = (db, object) => { object.name += '!'; };";
/// What the other app runs.
const RUNAWAY: &str = "exports.call = () => { for (;;); };";
/// Connections that call it; more than an app may have calls at once.
const RUNAWAY_CONNECTIONS: usize = 48;
/// Calls of an app, one after the other, in `function-cold`.
const COLD_CONNECTIONS: usize = 1;
/// Instances that the server keeps; the apps must be more, so that each finds its own given up.
const KEPT_INSTANCES: u64 = 256;
/// How long an app of `function-apps` stays awake without requests.
const AWAKE: Duration = Duration::from_secs(20);

/// Uploads the module to the app that `admin` is the administrator of, and checks what it answers.
pub(crate) fn prepare_constant(admin: &Api, base: &str) -> Result<()> {
    admin
        .put_text(&format!("{base}/code/constant/module"), CONSTANT)
        .context("uploading a module")?;
    let reply = admin.get(&format!("{base}/code/constant"))?;
    ensure!(
        reply.body() == b"hello",
        "the module answers {:?}",
        String::from_utf8_lossy(reply.body())
    );
    Ok(())
}

/// Calls the constant module of one app.
pub(crate) struct ConstantLoad {
    headers: RequestHeaders,
}

impl ConstantLoad {
    /// Calls at `address`.
    pub(crate) fn new(address: SocketAddr) -> Self {
        Self {
            headers: RequestHeaders::new(&address.to_string(), None),
        }
    }
}

impl Workload for ConstantLoad {
    fn write_next(&mut self, out: &mut Vec<u8>) {
        self.headers.write_get(out, "/v1/code/constant");
    }

    fn min_body(&self) -> usize {
        5
    }
}

/// Inserts of small objects.
pub(crate) struct InsertLoad {
    headers: RequestHeaders,
    class: &'static str,
    next: u64,
}

impl InsertLoad {
    /// Creates a class with a handler and one without, and prepares inserts into both, in this order.
    pub(crate) fn prepare(admin: &Api, address: SocketAddr) -> Result<[Self; 2]> {
        for class in ["Guarded", "Unguarded"] {
            let fields = json!({ "name": { "name": "name", "type": "/db/String", "order": 0 } });
            let class = json!({ "class": format!("/db/{class}"), "superClass": "/db/Object", "acl": {}, "metadata": {}, "fields": fields });
            admin.post("/v1/schema", &json!([class])).context("creating a class")?;
        }
        admin
            .put_text("/v1/code/Guarded/insert", HANDLER)
            .context("uploading a handler")?;
        let load = |class| Self {
            headers: RequestHeaders::new(&address.to_string(), None),
            class,
            next: 0,
        };
        let reply = admin.post("/v1/db/Guarded", &json!({ "id": "/db/Guarded/first", "name": "a" }))?;
        ensure!(reply.json()?["name"] == "a!", "the handler did not run");
        Ok([load("Guarded"), load("Unguarded")])
    }
}

impl Workload for InsertLoad {
    fn write_next(&mut self, out: &mut Vec<u8>) {
        let Self { class, next, .. } = *self;
        self.next += 1;
        let body = format!(r#"{{"id":"/db/{class}/k{next:08}","acl":null,"name":"object number {next}"}}"#);
        self.headers
            .write_json(out, "POST", &format!("/v1/db/{class}"), "", body.as_bytes());
    }

    fn min_body(&self) -> usize {
        40
    }
}

/// An operator at `address`.
fn operator(address: SocketAddr, name: &str, password: &str) -> Result<RequestHeaders> {
    let reply = Api::new(address).post("/admin/v1/login", &json!({ "username": name, "password": password }))?;
    let token = reply.json()?["token"]
        .as_str()
        .context("the operator got no token")?
        .to_owned();
    Ok(RequestHeaders::with_bearer(&address.to_string(), &token))
}

/// Creates an app with an administrator; calls in its administrator's name.
fn create_app(address: SocketAddr, operator: &RequestHeaders, name: &str) -> Result<Api> {
    let admin = json!({ "username": "root", "password": "root" });
    let body = json!({ "name": name, "compat": "baqend", "admin": admin }).to_string();
    let mut request = Vec::new();
    operator.write_json(&mut request, "POST", "/admin/v1/apps", "", body.as_bytes());
    let reply = Line::open(address)?.exchange(&request)?;
    ensure!(
        reply.is_success(),
        "creating the app {name} is answered with status {}",
        reply.status
    );
    let login = json!({ "username": "root", "password": "root" });
    let reply = Api::new(address).post(&format!("/apps/{name}/v1/db/User/login"), &login)?;
    let token = reply
        .header(freshbase::TOKEN_HEADER)
        .context("the answer carries no token")?;
    Ok(Api::with_token(address, token))
}

/// Calls of another app that never end by themselves, while something else goes on.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Runaways {
    /// Calls that were stopped by the server.
    pub(crate) stopped: u64,
    /// Calls that it refused at once.
    pub(crate) refused: u64,
}

/// Creates the app whose code runs without end.
pub(crate) fn prepare_runaway(address: SocketAddr, name: &str, password: &str) -> Result<()> {
    let operator = operator(address, name, password)?;
    let admin = create_app(address, &operator, "runaway")?;
    admin
        .put_text("/apps/runaway/v1/code/runaway/module", RUNAWAY)
        .context("uploading the runaway module")?;
    Ok(())
}

/// Does `work` while [`RUNAWAY_CONNECTIONS`] connections call it.
pub(crate) fn beside_runaways<T>(address: SocketAddr, work: impl FnOnce() -> Result<T>) -> Result<(T, Runaways)> {
    let (is_done, stopped, refused) = (&AtomicBool::new(false), &AtomicU64::new(0), &AtomicU64::new(0));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..RUNAWAY_CONNECTIONS)
            .map(|_| {
                scope.spawn(move || -> Result<()> {
                    let mut request = Vec::new();
                    RequestHeaders::new(&address.to_string(), None)
                        .write_get(&mut request, "/apps/runaway/v1/code/runaway");
                    let mut line = Line::open(address)?;
                    while !is_done.load(Ordering::Relaxed) {
                        let reply = line.exchange(&request)?;
                        ensure!(!reply.is_success(), "a loop without end was answered");
                        if matches!(reply.status, 429 | 503) {
                            refused.fetch_add(1, Ordering::Relaxed);
                            // A client that is refused comes back later.
                            thread::sleep(Duration::from_millis(100));
                        } else {
                            stopped.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        let result = work();
        is_done.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_| anyhow!("a runaway thread panicked"))??;
        }
        let runaways = Runaways {
            stopped: stopped.load(Ordering::Relaxed),
            refused: refused.load(Ordering::Relaxed),
        };
        Ok((result?, runaways))
    })
}

/// What many apps with one module each cost.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct ManyApps {
    /// How many there are.
    pub(crate) apps: u64,
    /// First calls of apps whose instances were given up, one at a time.
    pub(crate) cold: Sample,
    /// Memory of an app that is awake and whose code was not called, in KB.
    pub(crate) awake_kb: f64,
    /// Memory of an instance that waits for the next call, in KB.
    pub(crate) instance_kb: f64,
    /// Memory of an app that fell asleep after its code was called, in KB.
    pub(crate) asleep_kb: f64,
}

/// Calls one app after the other, and the first after the last.
struct RoundRobin {
    headers: RequestHeaders,
    path: &'static str,
    apps: u64,
    next: u64,
}

impl Workload for RoundRobin {
    fn write_next(&mut self, out: &mut Vec<u8>) {
        let path = format!("/apps/app{}/v1/{}", self.next % self.apps, self.path);
        self.next += 1;
        self.headers.write_get(out, &path);
    }

    fn min_body(&self) -> usize {
        5
    }
}

/// Starts `binary` on an empty directory inside `dir`, creates `apps` apps and measures them.
pub(crate) fn measure_many(binary: &Path, dir: &Path, apps: u64) -> Result<ManyApps> {
    let (data, log) = (dir.join("functions-data"), dir.join("functions.log"));
    let awake = format!("{}s", AWAKE.as_secs());
    let start = || -> Result<Server> {
        let server = launch::launch_with(binary, &data, &log, &["--idle-timeout", &awake])?;
        server.wait_until_healthy(launch::HEALTH_PATH)?;
        Ok(server)
    };
    let server = start()?;
    let operator = operator(server.address(), launch::ADMIN, launch::ADMIN_PASSWORD)?;
    for i in 0..apps {
        let name = format!("app{i}");
        let admin = create_app(server.address(), &operator, &name)?;
        admin.put_text(&format!("/apps/{name}/v1/code/constant/module"), CONSTANT)?;
    }
    server.stop()?;

    let server = start().context("starting again with all apps")?;
    let memory = || -> Result<f64> { Ok(launch::memory_mb(&server)? * 1000.0) };
    let call = |path, requests| {
        let target = Target {
            address: server.address(),
            pid: server.pid(),
            connections: COLD_CONNECTIONS,
        };
        let headers = RequestHeaders::new(&server.address().to_string(), None);
        let mut load = RoundRobin {
            headers,
            path,
            apps,
            next: 0,
        };
        client::drive(target, Limit::Requests(requests), &mut load)
    };
    thread::sleep(launch::SETTLE);
    let idle = memory()?;
    call("connect", apps).context("waking all apps")?;
    let after_waking = memory()?;
    call("code/constant", apps).context("calling each app once")?;
    let after_calls = memory()?;
    let cold = call("code/constant", apps).context("calling each app again")?;
    let kept = apps.min(KEPT_INSTANCES);

    // Until nothing is given up any more; each round of looking is shorter than apps stay awake.
    let since = Instant::now();
    let mut asleep = memory()?;
    while since.elapsed() < AWAKE * 3 {
        thread::sleep(launch::SETTLE);
        asleep = asleep.min(memory()?);
    }
    server.stop()?;
    Ok(ManyApps {
        apps,
        cold,
        awake_kb: (after_waking - idle) / apps as f64,
        instance_kb: (after_calls - after_waking) / kept as f64,
        asleep_kb: (asleep - idle) / apps as f64,
    })
}
