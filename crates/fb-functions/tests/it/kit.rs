//! An engine, a host that answers from a script, and calls in one line.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fb_functions::{
    Call, CallError, CallKind, Code, Engine, EngineOptions, Exception, Host, HostError, HttpResponse, Limits, LogLine,
    Operation, Outcome, Pool,
};
use futures_util::future::BoxFuture;

/// The classes that tests speak of.
const SCHEMA: &str = r#"[
  { "class": "/db/Object", "fields": {} },
  { "class": "/db/User", "superClass": "/db/Object", "fields": { "username": { "name": "username", "type": "/db/String", "order": 0 } } },
  { "class": "/db/Role", "superClass": "/db/Object", "fields": { "name": { "name": "name", "type": "/db/String", "order": 0 } } },
  { "class": "/db/Device", "superClass": "/db/Object", "fields": {} },
  { "class": "/db/Todo", "superClass": "/db/Object", "fields": { "name": { "name": "name", "type": "/db/String", "order": 0 } } },
  { "class": "/db/jobs.Status", "superClass": "/db/Object", "fields": { "status": { "name": "status", "type": "/db/String", "order": 0 } } },
  { "class": "/db/jobs.Definition", "superClass": "/db/Object", "fields": { "module": { "name": "module", "type": "/db/String", "order": 0 } } }
]"#;

/// Answers operations by their URL: `/echo…` with the request's body, `/wait` never, others with an error.
#[derive(Default)]
pub(crate) struct TestHost {
    pub(crate) log: Mutex<Vec<LogLine>>,
    pub(crate) operations: Mutex<Vec<Operation>>,
    /// What calls said that are nobody's in particular, and how many operations there were before.
    pub(crate) shared: Mutex<Vec<(bool, usize)>>,
}

impl Host for TestHost {
    fn operate(&self, operation: Operation) -> BoxFuture<'static, Result<HttpResponse, HostError>> {
        self.operations.lock().unwrap().push(operation.clone());
        let (Operation::Api(request) | Operation::Fetch(request) | Operation::Image(request)) = operation;
        Box::pin(async move {
            if request.url.starts_with("/echo") {
                tokio::task::yield_now().await;
                let headers = vec![("x-url".to_owned(), request.url)];
                return Ok(HttpResponse {
                    status: 200,
                    headers,
                    body: request.body,
                });
            }
            if request.url == "/wait" {
                std::future::pending::<()>().await;
            }
            Err(HostError(format!("nothing at {}", request.url)))
        })
    }

    fn log(&self, line: LogLine) {
        self.log.lock().unwrap().push(line);
    }

    fn share(&self, knows_caller: bool) {
        let n_operations = self.operations.lock().unwrap().len();
        self.shared.lock().unwrap().push((knows_caller, n_operations));
    }

    fn schema(&self) -> (u64, Arc<str>) {
        (1, Arc::from(SCHEMA))
    }
}

impl TestHost {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.log
            .lock()
            .unwrap()
            .iter()
            .map(|line| line.message.clone())
            .collect()
    }
}

pub(crate) fn code(sources: &[(&str, &str)]) -> Arc<Code> {
    Arc::new(Code::new(sources.iter().map(|(path, source)| {
        let (bucket, code_type) = path.rsplit_once('/').unwrap_or((path, "module"));
        (bucket.to_owned(), code_type.to_owned(), Arc::from(*source))
    })))
}

pub(crate) fn limits() -> Limits {
    Limits {
        cpu_time: Duration::from_secs(5),
        ..Limits::default()
    }
}

pub(crate) fn engine() -> Arc<Engine> {
    Engine::new(EngineOptions {
        threads: 4,
        ..EngineOptions::default()
    })
    .unwrap()
}

pub(crate) struct App {
    pub(crate) engine: Arc<Engine>,
    pub(crate) pool: Pool,
    pub(crate) code: Arc<Code>,
    pub(crate) host: Arc<TestHost>,
}

pub(crate) fn app(sources: &[(&str, &str)]) -> App {
    app_with(sources, limits())
}

/// One module, `m`.
pub(crate) fn module(source: &str) -> App {
    app(&[("m", source)])
}

pub(crate) fn app_with(sources: &[(&str, &str)], limits: Limits) -> App {
    let engine = engine();
    let pool = engine.pool("test", limits);
    App {
        engine,
        pool,
        code: code(sources),
        host: Arc::default(),
    }
}

pub(crate) fn request(method: &str, query: &str, headers: &[(&str, &str)], body: &str) -> Call {
    Call {
        kind: CallKind::Request,
        bucket: "m".to_owned(),
        code_type: "module".to_owned(),
        input: serde_json::json!({
            "me": null,
            "request": {"method": method, "url": format!("/m?{query}"), "path": "", "query": query, "headers": headers,
                        "ip": "192.0.2.1", "protocol": "https", "host": "app.example"},
        })
        .to_string(),
        body: Bytes::copy_from_slice(body.as_bytes()),
    }
}

pub(crate) fn get(query: &str) -> Call {
    request("GET", query, &[], "")
}

impl App {
    pub(crate) async fn run(&self, call: Call) -> Result<Outcome, CallError> {
        self.pool.call(&self.code, call, self.host.clone()).await
    }

    /// Calls `m` and says what it sends.
    pub(crate) async fn text(&self) -> String {
        let outcome = self.run(get("")).await.unwrap();
        String::from_utf8(outcome.body.to_vec()).unwrap()
    }

    pub(crate) async fn error(&self) -> CallError {
        self.run(get("")).await.unwrap_err()
    }

    pub(crate) async fn failure(&self) -> Exception {
        match self.error().await {
            CallError::Failed(exception) => *exception,
            other => panic!("{other:?}"),
        }
    }
}
