//! CDNs that are told over their APIs, what answers tell them, and what the operator is told.

use std::process::Command;

use fb_testkit::{Answer, Imitation, ServerBuilder, root, wait_for};
use serde_json::Value;

use crate::{BINARY, Site, open_class, put};

const TOKEN: &str = "t0ken-of-tests";

fn told(service: &Imitation, key: &str) -> bool {
    service.asked().iter().any(|asked| {
        let keys = asked.header("surrogate-key").unwrap_or_default().to_owned();
        let body = String::from_utf8_lossy(&asked.body).into_owned();
        keys.split(' ').any(|other| other == key) || body.contains(&format!("\"{key}\""))
    })
}

#[test]
fn all_configured_services_are_told_and_answers_carry_what_they_are_told_by() {
    let [fastly, cloudflare, hook] =
        [(); 3].map(|()| Imitation::start(|_| Answer::new(200, &[], r#"{"success":true}"#)));
    let server = ServerBuilder::new(BINARY)
        .baqend()
        .arg("--purge-fastly")
        .arg("SVC")
        .arg("--purge-fastly-api")
        .arg(fastly.url())
        .arg("--purge-cloudflare")
        .arg("z0ne")
        .arg("--purge-cloudflare-api")
        .arg(format!("{}/client/v4", cloudflare.url()))
        .arg("--purge-webhook")
        .arg(format!("{}/hook", hook.url()))
        .env("FRESHBASE_PURGE_FASTLY_TOKEN", TOKEN)
        .env("FRESHBASE_PURGE_CLOUDFLARE_TOKEN", TOKEN)
        .env(
            "FRESHBASE_PURGE_WEBHOOK_SECRET",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        )
        .start();
    let (admin, anybody) = (root(&server), server.client());
    open_class(&admin, "Doc");
    put(&admin, "/db/Doc/1", 1);
    let answer = anybody.get("/db/Doc/1").expect(200);
    assert_eq!(
        answer.header("surrogate-key"),
        Some("main main/class/Doc main/db/Doc/1")
    );
    assert_eq!(answer.header("cache-tag"), Some("main,main/class/Doc,main/db/Doc/1"));
    // How long is what s-maxage says: a purge may not arrive.
    assert_eq!(answer.header("surrogate-control"), None);
    put(&admin, "/db/Doc/1", 2);
    for (name, service) in [("fastly", &fastly), ("cloudflare", &cloudflare), ("webhook", &hook)] {
        wait_for(&format!("{name} to be told"), || {
            told(service, "main/db/Doc/1").then_some(())
        });
    }
    assert!(
        fastly
            .asked()
            .iter()
            .all(|asked| asked.header("fastly-key") == Some(TOKEN))
    );
    let text = server.log() + &server.printed();
    assert!(!text.contains(TOKEN) && !text.contains("MfKQ9r8"), "{text}");
}

#[test]
fn without_foreign_caches_answers_say_nothing() {
    let server = ServerBuilder::new(BINARY).baqend().start();
    let admin = root(&server);
    open_class(&admin, "Doc");
    put(&admin, "/db/Doc/1", 1);
    let answer = server.client().get("/db/Doc/1").expect(200);
    for name in ["surrogate-key", "cache-tag", "surrogate-control"] {
        assert_eq!(answer.header(name), None);
    }
}

fn doctor(site: &Site, secret: &str) -> Value {
    let run = Command::new(BINARY)
        .args(["doctor", "--json", "--data-dir"])
        .arg(site.server.data_dir())
        .arg("--purge-varnish")
        .arg(format!("http://{}", site.varnish.address()))
        .env("FRESHBASE_PURGE_VARNISH_SECRET", secret)
        .output()
        .unwrap();
    serde_json::from_slice(&run.stdout).unwrap()
}

#[test]
fn doctor_says_which_caches_cannot_be_told() {
    let mut site = Site::start();
    let address = site.varnish.address();
    let finding = |report: &Value| {
        let all = report["findings"].as_array().unwrap();
        let mut own = all.iter().filter(|f| f["check"] == "unreachable-cache");
        own.next().map(|f| f["message"].as_str().unwrap().to_owned())
    };
    assert_eq!(finding(&doctor(&site, fb_testkit::Varnish::SECRET)), None);
    let wrong = finding(&doctor(&site, "wr0ng"));
    assert_eq!(
        wrong,
        Some(format!("varnish {address}: it answers with status 403 Forbidden"))
    );
    site.varnish.stop();
    let gone = finding(&doctor(&site, fb_testkit::Varnish::SECRET)).unwrap();
    assert!(gone.starts_with(&format!("varnish {address}: no connection")), "{gone}");
}

#[test]
fn a_target_without_its_secret_keeps_the_server_from_starting() {
    let run = Command::new(BINARY)
        .args([
            "config",
            "check",
            "--purge-fastly",
            "SVC",
            "--purge-varnish",
            "nonsense",
        ])
        .env("FRESHBASE_PURGE_VARNISH_SECRET", "s")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&run.stderr).into_owned();
    assert_eq!(run.status.code(), Some(1), "{text}");
    for part in [
        "`purge-fastly` needs FRESHBASE_PURGE_FASTLY_TOKEN",
        "`purge-varnish`: not an address",
    ] {
        assert!(text.contains(part), "{text}");
    }
}
