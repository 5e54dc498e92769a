//! The builtin modules do what real Node does: the cases of `tests/node`, and what Node wrote down about them.

use serde_json::Value;

use crate::kit::{app, get};

/// The first member that differs says most.
fn difference(path: &str, expected: &Value, actual: &Value) -> String {
    if let (Value::Array(expected), Value::Array(actual)) = (expected, actual)
        && expected.len() == actual.len()
    {
        for (i, (expected, actual)) in expected.iter().zip(actual).enumerate() {
            if expected != actual {
                return difference(&format!("{path}[{i}]"), expected, actual);
            }
        }
    }
    format!("{path}\n  expected {expected}\n  but was  {actual}")
}

/// Runs the cases of a file in the engine and compares with what is expected, case by case.
async fn check(cases: &str, expected: &str) {
    let main =
        "const run = require('./run'); exports.call = async () => JSON.stringify(await run(require('./cases')));";
    let app = app(&[("m", main), ("run", include_str!("../node/run.js")), ("cases", cases)]);
    let outcome = app.run(get("")).await.unwrap();
    let actual: serde_json::Map<String, Value> = serde_json::from_slice(&outcome.body).unwrap();
    let expected: serde_json::Map<String, Value> = serde_json::from_str(expected).unwrap();
    let mut wrong = Vec::new();
    for (name, expected) in &expected {
        let actual = actual.get(name).unwrap_or(&Value::Null);
        if actual != expected {
            wrong.push(difference(name, expected, actual));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        actual.len(),
        expected.len(),
        "record the cases anew: node tests/node/record.mjs"
    );
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
    assertions_are_those_of_node = "assert";
    buffers_are_those_of_node = "buffer";
    hashes_ciphers_and_signatures_are_those_of_node = "crypto";
    events_are_those_of_node = "events";
    streams_are_those_of_node = "stream";
    values_are_shown_compared_and_copied_as_in_node = "util";
    urls_paths_and_queries_are_those_of_node = "url";
    compression_understands_node_and_is_bounded = "zlib";
}
