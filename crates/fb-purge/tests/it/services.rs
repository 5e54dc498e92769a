//! Shapes and limits of Fastly, Cloudflare and webhooks, and what their answers do.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::BASE64;
use fb_auth::Secret;
use fb_purge::{By, Options, Order, Target, probe};
use fb_testkit::{Answer, Asked, Imitation, wait_for};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;

use crate::{Teller, quick};

const TOKEN: &str = "t0ken-of-tests";
const WEBHOOK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn ok() -> Answer {
    Answer::new(200, &[], r#"{"success":true,"status":"ok"}"#)
}

/// As documented: at most 256 keys, 16 KiB of them, a token.
fn fastly(asked: &Asked) -> Answer {
    if asked.header("fastly-key") != Some(TOKEN) {
        return Answer::new(403, &[], r#"{"msg":"Provided credentials are missing or invalid"}"#);
    }
    let keys = asked.header("surrogate-key").unwrap_or_default();
    let is_keys = asked.path == "/service/SVC/purge" && !keys.is_empty();
    let is_all = asked.path == "/service/SVC/purge_all" && asked.header("fastly-soft-purge").is_none();
    let is_url = asked.path.starts_with("/purge/");
    if asked.method != "POST" || !(is_keys || is_all || is_url) || keys.split(' ').count() > 256 || keys.len() > 16_384
    {
        return Answer::new(400, &[], "{}");
    }
    ok()
}

fn fastly_target(api: &str, token: &str, soft: bool) -> Target {
    Target::fastly(api, "SVC", Secret::new(token), soft).unwrap()
}

/// As documented: at most 100 operations, a token, one kind in a request.
fn cloudflare(asked: &Asked) -> Answer {
    let failed = |status| Answer::new(status, &[], r#"{"success":false,"errors":[{"code":1}]}"#);
    if asked.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return failed(403);
    }
    let body = asked.json();
    let one = body.as_object().filter(|members| members.len() == 1);
    let fits = |name: &str| body[name].as_array().is_some_and(|all| (1..=100).contains(&all.len()));
    let is_good = fits("tags") || fits("files") || body["purge_everything"] == true;
    if asked.path != "/client/v4/zones/z0ne/purge_cache" || asked.method != "POST" || one.is_none() || !is_good {
        return failed(400);
    }
    ok()
}

fn cloudflare_target(service: &Imitation) -> Target {
    let api = format!("{}/client/v4", service.url());
    Target::cloudflare(&api, "z0ne", Secret::new(TOKEN)).unwrap()
}

fn many(n: usize) -> Vec<Order> {
    (0..n).map(|i| Order::key(format!("shop/db/T/{i:04}"))).collect()
}

#[test]
fn fastly_gets_up_to_256_keys_at_once() {
    let service = Imitation::start(fastly);
    let teller = Teller::begun(fastly_target(&service.url(), TOKEN, false), By::Keys, quick());
    assert_eq!(service.asked()[0].path, "/service/SVC/purge_all");
    service.forget();
    teller.push(&many(600));
    teller.wait("all of them", |stats| stats.sent == 600);
    let asked = service.asked();
    let mut sizes: Vec<_> = asked
        .iter()
        .map(|a| a.header("surrogate-key").unwrap().split(' ').count())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [88, 256, 256]);
    service.forget();
    // Long keys: as many as the header may hold.
    let long: Vec<_> = (0..40).map(|i| Order::key(format!("{i:01000}"))).collect();
    teller.push(&long);
    let stats = teller.wait("the long ones", |stats| stats.sent == 640);
    assert_eq!((stats.failed, service.asked().len()), (0, 3));
}

#[test]
fn fastly_marks_as_stale_if_that_is_wanted_and_takes_urls() {
    let service = Imitation::start(fastly);
    let teller = Teller::begun(fastly_target(&service.url(), TOKEN, true), By::Urls, quick());
    service.forget();
    teller.push(&[Order::url("https://shop.test/v1/db/T/1?x=1")]);
    teller.wait("it", |stats| stats.sent == 1);
    let asked = service.asked();
    assert_eq!(asked[0].path, "/purge/shop.test/v1/db/T/1?x=1");
    assert_eq!(asked[0].header("fastly-soft-purge"), Some("1"));
    assert_eq!(teller.stats().failed, 0);
}

#[test]
fn cloudflare_gets_up_to_100_tags_or_files_at_once() {
    let service = Imitation::start(cloudflare);
    let teller = Teller::begun(cloudflare_target(&service), By::Keys, quick());
    assert_eq!(service.asked()[0].json(), json!({ "purge_everything": true }));
    service.forget();
    teller.push(&many(250));
    teller.wait("all of them", |stats| stats.sent == 250);
    let mut sizes: Vec<_> = service
        .asked()
        .iter()
        .map(|a| a.json()["tags"].as_array().unwrap().len())
        .collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [50, 100, 100]);
    drop(teller);

    let teller = Teller::begun(cloudflare_target(&service), By::Urls, quick());
    service.forget();
    teller.push(&[
        Order::url("https://shop.test/v1/db/T/1"),
        Order::url("https://shop.test/v1/db/T/2"),
    ]);
    teller.wait("both", |stats| stats.sent == 2);
    let files = json!({ "files": ["https://shop.test/v1/db/T/1", "https://shop.test/v1/db/T/2"] });
    assert_eq!(service.asked()[0].json(), files);
}

