//! Entry points, their arguments and results.

use fb_functions::CallError;

use crate::kit::{app, get, module, request};

#[tokio::test]
async fn a_string_is_sent_as_text() {
    let app = module("exports.call = function (db, data) { return 'test'; };");
    let outcome = app.run(get("")).await.unwrap();
    assert_eq!(
        outcome.json,
        r#"{"status":200,"headers":[["content-type","text/plain;charset=utf-8"]]}"#
    );
    assert_eq!(&*outcome.body, b"test");
}

#[tokio::test]
async fn objects_are_sent_as_json_and_nothing_as_nothing() {
    let app = module("exports.call = async (db, data) => data.none ? undefined : { test: 'test', this: data };");
    let outcome = app.run(get("a=1&b=x+y%21&b=2")).await.unwrap();
    assert_eq!(
        outcome.json,
        r#"{"status":200,"headers":[["content-type","application/json;charset=utf-8"]]}"#
    );
    assert_eq!(&*outcome.body, br#"{"test":"test","this":{"a":"1","b":["x y!","2"]}}"#);
    let outcome = app.run(get("none=1")).await.unwrap();
    assert_eq!(outcome.json, r#"{"status":204,"headers":[]}"#);
}

#[tokio::test]
async fn a_posted_body_is_decoded_by_its_type() {
    let app = module("exports.call = (db, data) => [typeof data, data];");
    for (content_type, body, wanted) in [
        ("application/json", r#"{"a":[1]}"#, r#"["object",{"a":[1]}]"#),
        ("application/json;charset=utf-8", "", r#"["undefined",null]"#),
        ("text/plain", "yeah", r#"["string","yeah"]"#),
        ("application/x-www-form-urlencoded", "a=1", r#"["object",{"a":"1"}]"#),
        ("", "", r#"["undefined",null]"#),
    ] {
        let outcome = app
            .run(request("POST", "", &[("content-type", content_type)], body))
            .await
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&outcome.body), wanted, "{content_type}");
    }
}

#[tokio::test]
async fn bytes_are_sent_as_they_are() {
    let app = module("exports.call = () => new Uint8Array([0, 128, 255, 10]);");
    let outcome = app.run(get("")).await.unwrap();
    assert_eq!(
        outcome.json,
        r#"{"status":200,"headers":[["content-type","application/octet-stream"]]}"#
    );
    assert_eq!(&*outcome.body, [0, 128, 255, 10]);
}

#[tokio::test]
async fn abort_carries_message_and_data() {
    for throw in [
        "throw new Abort('not \"you\"', { a: 1 });",
        "return Promise.reject(new Abort('not \"you\"', { a: 1 }));",
    ] {
        let app = module(&format!("exports.call = function () {{ {throw} }};"));
        match app.error().await {
            CallError::Aborted { message, data } => {
                assert_eq!((message.as_str(), data.as_deref()), ("not \"you\"", Some(r#"{"a":1}"#)));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_call_waits_for_timers_and_operations() {
    let app =
        module("exports.call = async () => { await new Promise((done) => setTimeout(done, 5)); return 'late'; };");
    assert_eq!(app.text().await, "late");
}

#[tokio::test]
async fn missing_code_and_missing_exports_are_told_apart() {
    let app = app(&[("m", "exports.other = 1;")]);
    assert!(matches!(app.error().await, CallError::NoExport { wanted, .. } if wanted == "get, call"));
    let mut call = get("");
    call.bucket = "nothing".to_owned();
    assert!(matches!(app.run(call).await, Err(CallError::NoCode { .. })));
}

#[tokio::test]
async fn a_runaway_is_stopped_and_so_is_a_hungry_one() {
    let mut limits = crate::kit::limits();
    limits.cpu_time = std::time::Duration::from_millis(50);
    let app = crate::kit::app_with(&[("m", "exports.call = () => { for (;;) {} };")], limits);
    assert!(matches!(app.error().await, CallError::TooLong(_)));
    let app = module("exports.call = () => { const all = []; for (;;) all.push(new Array(1000).fill(1)); };");
    let error = app.error().await;
    assert!(matches!(error, CallError::OutOfMemory), "{error:?}");
}

#[tokio::test]
async fn arguments_are_there_for_whoever_looks_at_them() {
    for (handler, wanted) in [
        ("(...all) => [typeof all[0], all[1].a]", r#"["object","1"]"#),
        (
            "function () { return [typeof arguments[0], arguments[1].a]; }",
            r#"["object","1"]"#,
        ),
        ("(db = 1, data = 2) => [typeof db, data.a]", r#"["object","1"]"#),
        ("async function ({ log } = {}) { return typeof log.warn; }", "function"),
        ("() => typeof require", "function"),
    ] {
        let app = module(&format!("exports.call = {handler};"));
        let outcome = app.run(get("a=1")).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&outcome.body), wanted, "{handler}");
    }
}

#[tokio::test]
async fn a_call_whose_answer_may_be_kept_is_nobodys_in_particular() {
    let me_and_others = "[db.User.me, db.me, db.entityManagerFactory.createEntityManager(true).User.me]";
    let get = |code: &str| format!("exports.get = async (db, req, res) => {{ {code} }}; exports.post = exports.get;");
    let as_ann = |method: &str| {
        let mut call = request(method, "", &[], "");
        call.input = call.input.replace("\"me\":null", "\"me\":\"/db/User/7\"");
        call
    };
    let run = async |code: String, method: &str| {
        let app = module(&code);
        let outcome = app.run(as_ann(method)).await.unwrap();
        let shared = app.host.shared.lock().unwrap().clone();
        (String::from_utf8(outcome.body.to_vec()).unwrap(), shared)
    };
    let (body, shared) = run(get(&format!("res.cacheable().json({me_and_others})")), "GET").await;
    assert_eq!((body.as_str(), shared), ("[null,null,null]", vec![(false, 0)]));
    let (body, shared) = run(get("const { me } = db.User; res.cacheable().json(me.id)"), "GET").await;
    assert_eq!(
        (body.as_str(), shared),
        ("\"/db/User/7\"", vec![(true, 0)]),
        "it knows already"
    );
    // Said before the operation begins.
    let early = "const todo = db.Todo.load('1').catch(() => 1); res.cacheable(); await todo; res.json(1)";
    assert_eq!(run(get(early), "GET").await.1, vec![(false, 0)]);
    let late = "await db.Todo.load('1').catch(() => 1); res.cacheable().json(1)";
    assert_eq!(run(get(late), "GET").await.1, vec![(false, 1)]);
    let (body, shared) = run(get("res.cacheable().json(db.User.me.id)"), "POST").await;
    assert_eq!(
        (body.as_str(), shared),
        ("\"/db/User/7\"", vec![]),
        "nobody keeps answers to POST"
    );
}
