//! Calls that are no requests.

use bytes::Bytes;
use fb_functions::{Call, CallError, CallKind, Limits};

use crate::kit::{app, app_with, get, limits};

fn call(kind: CallKind, path: &str, input: serde_json::Value) -> Call {
    let (bucket, code_type) = path.rsplit_once('/').unwrap();
    Call {
        kind,
        bucket: bucket.to_owned(),
        code_type: code_type.to_owned(),
        input: input.to_string(),
        body: Bytes::new(),
    }
}

#[tokio::test]
async fn handlers_change_the_object_that_is_stored() {
    let app = app(&[(
        "Todo/insert",
        "exports.onInsert = async function (db, obj, req) { await null; obj.name = 'changed ' + obj.name + (this === obj) + req.method; return { name: 'ignored' }; };",
    )]);
    let input = serde_json::json!({"me": "/db/User/1", "object": {"id": "/db/Todo/1", "name": "test"}, "request": {"method": "POST", "headers": [], "query": ""}});
    let outcome = app.run(call(CallKind::Insert, "Todo/insert", input)).await.unwrap();
    let after: serde_json::Value = serde_json::from_str(&outcome.json).unwrap();
    assert_eq!(after["object"]["id"], "/db/Todo/1");
    assert_eq!(after["object"]["name"], "changed testtruePOST");
}

#[tokio::test]
async fn a_delete_handler_gets_the_id_and_may_abort() {
    let app = app(&[(
        "Todo/delete",
        "exports.onDelete = (db, obj) => { if (obj.id === '/db/Todo/1') throw new Abort('Delete not accepted.'); };",
    )]);
    let input = |id: &str| serde_json::json!({"me": null, "object": {"id": id}, "request": null});
    let error = app
        .run(call(CallKind::Delete, "Todo/delete", input("/db/Todo/1")))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::Aborted { message, data: None } if message == "Delete not accepted."));
    let outcome = app
        .run(call(CallKind::Delete, "Todo/delete", input("/db/Todo/2")))
        .await
        .unwrap();
    assert_eq!(outcome.json, "{}");
}

