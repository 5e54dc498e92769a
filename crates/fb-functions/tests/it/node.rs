//! The builtin modules do what real Node does: the cases of `tests/node`, and what Node wrote down about them.

use serde_json::Value;

use crate::kit::{app, get};

/// Runs the cases of a file in the engine and compares with what is expected, case by case.
async fn check(cases: &str, expected: &str) {
    let main = "const run = require('./run'); exports.call = async () => JSON.stringify(await run(require('./cases')));";
    let app = app(&[("m", main), ("run", include_str!("../node/run.js")), ("cases", cases)]);
    let outcome = app.run(get("")).await.unwrap();
    let actual: serde_json::Map<String, Value> = serde_json::from_slice(&outcome.body).unwrap();
    let expected: serde_json::Map<String, Value> = serde_json::from_str(expected).unwrap();
    let mut wrong = Vec::new();
    for (name, expected) in &expected {
        let actual = actual.get(name).unwrap_or(&Value::Null);
        if actual != expected {
            wrong.push(format!("{name}\n  expected {expected}\n  but was  {actual}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(actual.len(), expected.len(), "record the cases anew: node tests/node/record.mjs");
}

macro_rules! same_as_node {
    ($($test:ident = $file:literal;)*) => {
        $(#[tokio::test]
        async fn $test() {
            check(
                include_str!(concat!("../node/", $file, ".js")),
                include_str!(concat!("../node/", $file, ".json")),
            )
            .await;
        })*
    };
}

same_as_node! {
    buffers_are_those_of_node = "buffer";
}
