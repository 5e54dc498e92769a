//! What builtins can do: operations of the host, and what happens when Rust fails.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::*;

/// Echoes what it is sent; `/fail` is an error, `/never` never comes; asking for the schema panics.
#[derive(Default)]
struct Echo {
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    seen: Mutex<Vec<Operation>>,
}

impl Host for Echo {
    fn operate(&self, operation: Operation) -> BoxFuture<'static, Result<HttpResponse, HostError>> {
        self.seen.lock().unwrap().push(operation.clone());
        let (Operation::Api(request) | Operation::Fetch(request) | Operation::Image(request)) = operation;
        let (running, most) = (self.running.clone(), self.most.clone());
        Box::pin(async move {
            let now = running.fetch_add(1, Ordering::Relaxed) + 1;
            most.fetch_max(now, Ordering::Relaxed);
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            running.fetch_sub(1, Ordering::Relaxed);
            match request.url.as_str() {
                "/fail" => Err(HostError("it failed".to_owned())),
                "/never" => std::future::pending().await,
                _ => Ok(HttpResponse {
                    status: 201,
                    headers: request.headers,
                    body: request.body,
                }),
            }
        })
    }

    fn log(&self, _: LogLine) {}

    fn schema(&self) -> (u64, Arc<str>) {
        panic!("no schema")
    }
}

struct Setting {
    engine: Arc<Engine>,
    pool: Pool,
    host: Arc<Echo>,
}

fn setting(limits: Limits) -> Setting {
    let engine = Engine::new(EngineOptions {
        threads: 2,
        ..EngineOptions::default()
    })
    .unwrap();
    let pool = engine.pool("app", limits);
    Setting {
        engine,
        pool,
        host: Arc::default(),
    }
}

impl Setting {
    async fn call(&self, body: &str) -> Result<String, CallError> {
        let text = format!("const native = require('probe'); exports.call = async () => {{ {body} }};");
        let code = Arc::new(Code::new([("m".to_owned(), "module".to_owned(), Arc::from(text))]));
        let call = Call {
            kind: CallKind::Hook,
            bucket: "m".to_owned(),
            code_type: "module".to_owned(),
            input: r#"{"me":null,"data":null}"#.to_owned(),
            body: Bytes::new(),
        };
        self.pool
            .call(&code, call, self.host.clone())
            .await
            .map(|outcome| outcome.json)
    }
}

#[tokio::test]
async fn operations_carry_bytes_and_text_both_ways() {
    let setting = setting(Limits::default());
    let came = setting.call(
        "const bytes = await native.operate('fetch', { method: 'PUT', url: 'http://x/', headers: { 'X-Y': 'z' }, body: new Uint8Array([0, 255]).subarray(1) });
         const text = await native.operate('api', { url: '/echo', headers: [['content-type', 'text/plain']], body: 'grün' });
         return [bytes.status, bytes.headers, [...bytes.body], bytes.text(), text.text(), text.body.length];",
    ).await;
    assert_eq!(
        came.unwrap(),
        "{\"result\":[201,[[\"x-y\",\"z\"]],[255],\"\u{fffd}\",\"grün\",5]}"
    );
    let seen = setting.host.seen.lock().unwrap();
    assert!(matches!(&seen[0], Operation::Fetch(request) if request.method == "PUT" && *request.body == [255]));
    assert!(matches!(&seen[1], Operation::Api(request) if request.method == "GET"));
}

#[tokio::test]
async fn a_failed_operation_rejects_with_the_hosts_words() {
    let setting = setting(Limits::default());
    let body = "try { await native.operate('image', { url: '/fail' }); } catch (error) { return error.message; }";
    assert_eq!(setting.call(body).await.unwrap(), r#"{"result":"it failed"}"#);
}

#[tokio::test]
async fn so_many_operations_at_once_and_no_more() {
    let setting = setting(Limits {
        operations: 3,
        ..Limits::default()
    });
    let body = "const all = []; for (let i = 0; i < 20; i += 1) all.push(native.operate('api', { url: '/' + i })); return (await Promise.all(all)).length;";
    assert_eq!(setting.call(body).await.unwrap(), r#"{"result":20}"#);
    assert_eq!(setting.host.most.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn an_operation_that_nobody_awaits_is_given_up_and_its_instance_too() {
    let setting = setting(Limits::default());
    setting
        .call("native.operate('api', { url: '/never' }); return 1;")
        .await
        .unwrap();
    while setting.engine.stats().instances > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn s43_a_panic_ends_its_call_and_nothing_else() {
    let setting = setting(Limits::default());
    for body in [
        "return native.schema(-1);",
        "try { native.schema(-1); } catch { } return 'caught';",
    ] {
        let came = setting.call(body).await;
        assert!(matches!(came, Err(CallError::Internal(_))), "{came:?}");
        assert_eq!(setting.call("return 'fine';").await.unwrap(), r#"{"result":"fine"}"#);
    }
    assert_eq!(setting.engine.stats().panics, 2);
    assert_eq!(setting.engine.stats().running, 0);
}
