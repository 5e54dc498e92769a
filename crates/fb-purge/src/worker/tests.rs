//! What is told, when, and what failures do; on a paused clock, with targets that answer as each test says.

use std::collections::VecDeque;

use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::{Value, json};

use super::*;
use crate::target::Asked;

/// Answers with what it was given, in this order, then with "done". Keeps what it was told, and when.
#[derive(Default)]
struct Imitation {
    verdicts: Mutex<VecDeque<Verdict>>,
    told: Mutex<Vec<(Duration, Value)>>,
    begin: Mutex<Option<Instant>>,
}

impl Wire for Imitation {
    async fn send(&self, _: &Target, asked: Asked) -> Verdict {
        let body = asked.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        let begin = *self.begin.lock().unwrap().get_or_insert_with(Instant::now);
        self.told.lock().unwrap().push((begin.elapsed(), body["data"].clone()));
        self.verdicts.lock().unwrap().pop_front().unwrap_or(Verdict::Done)
    }
}

struct Fixture {
    lane: Arc<Lane>,
    wire: Arc<Imitation>,
    closing: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Fixture {
    /// A lane that has told "everything" already, on which nothing is repeated unless `options` say so.
    async fn start(options: Options, by: By) -> Self {
        let wire = Arc::new(Imitation::default());
        let secret = fb_auth::Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let target = Target::webhook("https://hooks.test/", &secret).unwrap();
        let lane = Arc::new(Lane::new(target, by, options, Arc::new(fb_types::SystemClock)));
        let (closing, closed) = watch::channel(false);
        let task = tokio::spawn(lane.clone().run(wire.clone(), closed));
        let fixture = Self {
            lane,
            wire,
            closing,
            task,
        };
        fixture.rest(Duration::from_secs(10)).await;
        let n = 1 + usize::from(options.repeat.is_some());
        assert_eq!(fixture.told(), vec![everything(); n], "to begin with");
        fixture.wire.told.lock().unwrap().clear();
        *fixture.wire.begin.lock().unwrap() = None;
        fixture
    }

    fn say(&self, verdicts: impl IntoIterator<Item = Verdict>) {
        self.wire.verdicts.lock().unwrap().extend(verdicts);
    }

    /// Lets paused time pass.
    async fn rest(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    fn told(&self) -> Vec<Value> {
        self.wire
            .told
            .lock()
            .unwrap()
            .iter()
            .map(|(_, what)| what.clone())
            .collect()
    }

    /// Milliseconds since the first request.
    fn times(&self) -> Vec<u128> {
        self.wire
            .told
            .lock()
            .unwrap()
            .iter()
            .map(|(at, _)| at.as_millis())
            .collect()
    }
}

fn once() -> Options {
    Options {
        repeat: None,
        ..Options::default()
    }
}

fn later(seconds: Option<u64>) -> Verdict {
    Verdict::Later {
        why: Failure::Status(StatusCode::SERVICE_UNAVAILABLE),
        after: seconds.map(Duration::from_secs),
    }
}

fn keys(names: &[&str]) -> Value {
    json!({ "keys": names, "urls": [], "everything": false })
}

fn everything() -> Value {
    json!({ "keys": [], "urls": [], "everything": true })
}

fn orders(n: usize) -> Vec<Order> {
    (0..n).map(|i| Order::key(format!("k{i}"))).collect()
}

#[tokio::test(start_paused = true)]
async fn what_comes_together_is_told_together_and_once() {
    let lane = Fixture::start(once(), By::Keys).await;
    lane.lane.push(&[Order::key("a"), Order::key("b")]);
    lane.lane.push(&[Order::key("a")]);
    lane.rest(Duration::from_secs(5)).await;
    assert_eq!(lane.told(), [keys(&["a", "b"])]);
    lane.lane.push(&[Order::key("a")]);
    lane.rest(Duration::from_secs(5)).await;
    assert_eq!(lane.told().len(), 2, "a later order is a new one");
    let stats = lane.lane.stats();
    assert_eq!((stats.sent, stats.failed, stats.queued, stats.delays), (3, 0, 0, 4));
    assert!(
        stats.delay >= Duration::from_millis(15) && stats.delay < Duration::from_millis(50),
        "{:?}",
        stats.delay
    );
}

#[tokio::test(start_paused = true)]
async fn many_names_are_spread_over_requests_of_the_size_that_the_target_takes() {
    let lane = Fixture::start(once(), By::Keys).await;
    lane.lane.push(&orders(2500));
    lane.rest(Duration::from_secs(5)).await;
    let sizes: Vec<usize> = lane
        .told()
        .iter()
        .map(|data| data["keys"].as_array().unwrap().len())
        .collect();
    assert_eq!(sizes, [1000, 1000, 500]);
    assert_eq!(lane.times(), [0, 0, 0], "at once");
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_and_nothing_is_lost() {
    let lane = Fixture::start(once(), By::Keys).await;
    lane.say((0..4).map(|_| later(None)));
    lane.lane.push(&[Order::key("a")]);
    lane.rest(Duration::from_millis(150)).await;
    assert!(lane.lane.stats().is_failing);
    lane.lane.push(&[Order::key("b")]);
    lane.rest(Duration::from_secs(20)).await;
    let times = lane.times();
    // 100, 200, 400 and 800 ms, and the time to gather before each.
    for (at, expected) in times.iter().zip([0, 100, 300, 700, 1500]) {
        assert!((expected..expected + 40).contains(at), "{times:?}");
    }
    assert_eq!(lane.told().last(), Some(&keys(&["a", "b"])));
    let stats = lane.lane.stats();
    assert_eq!((stats.failed, stats.queued, stats.is_failing), (4, 0, false));
    assert!(stats.retried >= 4);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_says_when_to_come_back_is_left_alone_until_then() {
    let lane = Fixture::start(once(), By::Keys).await;
    lane.say([later(Some(7))]);
    lane.lane.push(&[Order::key("a")]);
    lane.rest(Duration::from_millis(6900)).await;
    assert_eq!(lane.times(), [0]);
    lane.rest(Duration::from_secs(1)).await;
    let times = lane.times();
    assert!(times.len() == 2 && times[1] >= 7000, "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_was_away_for_too_long_is_told_everything() {
    let lane = Fixture::start(once(), By::Keys).await;
    lane.say((0..12).map(|_| later(None)));
    lane.lane.push(&[Order::key("a")]);
    lane.rest(Duration::from_secs(50)).await;
    assert_eq!(lane.told().last(), Some(&keys(&["a"])), "not away for a minute yet");
    lane.rest(Duration::from_secs(300)).await;
    assert_eq!(lane.told().last(), Some(&everything()));
    let stats = lane.lane.stats();
    assert_eq!(
        (stats.overflows, stats.queued, stats.is_failing, stats.everything),
        (1, 0, false, 2)
    );
}

#[tokio::test(start_paused = true)]
async fn more_names_than_wait_become_everything() {
    let options = Options { capacity: 20, ..once() };
    let lane = Fixture::start(options, By::Keys).await;
    lane.lane.push(&orders(20));
    lane.rest(Duration::from_secs(1)).await;
    assert_eq!(lane.told().len(), 1);
    lane.lane.push(&orders(21));
    lane.rest(Duration::from_secs(1)).await;
    assert_eq!(lane.told()[1..], [everything()]);
    assert_eq!(lane.lane.stats().overflows, 1);
}

#[tokio::test(start_paused = true)]
async fn names_that_a_target_does_not_accept_become_everything() {
    let lane = Fixture::start(once(), By::Keys).await;
    lane.say([Verdict::Unacceptable(Failure::Status(StatusCode::BAD_REQUEST))]);
    lane.lane.push(&[Order::key("odd")]);
    lane.rest(Duration::from_secs(5)).await;
    assert_eq!(lane.told(), [keys(&["odd"]), everything()]);
    assert!(!lane.lane.stats().is_failing);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_refuses_is_asked_rarely_until_it_does_not() {
    let lane = Fixture::start(once(), By::Keys).await;
    lane.say((0..5).map(|_| Verdict::Refused(Failure::Status(StatusCode::FORBIDDEN))));
    lane.lane.push(&[Order::key("a")]);
    lane.rest(Duration::from_secs(29)).await;
    assert_eq!(lane.times(), [0]);
    lane.rest(Duration::from_secs(200)).await;
    assert_eq!(lane.times().len(), 6);
    assert_eq!(lane.told().last(), Some(&everything()), "it was away for too long");
}

#[tokio::test(start_paused = true)]
async fn what_may_have_crossed_an_answer_is_told_once_more() {
    let lane = Fixture::start(Options::default(), By::Keys).await;
    lane.lane.push(&[Order::key("a")]);
    lane.rest(Duration::from_secs(10)).await;
    assert_eq!(lane.told(), [keys(&["a"]), keys(&["a"])]);
    let times = lane.times();
    assert!((1000..1050).contains(&times[1]), "{times:?}");
    assert_eq!(lane.lane.stats().delays, 2, "repetitions do not count");
}

#[tokio::test(start_paused = true)]
async fn those_that_go_by_url_get_urls_or_everything() {
    let lane = Fixture::start(once(), By::Urls).await;
    let known = Order::Key {
        key: "k".into(),
        urls: Some(vec!["https://a.test/v1/db/T/1".into()]),
    };
    lane.lane.push(&[known.clone(), Order::url("https://a.test/x")]);
    lane.rest(Duration::from_secs(1)).await;
    let urls = json!({ "keys": [], "urls": ["https://a.test/v1/db/T/1", "https://a.test/x"], "everything": false });
    assert_eq!(lane.told(), [urls]);
    lane.lane.push(&[known, Order::key("class")]);
    lane.rest(Duration::from_secs(1)).await;
    assert_eq!(lane.told()[1..], [everything()]);
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_waits_is_sent_first() {
    let lane = Fixture::start(once(), By::Keys).await;
    lane.say([later(None)]);
    lane.lane.push(&orders(5000));
    lane.closing.send_replace(true);
    lane.task.await.unwrap();
    let n: usize = lane.wire.told.lock().unwrap()[1..]
        .iter()
        .map(|(_, data)| data["keys"].as_array().unwrap().len())
        .sum();
    assert_eq!((n, lane.lane.n_waiting()), (5000, 0));
}
