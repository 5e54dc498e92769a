//! A whole run against a fake server: every scenario works, wrong answers fail the run.

use std::{
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::Value;

/// `cargo test` builds the examples beside the binary.
fn fake_freshbase() -> PathBuf {
    let directory = PathBuf::from(env!("CARGO_BIN_EXE_fb-bench"))
        .parent()
        .expect("a file has a directory")
        .to_owned();
    directory.join("examples/fake_freshbase")
}

fn bench(args: &[&str], defect: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fb-bench"));
    command.arg("run").arg("--server").arg(fake_freshbase());
    command
        .args([
            "--objects",
            "1000",
            "--seconds",
            "0.2",
            "--rounds",
            "1",
            "--private",
            "2000",
            "--connections",
            "8",
        ])
        .args(args);
    if let Some(defect) = defect {
        command.env("FAKE_DEFECT", defect);
    }
    command.output().expect("fb-bench starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_run_compares_its_scenarios_and_judges_every_target() {
    // Without those of files and of many apps, which the stand-in does not have.
    let scenarios = "idle,health,get,get-token,query-unordered,query-ordered,query-topn,mixed,update,partial,function,function-neighbour,insert,insert-handler,login,get-during-logins,own-page,own-count,edge-hit,edge-confirmed,get-kept,update-kept";
    let json = tempfile::NamedTempFile::new().unwrap();
    let args = [
        "--markdown",
        "--json",
        json.path().to_str().unwrap(),
        "--scenario",
        scenarios,
    ];
    let output = bench(&args, None);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    assert!(table.contains("| query-topn "), "{table}");

    let report: Value = serde_json::from_slice(&std::fs::read(json.path()).unwrap()).unwrap();
    let names: Vec<&str> = report["comparisons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["scenario"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "health",
            "get",
            "get-token",
            "query-unordered",
            "query-ordered",
            "query-topn",
            "mixed",
            "update",
            "partial",
            "function",
            "function-neighbour",
            "insert",
            "insert-handler",
            "login",
            "get-during-logins",
            "own-page",
            "own-count",
            "edge-hit",
            "edge-confirmed",
            "get-kept",
            "update-kept"
        ]
    );
    assert_eq!(report["verdicts"].as_array().unwrap().len(), 21);
    let at_edge = &report["comparisons"][17]["edge_rounds"][0];
    assert!(
        at_edge["hits"].as_u64().unwrap() > 0 && at_edge["hits"] == at_edge["sent"],
        "{at_edge}"
    );
    assert!(report["idle"]["first_start_ms"].as_f64().unwrap() > 0.0);
}

#[test]
fn a_handler_that_does_not_run_fails_the_run() {
    let output = bench(&["--scenario", "insert-handler"], Some("no-handler"));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("the handler did not run"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn queries_with_wrong_objects_fail_the_run() {
    let output = bench(&["--scenario", "query-ordered"], Some("wrong-group"));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("objects of other groups"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn acknowledged_inserts_that_are_lost_fail_the_run() {
    let output = bench(&["--scenario", "insert"], Some("lose-writes"));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("were acknowledged"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn private_objects_of_others_fail_the_run() {
    let output = bench(&["--scenario", "own-page"], Some("leak"));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("instead of 100 objects"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn logins_with_wrong_passwords_fail_the_run() {
    let output = bench(&["--scenario", "login"], Some("any-password"));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("with a wrong password is answered with status 200"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn logins_that_are_refused_beside_a_load_are_counted() {
    let json = tempfile::NamedTempFile::new().unwrap();
    let args = [
        "--scenario",
        "get-during-logins",
        "--json",
        json.path().to_str().unwrap(),
    ];
    let output = bench(&args, Some("busy"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains(" refused (503)"),
        "{}",
        text(&output.stdout)
    );

    let report: Value = serde_json::from_slice(&std::fs::read(json.path()).unwrap()).unwrap();
    let beside = &report["comparisons"][0]["logins_beside"][0];
    assert!(beside["answered"].as_u64().unwrap() > 0, "{beside}");
    assert!(beside["refused"].as_u64().unwrap() > 0, "{beside}");
}

#[test]
fn refusals_that_do_not_say_when_to_come_back_fail_the_run() {
    let output = bench(&["--scenario", "get-during-logins"], Some("busy-forever"));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("answered with status 503"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn an_edge_that_asks_the_server_fails_the_run() {
    let output = bench(&["--scenario", "edge-confirmed"], Some("forgetful-edge"));
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("from memory"), "{}", text(&output.stderr));
}

#[test]
fn copies_that_the_server_does_not_know_of_fail_the_run() {
    let output = bench(&["--scenario", "update-kept"], Some("no-books"));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("are known to have copies"),
        "{}",
        text(&output.stderr)
    );
}

fn hits(defect: Option<&str>, more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fb-bench"));
    command.arg("hits").arg("--server").arg(fake_freshbase());
    command
        .args(["--objects", "40", "--queries", "20", "--clients", "3"])
        .args(["--rate", "600", "--seconds", "3", "--staleness", "1"])
        .args(more);
    if let Some(defect) = defect {
        command.env("FAKE_DEFECT", defect);
    }
    command.output().expect("fb-bench starts")
}

#[test]
fn hits_are_counted_beside_what_an_oracle_would_have() {
    let json = tempfile::NamedTempFile::new().unwrap();
    let output = hits(None, &["--markdown", "--json", json.path().to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&std::fs::read(json.path()).unwrap()).unwrap();
    let objects = &report["outcome"]["objects"];
    let figure = |name: &str| objects[name].as_u64().unwrap();
    assert!(
        figure("hits") > 0 && figure("hits") <= figure("stale_oracle"),
        "{objects}"
    );
    assert!(figure("oracle") <= figure("reads"), "{objects}");
}

#[test]
fn copies_that_are_used_for_longer_than_the_staleness_fail_the_run() {
    let output = hits(Some("empty-filter"), &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("had been outdated for more than"),
        "{}",
        text(&output.stderr)
    );
}

fn live(args: &[&str], defect: Option<&str>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fb-bench"));
    command.arg("live").arg("--server").arg(fake_freshbase());
    command
        .args(["--share", "0.02", "--seconds", "0.3", "--rounds", "1"])
        .args(args);
    if let Some(defect) = defect {
        command.env("FAKE_DEFECT", defect);
    }
    command.output().expect("fb-bench starts")
}

#[test]
fn subscribers_are_told_of_writes_and_counted() {
    let json = tempfile::NamedTempFile::new().unwrap();
    let fake = fake_freshbase();
    let args = [
        "--json",
        json.path().to_str().unwrap(),
        "--baseline-server",
        fake.to_str().unwrap(),
    ];
    let output = live(&args, None);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for name in [
        "fanout",
        "fanout-users",
        "pressure",
        "own-filter",
        "many",
        "--baseline-server",
    ] {
        assert!(text(&output.stdout).contains(name), "{name}: {}", text(&output.stdout));
    }
    let report: Value = serde_json::from_slice(&std::fs::read(json.path()).unwrap()).unwrap();
    let pressure = &report["rounds"][2];
    assert_eq!(
        (&pressure["scenario"], &pressure["sockets"]),
        (&"pressure".into(), &10.into())
    );
    let (events, writes) = (
        pressure["event_rate"].as_f64().unwrap(),
        pressure["write_rate"].as_f64().unwrap(),
    );
    assert!((events / writes - 10.0).abs() < 0.001, "{pressure}");
    assert_eq!(
        report["verdicts"].as_array().unwrap().len(),
        0,
        "a trial has no verdicts"
    );
}

#[test]
fn events_that_are_doubled_or_for_others_fail_the_run() {
    for (defect, scenario, expected) in [
        ("double-events", "pressure", "twice"),
        ("double-events", "own-filter", "twice"),
        ("stray-events", "own-filter", "for somebody else"),
    ] {
        let output = live(&["--scenario", scenario], Some(defect));
        assert_eq!(output.status.code(), Some(2), "{defect}");
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
}

#[test]
fn events_that_are_missing_fail_the_run() {
    let output = live(&["--scenario", "pressure", "--silence", "1"], Some("lose-events"));
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("nothing came"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_missing_binary_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_fb-bench"))
        .args(["run", "--server", "no/such/file"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        text(&output.stderr).contains("no/such/file"),
        "{}",
        text(&output.stderr)
    );
}
