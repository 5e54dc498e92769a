//! `require`, `import`, and what modules share.

use fb_functions::CallError;

use crate::kit::{app, get, module};

#[tokio::test]
async fn modules_are_required_by_any_number_of_dots() {
    let app = app(&[
        (
            "m",
            "exports.call = () => ['./a.b', '../a.b', '../../a.b', './a.b/module', './a.b.js'].map((name) => require(name).name).join() + require('../Todo/update').kind;",
        ),
        ("a.b", "exports.name = 'a';"),
        ("Todo/update", "exports.kind = 'handler';"),
    ]);
    assert_eq!(app.text().await, "a,a,a,a,ahandler");
}

#[tokio::test]
async fn s14_only_own_names_are_modules() {
    for name in [
        "./__proto__",
        "./constructor",
        "./toString",
        "./nothing",
        "__proto__",
        "constructor",
        "fs",
        "node:child_process",
        "qjs:os",
        "net",
        "std",
        "../../etc/passwd",
        "./m/../m",
        "./m/module/x",
        "freshbase:client",
        "/code/m/module",
        "./",
        "",
    ] {
        let app = module(&format!("exports.call = () => require({name:?});"));
        let failure = app.failure().await;
        assert!(
            failure.message.starts_with(&format!("Cannot find module '{name}'")),
            "{name}: {}",
            failure.message
        );
        assert!(failure.message.contains("freshbase deploy"));
    }
}

#[tokio::test]
async fn cycles_see_what_is_there_already() {
    let app = app(&[
        (
            "m",
            "exports.early = 1; const b = require('./b'); exports.late = 2; exports.call = () => [b.seen, b.later()];",
        ),
        (
            "b",
            "const m = require('./m'); exports.seen = Object.keys(m); exports.later = () => Object.keys(m);",
        ),
    ]);
    assert_eq!(app.text().await, r#"[["early"],["early","late","call"]]"#);
}

#[tokio::test]
async fn state_of_modules_survives_within_an_instance_until_code_changes() {
    let mut app = app(&[("m", "let n = 0; exports.call = () => String(++n);")]);
    assert_eq!((app.text().await.as_str(), app.text().await.as_str()), ("1", "2"));
    app.code = crate::kit::code(&[("m", "let n = 0; exports.call = () => String(++n);")]);
    assert_eq!(app.text().await, "1");
}

#[tokio::test]
async fn es_modules_are_entries_and_import_each_other() {
    let app = app(&[
        (
            "m",
            "import other, { name as called } from './es';\nimport * as common from '../common';\nimport def, { x } from './common';\nconst late = await Promise.resolve('late');\nexport function call() { return [other, called, common.x, def.x, x, late].join(); }",
        ),
        ("es", "export default 'default'; export const name = 'named';"),
        ("common", "exports.x = 'common';"),
    ]);
    assert_eq!(app.text().await, "default,named,common,common,common,late");
}

#[tokio::test]
async fn a_default_export_can_be_the_entry() {
    assert_eq!(
        module("export default async function () { return 'f'; }").text().await,
        "f"
    );
    assert_eq!(module("export default { call() { return 'o'; } };").text().await, "o");
}

#[tokio::test]
async fn required_and_imported_modules_are_one() {
    let app = app(&[
        (
            "m",
            "const a = require('./user'); const b = require('./state'); exports.call = () => String(a.state === b && a.next() + b.next());",
        ),
        (
            "user",
            "import * as state from './state'; export { state }; export const next = state.next;",
        ),
        ("state", "let n = 0; export const next = () => ++n;"),
    ]);
    assert_eq!(app.text().await, "3");
}

#[tokio::test]
async fn a_module_that_throws_while_it_loads_is_loaded_again() {
    let app = app(&[("m", "throw new TypeError('no');")]);
    for _ in 0..2 {
        assert!(matches!(app.error().await, CallError::Failed(exception) if exception.message == "no"));
    }
    let app = module("export const call = () => 1; throw new Error('es');");
    for _ in 0..2 {
        assert!(matches!(app.run(get("")).await, Err(CallError::Failed(exception)) if exception.message == "es"));
    }
}

#[tokio::test]
async fn import_as_a_function_finds_modules_too() {
    let app = app(&[
        (
            "m",
            "exports.call = async () => (await import('./b')).x + (await import('./b')).default.x;",
        ),
        ("b", "exports.x = 'x';"),
    ]);
    assert_eq!(app.text().await, "xx");
}
