//! Jobs and hooks against the real binary.

use fb_testkit::{class, root, wait_for};
use serde_json::json;

use crate::{deploy, object, server};

#[test]
fn a_job_runs_at_its_times_and_says_how_it_went() {
    let server = server().start();
    let admin = root(&server);
    class(&admin, "Note", &[("text", "String")]);
    deploy(
        &admin,
        "tick",
        "module",
        "exports.run = async (db, status, definition) => {
        await new db.Note({ id: '/db/Note/' + status.key, text: definition.module }).save({ force: true });
    };",
    );
    deploy(
        &admin,
        "sick",
        "module",
        "exports.call = () => { throw new Abort('not today', { a: 1 }); };",
    );
    for module in ["tick", "sick", "missing"] {
        let definition =
            json!({ "id": format!("/db/jobs.Definition/{module}"), "module": module, "cronpattern": "* * * * * *" });
        admin.post("/db/jobs.Definition", &definition).expect(201);
    }
    for (module, status) in [("tick", "SUCCESS"), ("sick", "ERROR"), ("missing", "ABORTED")] {
        let found = wait_for(module, || {
            let filter = json!({ "cronjob": format!("/db/jobs.Definition/{module}"), "status": status });
            admin.query("jobs.Status", &filter).pop()
        });
        match module {
            "tick" => drop(object(&admin, "/db/jobs.Definition/tick", |job| {
                job["nextExecution"].is_string()
            })),
            "sick" => assert_eq!(found["error"], json!({ "message": "not today", "data": { "a": 1 } })),
            _ => assert!(found["error"]["message"].is_string(), "{found}"),
        }
    }
    assert!(!admin.query("Note", &json!({})).is_empty());
    // Without a pattern it does not run.
    admin
        .put(
            "/db/jobs.Definition/tick",
            &json!({ "module": "tick", "cronpattern": "never" }),
        )
        .expect(200);
    object(&admin, "/db/jobs.Definition/tick", |job| job["nextExecution"].is_null());
}

#[test]
fn a_run_that_was_cut_off_ends_as_an_error_and_the_job_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let builder = server().data_dir(dir.path());
    let mut running = builder.start();
    let admin = root(&running);
    class(&admin, "Gate", &[("open", "Boolean")]);
    deploy(
        &admin,
        "long",
        "module",
        "exports.run = async (db) => {
        while (!(await db.Gate.load('1'))) await new Promise((go) => setTimeout(go, 20));
    };",
    );
    let definition = json!({ "id": "/db/jobs.Definition/1", "module": "long", "cronpattern": "* * * * * *" });
    admin.post("/db/jobs.Definition", &definition).expect(201);
    let first = wait_for("a run", || {
        admin.query("jobs.Status", &json!({ "status": "EXECUTING" })).pop()
    });
    // It does not run twice at once.
    assert_eq!(admin.query("jobs.Status", &json!({})).len(), 1);
    running.kill();
    let running = builder.start();
    let admin = root(&running);
    let ended = object(&admin, first["id"].as_str().unwrap(), |status| {
        status["status"] == "ERROR"
    });
    assert_eq!(ended["error"]["message"], "the server was stopped during the run");
    admin.post("/db/Gate", &json!({ "id": "/db/Gate/1" })).expect(201);
    wait_for("a run that succeeds", || {
        admin.query("jobs.Status", &json!({ "status": "SUCCESS" })).pop()
    });
}

#[test]
fn a_job_runs_after_a_start_although_nobody_asks_for_the_app() {
    let dir = tempfile::tempdir().unwrap();
    let (address, calls) = crate::webhooks::receiver(&[]);
    let builder = server().data_dir(dir.path()).arg("--outbound-allow").arg(&address);
    let mut running = builder.start();
    let admin = root(&running);
    // A webhook tells from outside that it ran.
    let hook = crate::webhooks::hook(&format!("http://{address}/"), "jobs.Status", "update");
    admin.put("/config", &hook).expect(200);
    deploy(&admin, "tick", "module", "exports.run = () => {};");
    let definition = json!({ "id": "/db/jobs.Definition/1", "module": "tick", "cronpattern": "* * * * * *" });
    admin.post("/db/jobs.Definition", &definition).expect(201);
    calls.recv().unwrap();
    running.kill();
    while calls.try_recv().is_ok() {}
    let _running = builder.start();
    assert!(calls.recv().unwrap().body.contains("jobs.Status"));
}