#[test]
fn what_a_service_says_was_not_done_becomes_everything() {
    let service = Imitation::start(|asked| {
        if asked.json().get("tags").is_some() {
            return Answer::new(200, &[], r#"{"success":false,"errors":[]}"#);
        }
        cloudflare(asked)
    });
    let teller = Teller::begun(cloudflare_target(&service), By::Keys, quick());
    teller.keys(&["odd"]);
    let stats = teller.wait("everything instead", |stats| stats.everything == 2);
    assert_eq!((stats.sent, stats.overflows, stats.queued), (0, 1, 0));
}

#[test]
fn s34_webhooks_are_signed_and_of_the_documented_form() {
    let service = Imitation::start(|_| Answer::new(204, &[], ""));
    let target = Target::webhook(&format!("{}/hook?a=b", service.url()), &Secret::new(WEBHOOK_SECRET)).unwrap();
    let teller = Teller::begun(target, By::Keys, quick());
    teller.push(&[Order::key("a"), Order::key("b")]);
    teller.wait("both", |stats| stats.sent == 2);
    let asked = service.asked().pop().unwrap();
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/hook?a=b"));
    assert_eq!(asked.header("content-type"), Some("application/json"));
    let body = asked.json();
    assert_eq!(body["type"], "cache.purge");
    assert_eq!(
        body["data"],
        json!({ "keys": ["a", "b"], "urls": [], "everything": false })
    );
    let at: fb_types::Timestamp = body["timestamp"].as_str().unwrap().parse().unwrap();
    let stamp = asked.header("webhook-timestamp").unwrap();
    assert_eq!(at.millis() / 1000, stamp.parse::<i64>().unwrap());
    // As a receiver checks it.
    let key = BASE64
        .decode(WEBHOOK_SECRET.strip_prefix("whsec_").unwrap().as_bytes())
        .unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{}.{stamp}.", asked.header("webhook-id").unwrap()).as_bytes());
    mac.update(&asked.body);
    let expected = format!("v1,{}", BASE64.encode(&mac.finalize().into_bytes()));
    assert_eq!(asked.header("webhook-signature"), Some(expected.as_str()));
}

#[test]
fn a_service_that_is_busy_is_asked_again_when_it_said() {
    let n = AtomicUsize::new(0);
    let service = Imitation::start(move |asked| match n.fetch_add(1, Ordering::Relaxed) {
        1 => Answer::new(429, &[("retry-after", "1")], "{}"),
        2 => Answer::new(503, &[], ""),
        3 => Answer::default(),
        _ => fastly(asked),
    });
    let teller = Teller::begun(fastly_target(&service.url(), TOKEN, false), By::Keys, quick());
    let begin = std::time::Instant::now();
    teller.keys(&["a"]);
    let stats = teller.wait("it in the end", |stats| stats.sent == 1);
    assert!(begin.elapsed() >= Duration::from_secs(1), "not before");
    assert_eq!((stats.failed, stats.queued, stats.is_failing), (3, 0, false));
    let keys: Vec<_> = service.asked()[1..]
        .iter()
        .map(|a| a.header("surrogate-key").map(str::to_owned))
        .collect();
    assert_eq!(keys, vec![Some("a".to_owned()); 4]);
}

#[test]
fn a_wrong_token_is_said_to_be_failing_and_does_not_lose_anything_once_it_is_right() {
    let is_right = Arc::new(Mutex::new(false));
    let right = is_right.clone();
    let service = Imitation::start(move |asked| match *right.lock().unwrap() {
        true => ok(),
        false => fastly(asked),
    });
    let options = Options {
        patience: Duration::from_millis(200),
        ..quick()
    };
    let teller = Teller::start(fastly_target(&service.url(), "wrong", false), By::Keys, options);
    teller.keys(&["a"]);
    let stats = teller.wait("failures", |stats| stats.failed > 3 && stats.is_failing);
    assert_eq!((stats.sent, stats.everything), (0, 0));
    *is_right.lock().unwrap() = true;
    let stats = teller.wait("everything", |stats| stats.everything > 0);
    assert_eq!(service.asked().pop().unwrap().path, "/service/SVC/purge_all");
    assert_eq!(stats.sent, 0, "the name is in it");
}

#[test]
fn more_names_than_may_wait_become_everything_for_the_one_that_does_not_keep_up() {
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock().unwrap();
    let (closed, n) = (gate.clone(), AtomicUsize::new(0));
    let service = Imitation::start(move |asked| {
        if n.fetch_add(1, Ordering::Relaxed) == 1 {
            drop(closed.lock());
        }
        fastly(asked)
    });
    let options = Options {
        capacity: 100,
        ..quick()
    };
    let teller = Teller::begun(fastly_target(&service.url(), TOKEN, false), By::Keys, options);
    teller.keys(&["first"]);
    teller.wait("it to be under way", |stats| stats.queued == 0);
    teller.push(&many(100));
    assert_eq!(teller.stats().queued, 100);
    teller.keys(&["one more"]);
    assert_eq!((teller.stats().queued, teller.stats().overflows), (1, 1));
    drop(held);
    teller.wait("everything", |stats| stats.everything == 2);
    assert_eq!(service.asked().len(), 3, "the beginning, the first, everything");
}

#[test]
fn a_service_that_says_nothing_holds_nobody_up() {
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock().unwrap();
    let closed = gate.clone();
    let slow = Imitation::start(move |_| {
        drop(closed.lock());
        ok()
    });
    let options = Options {
        deadline: Duration::from_millis(50),
        ..quick()
    };
    let teller = Teller::start(fastly_target(&slow.url(), TOKEN, false), By::Keys, options);
    teller.wait("the deadline", |stats| stats.failed > 0 && stats.is_failing);
    drop(held);
    teller.wait("everything", |stats| stats.everything > 0);
    assert_eq!(teller.close(Duration::from_secs(20)), 0);
}

#[test]
fn what_waits_is_sent_before_the_end() {
    let service = Imitation::start(cloudflare);
    let options = Options {
        gather: Duration::from_secs(600),
        ..quick()
    };
    let teller = Teller::start(cloudflare_target(&service), By::Keys, quick());
    teller.wait("the beginning", |stats| stats.everything > 0);
    teller.push(&many(1000));
    assert_eq!(teller.close(Duration::from_secs(20)), 0);
    let n: usize = service.asked()[1..]
        .iter()
        .map(|a| a.json()["tags"].as_array().unwrap().len())
        .sum();
    assert_eq!(n, 1000);
    // What cannot be sent is counted.
    let gone = fastly_target("http://127.0.0.1:9", TOKEN, false);
    let teller = Teller::start(gone, By::Keys, options);
    assert_eq!(teller.close(Duration::from_millis(50)), 1);
}

#[test]
fn probes_say_what_is_wrong_and_no_secret() {
    let service = Imitation::start(fastly);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ask = |target: Target| {
        let probe = probe(&target, Duration::from_secs(5), Arc::new(fb_types::SystemClock));
        runtime.block_on(probe).map_err(|error| error.to_string())
    };
    assert_eq!(ask(fastly_target(&service.url(), TOKEN, false)), Ok(()));
    assert_eq!(service.asked()[0].header("surrogate-key"), Some("freshbase:probe"));
    let wrong = ask(fastly_target(&service.url(), "wr0ng", false));
    assert_eq!(wrong.unwrap_err(), "it answers with status 403 Forbidden");
    let nobody = ask(fastly_target("http://127.0.0.1:9", TOKEN, false)).unwrap_err();
    assert!(
        nobody.contains("no connection") && nobody.to_lowercase().contains("refused"),
        "{nobody}"
    );
    wait_for("the log", || (service.asked().len() == 2).then_some(()));
}