#[tokio::test]
async fn hooks_jobs_and_events_reach_their_exports() {
    let app = app(&[
        (
            "m/module",
            "exports.call = (db, data) => ({ ...data, seen: true }); exports.run = (db, status, definition) => { status.status = 'SUCCESS'; definition.module = 'm2'; };",
        ),
        (
            "Todo/Todo",
            "exports.afterDelete = (db, obj, event) => { if (obj.id !== event.id) throw new Error('other id'); }; exports.afterUpload = (db, file, event) => { if (file.path !== '/x') throw new Error('other file'); };",
        ),
    ]);
    let hook = app
        .run(call(
            CallKind::Hook,
            "m/module",
            serde_json::json!({"me": null, "data": {"a": 1}}),
        ))
        .await
        .unwrap();
    assert_eq!(hook.json, r#"{"result":{"a":1,"seen":true}}"#);
    let job = app
        .run(call(
            CallKind::Job,
            "m/module",
            serde_json::json!({"me": null, "status": {"id": "/db/jobs.Status/1", "status": "EXECUTING"}, "definition": {"id": "/db/jobs.Definition/1", "module": "m"}}),
        ))
        .await
        .unwrap();
    let job: serde_json::Value = serde_json::from_str(&job.json).unwrap();
    assert_eq!(
        (&job["status"]["status"], &job["definition"]["module"]),
        (&serde_json::json!("SUCCESS"), &serde_json::json!("m2"))
    );
    for event in [
        serde_json::json!({"operation": "delete", "id": "/db/Todo/1", "object": null}),
        serde_json::json!({"operation": "upload", "id": "/file/1", "file": {"path": "/x"}}),
    ] {
        let after = app
            .run(call(
                CallKind::After,
                "Todo/Todo",
                serde_json::json!({"me": null, "event": event}),
            ))
            .await;
        assert_eq!(after.unwrap().json, "{}");
    }
    let insert = serde_json::json!({"me": null, "event": {"operation": "insert", "id": "/db/Todo/1", "object": {}}});
    let error = app.run(call(CallKind::After, "Todo/Todo", insert)).await.unwrap_err();
    assert!(matches!(error, CallError::NoExport { wanted, .. } if wanted == "afterInsert"));
}

fn fields() -> serde_json::Value {
    serde_json::json!({"me": null, "fields": {"id": {"type": "String", "value": "x"}, "name": {"type": "String", "value": "test"}, "class": {"type": "String", "value": null}}})
}

#[tokio::test]
async fn validation_runs_without_anything_around_it() {
    for (source, wrong) in [
        ("setTimeout(() => {}, 1);", "setTimeout"),
        ("require('./m');", "require"),
        ("val += 1;", "val"),
        ("console.log(1);", "console"),
        ("exports.x = 1;", "exports"),
        ("fetch('/');", "fetch"),
    ] {
        let app = app(&[("Todo/validate", source), ("m", "globalThis.val = 1;")]);
        let error = app
            .run(call(CallKind::Validate, "Todo/validate", fields()))
            .await
            .unwrap_err();
        match error {
            CallError::Failed(exception) => {
                assert_eq!(
                    (exception.name.as_str(), exception.message),
                    ("ReferenceError", format!("{wrong} is not defined"))
                );
                assert!(
                    exception.stack.starts_with("at /code/Todo/validate:1:1"),
                    "{}",
                    exception.stack
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn s46_validation_keeps_nothing_between_calls() {
    let source = "if (typeof leak !== 'undefined' || ''.leak || Object.leak) throw new Error('leak'); leak = 1; globalThis.leak = 1; String.prototype.leak = 1; Object.leak = 1;";
    let app = app(&[("Todo/validate", source)]);
    for _ in 0..2 {
        let outcome = app
            .run(call(CallKind::Validate, "Todo/validate", fields()))
            .await
            .unwrap();
        assert!(outcome.json.starts_with(r#"{"valid":true"#), "{}", outcome.json);
    }
}

#[tokio::test]
async fn s46_what_validation_rejects_is_not_shown_outside_of_its_context() {
    let spy = "Promise.reject({ [Symbol.for('nodejs.util.inspect.custom')](depth, options, inspect) { const other = inspect.constructor('return this')(); other.console.log(typeof other.fetch); } });";
    let app = app(&[("Todo/validate", spy)]);
    for _ in 0..2 {
        app.run(call(CallKind::Validate, "Todo/validate", fields()))
            .await
            .unwrap();
    }
    assert_eq!(app.host.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn s46_validation_keeps_no_state_of_errors_and_prototypes() {
    let source = "
        const iterators = [[][Symbol.iterator](), new Map().keys(), (function* () {})(), (async function* () {})()];
        const seen = [typeof Error.prepareStackTrace, Error.stackTraceLimit === 1, typeof FinalizationRegistry];
        for (const one of iterators) seen.push(Object.getPrototypeOf(one).leak, Object.getPrototypeOf(Object.getPrototypeOf(one)).leak);
        for (const one of [function* () {}, async () => {}]) seen.push(Object.getPrototypeOf(one).leak);
        Error.stackTraceLimit = 10;
        Error.prepareStackTrace = (error, frames) => frames;
        const frame = new Error('').stack[0];
        seen.push(typeof frame.getFunction, typeof frame.getThis);
        if (seen.join() !== 'undefined,false,undefined' + ','.repeat(11) + 'undefined,undefined') throw new Error(seen.join());
        for (const one of iterators) { Object.getPrototypeOf(one).leak = 1; Object.getPrototypeOf(Object.getPrototypeOf(one)).leak = 1; }
        for (const one of [function* () {}, async () => {}]) Object.getPrototypeOf(one).leak = 1;
        Error.stackTraceLimit = 1;
        Error.prepareStackTrace = () => 'mine';";
    let app = app(&[("Todo/validate", source)]);
    for _ in 0..2 {
        let outcome = app
            .run(call(CallKind::Validate, "Todo/validate", fields()))
            .await
            .unwrap();
        assert!(outcome.json.starts_with(r#"{"valid":true"#), "{}", outcome.json);
    }
}

#[tokio::test]
async fn results_of_validation_and_data_of_aborts_are_answers_too() {
    let small = Limits {
        answer_bytes: 1000,
        ..limits()
    };
    let app = app_with(
        &[
            ("Todo/validate", "name.is('x'.repeat(2000), () => false);"),
            (
                "m",
                "exports.call = () => { throw new Abort('no', 'x'.repeat(2000)); };",
            ),
        ],
        small,
    );
    for came in [
        app.run(call(CallKind::Validate, "Todo/validate", fields())).await,
        app.run(get("")).await,
    ] {
        match came {
            Err(CallError::Failed(exception)) => assert_eq!(exception.name, "RangeError"),
            other => panic!("{other:?}"),
        }
    }
}
