//! What an author gets to know of mistakes.

use fb_functions::CallError;

use crate::kit::{app, module};

#[tokio::test]
async fn positions_are_the_authors_also_on_the_first_line() {
    let failure = module("exports.call = () => { throw new TypeError('no'); };")
        .failure()
        .await;
    assert_eq!((failure.name.as_str(), failure.message.as_str()), ("TypeError", "no"));
    assert_eq!(failure.stack, "at /code/m/module:1:34");
    let failure = module("\n  function inner() {\n    null.x;\n  }\nexports.call = function named() { inner(); };")
        .failure()
        .await;
    assert!(
        failure.stack.starts_with("at inner (/code/m/module:3:"),
        "{}",
        failure.stack
    );
    assert!(
        failure.stack.contains("at named (/code/m/module:5:"),
        "{}",
        failure.stack
    );
    assert_eq!(failure.stack.lines().count(), 2, "{}", failure.stack);
    let failure = module("export const call = () => { throw new Error('es'); };")
        .failure()
        .await;
    assert_eq!(failure.stack, "at call (/code/m/module:1:39)");
}

#[tokio::test]
async fn syntax_errors_name_module_and_line() {
    let app = app(&[
        ("m", "const a = 1;\nexports.call = () => require('./bad');"),
        ("bad", "let x = 1;\nlet y = ;\n"),
    ]);
    let failure = app.failure().await;
    assert_eq!(failure.name, "SyntaxError");
    assert!(failure.stack.starts_with("at /code/bad/module:2:"), "{}", failure.stack);
    let failure = module("import x from './m';\nexport const y = ;").failure().await;
    assert!(failure.stack.starts_with("at /code/m/module:2:"), "{failure:?}");
}

#[tokio::test]
async fn inline_source_maps_lead_to_the_original() {
    // Line 2, column 0 of the bundle is line 11, column 5 of src/app.ts.
    let map = data_encoding::BASE64.encode(br#"{"version":3,"sources":["src/app.ts"],"mappings":";AAUI"}"#);
    let source = format!(
        "exports.call = function called() {{\nthrow new Error('x'); }};\n//# sourceMappingURL=data:application/json;base64,{map}"
    );
    assert_eq!(module(&source).failure().await.stack, "at called (src/app.ts:11:5)");
}

#[tokio::test]
async fn whatever_is_thrown_is_described() {
    for (thrown, name, message) in [
        ("'text'", "Error", "text"),
        ("42", "Error", "42"),
        ("undefined", "Error", "undefined"),
        ("null", "Error", "null"),
        ("Symbol('s')", "Error", "Symbol(s)"),
        ("{ a: 1 }", "Error", r#"{"a":1}"#),
        ("{ name: 'N', message: 'M' }", "N", "M"),
        (
            "new Proxy({}, { get() { throw 1; }, has() { throw 2; } })",
            "Error",
            "[could not be read]",
        ),
        (
            "Object.defineProperty(new Error('e'), 'stack', { get() { throw 1; } })",
            "Error",
            "e",
        ),
        (
            "Object.defineProperty(new Error('e'), 'message', { get() { throw 1; } })",
            "Error",
            "{}",
        ),
        ("{ message: { toString() { throw 1; } } }", "Error", r#"{"message":{}}"#),
        (
            "class Mine extends Error { constructor() { super('mine'); this.name = 'Mine'; } }; throw new Mine()",
            "Mine",
            "mine",
        ),
    ] {
        let statement = if thrown.contains("throw new Mine") {
            format!("{};", thrown)
        } else {
            format!("throw {thrown};")
        };
        let failure = module(&format!("exports.call = () => {{ {statement} }};"))
            .failure()
            .await;
        assert_eq!(
            (failure.name.as_str(), failure.message.as_str()),
            (name, message),
            "{thrown}"
        );
    }
}

#[tokio::test]
async fn only_an_abort_aborts() {
    for throw in [
        "throw Object.create(Abort.prototype)",
        "throw new Proxy(new Abort('x'), {})",
        "throw Object.assign(new Error('x'), { name: 'Abort' })",
    ] {
        let error = module(&format!("exports.call = () => {{ {throw}; }};")).error().await;
        assert!(matches!(error, CallError::Failed(_)), "{throw}: {error:?}");
    }
    let error = module("class Mine extends Abort {} exports.call = () => { throw new Mine('x', () => 1); };")
        .error()
        .await;
    assert!(matches!(error, CallError::Aborted { data: None, .. }), "{error:?}");
}

#[tokio::test]
async fn a_rejection_that_nobody_handles_is_logged_and_fails_nothing() {
    let app = module(
        "exports.call = async () => { Promise.reject(new Error('lost')); const p = Promise.reject(new Error('found')); await null; p.catch(() => {}); return 'fine'; };",
    );
    assert_eq!(app.text().await, "fine");
    let lines = app.host.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].starts_with("unhandled rejection") && lines[0].contains("lost"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn waiting_for_nothing_fails_at_once() {
    let failure = module("exports.call = () => new Promise(() => {});").failure().await;
    assert_eq!(failure.message, "the code waits for something that never happens");
}
