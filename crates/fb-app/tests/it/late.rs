//! Purges of results come late, and whoever tells caches of them knows how late.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, Weak};

use fb_app::caching::{LatePurges, PurgeSink};
use fb_app::{LiveSink, LiveSource, LiveText, LiveWritten};

use super::live::wish;
use super::results::{Ask, set};
use super::*;

/// Caches that are told of purges.
#[derive(Debug, Default)]
pub(crate) struct Caches {
    purged: Mutex<Vec<String>>,
    late: Mutex<Vec<Weak<LatePurges>>>,
    /// What becomes of the next purge of a name with this beginning; then of the next one.
    next: Mutex<VecDeque<(&'static str, Next)>>,
}

#[derive(Debug)]
enum Next {
    /// It says that it came, and waits.
    Hold(Sender<()>, Receiver<()>),
    Panic,
}

/// Something that is held up.
struct Gate {
    came: Receiver<()>,
    /// Opens it when dropped.
    _open: Sender<()>,
}

impl Gate {
    fn wait(&self) {
        self.came.recv_timeout(Duration::from_secs(60)).unwrap();
    }
}

impl PurgeSink for Caches {
    fn purge(&self, names: Vec<String>) {
        let next = {
            let mut next = self.next.lock().unwrap();
            next.pop_front_if(|(begin, _)| names.iter().any(|name| name.starts_with(*begin)))
        };
        match next {
            Some((_, Next::Hold(came, open))) => {
                came.send(()).unwrap();
                let _ = open.recv();
            }
            Some((_, Next::Panic)) => panic!("a fault for a test"),
            None => {}
        }
        self.purged.lock().unwrap().extend(names);
    }

    fn purge_all(&self) {}

    fn expect(&self, late: Weak<LatePurges>) {
        self.late.lock().unwrap().push(late);
    }
}

impl Caches {
    fn hold(&self, name: &'static str) -> Gate {
        let ((come, came), (_open, opened)) = (channel(), channel());
        self.next.lock().unwrap().push_back((name, Next::Hold(come, opened)));
        Gate { came, _open }
    }

    /// The app that promised something last.
    fn late(&self) -> Arc<LatePurges> {
        self.late.lock().unwrap().last().unwrap().upgrade().unwrap()
    }

    /// Names with this beginning that were purged, in their order.
    fn purged(&self, begin: &str) -> Vec<String> {
        let mut purged = self.purged.lock().unwrap().clone();
        purged.retain(|name| name.starts_with(begin));
        purged
    }
}

const QUERY: &str = "main/query/";
const RESULTS: &str = "~main/results";

async fn caught_up(it: &Fixture, late: &LatePurges) {
    // Else what waits since now would not be late.
    it.pass(1);
    let wait = async {
        while late.lag() > Duration::ZERO {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.unwrap();
}

/// Holds up who writes messages, which is the matcher, after it has matched.
#[derive(Debug)]
struct Slow(Mutex<Option<(Sender<()>, Receiver<()>)>>);

impl LiveSink for Slow {
    fn write(&self, _: &mut dyn Iterator<Item = &LiveText>) -> LiveWritten {
        if let Some((came, open)) = self.0.lock().unwrap().take() {
            came.send(()).unwrap();
            let _ = open.recv();
        }
        LiveWritten::All
    }
}

impl Fixture {
    /// Has the matcher do nothing until the gate is dropped, which has to be before the connection.
    async fn hold_matcher(&self) -> (fb_app::LiveConnection, Gate) {
        let connection = self.app.live_connection(LiveSource::default());
        let all = wish("Open", json!({ "n": 77 }));
        connection.subscribe("all", None, all).await.unwrap();
        // The first result is the connection's own to write.
        connection.next().await.unwrap();
        let ((come, came), (_open, opened)) = (channel(), channel());
        connection.write_through(Arc::new(Slow(Mutex::new(Some((come, opened))))));
        while futures_util::FutureExt::now_or_never(connection.next()).is_some() {}
        set(self, "held", json!({ "n": 77 })).await;
        let gate = Gate { came, _open };
        gate.wait();
        (connection, gate)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s40_a_write_is_late_from_its_acknowledgement_until_its_purge_was_told() {
    let it = Fixture::with_open().await;
    set(&it, "a", json!({ "n": 1 })).await;
    let ones = Ask::of(json!({ "n": 1 }));
    assert!(ones.kept(&it.app).await.is_purged);
    let late = it.caches.late();
    caught_up(&it, &late).await;
    let gate = it.caches.hold(QUERY);
    set(&it, "a", json!({ "n": 2 })).await;
    gate.wait();
    assert_eq!(it.caches.purged(QUERY).len(), 0);
    it.pass(1);
    assert_eq!(late.lag(), Duration::from_secs(1));
    it.pass(1);
    // None of its business, but it waits as well.
    set(&it, "b", json!({ "n": 5 })).await;
    assert_eq!(late.lag(), Duration::from_secs(2));
    drop(gate);
    caught_up(&it, &late).await;
    assert_eq!(it.caches.purged(QUERY).len(), 1);
    it.pass(1);
    assert_eq!(late.lag(), Duration::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_nobody_has_copies_of_is_not_late() {
    let it = Fixture::with_open().await;
    let ones = Ask::of(json!({ "n": 1 }));
    assert!(ones.kept(&it.app).await.is_purged);
    let late = it.caches.late();
    it.pass(super::caching::LIFE * 2);
    it.app.tend_caching().await.unwrap();
    // Live queries go on.
    let (_connection, gate) = it.hold_matcher().await;
    set(&it, "a", json!({ "n": 1 })).await;
    it.pass(1);
    assert_eq!(late.lag(), Duration::ZERO);
    drop(gate);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn while_nobody_waits_for_it_no_answer_relies_on_purges() {
    let it = Fixture::with_open().await;
    set(&it, "a", json!({ "n": 1 })).await;
    let ones = Ask::of(json!({ "n": 1 }));
    assert!(ones.kept(&it.app).await.is_purged);
    let late = it.caches.late();
    let (_connection, gate) = it.hold_matcher().await;
    set(&it, "a", json!({ "n": 2 })).await;
    it.pass(1);
    assert!(late.lag() >= Duration::from_secs(1), "{:?}", late.lag());
    late.wait_for(false);
    assert_eq!(it.caches.purged(RESULTS).len(), 1);
    let kept = ones.kept(&it.app).await;
    assert!(kept.lifetime.is_some() && !kept.is_purged);
    drop(gate);
    caught_up(&it, &late).await;
    late.wait_for(true);
    assert!(ones.kept(&it.app).await.is_purged);
}

/// What was read before may not show what nobody waits for.
#[tokio::test]
async fn an_answer_relies_on_purges_only_if_they_are_waited_for_before_it_is_read() {
    let it = Fixture::with_open().await;
    set(&it, "a", json!({ "n": 1 })).await;
    let ones = Ask::of(json!({ "n": 1 }));
    assert!(ones.kept(&it.app).await.is_purged);
    let late = it.caches.late();
    for is_taken_back in [false, true] {
        late.wait_for(false);
        let open = it.fault.hold();
        let mut kept = std::pin::pin!(ones.kept(&it.app));
        while it.fault.is_holding() {
            assert!(futures_util::poll!(kept.as_mut()).is_pending());
            tokio::task::yield_now().await;
        }
        if is_taken_back {
            late.wait_for(true);
        }
        drop(open);
        let kept = kept.await;
        assert!(kept.lifetime.is_some() && !kept.is_purged);
    }
    assert!(ones.kept(&it.app).await.is_purged);
}

/// What it had not matched, nobody will.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s40_a_matcher_that_panics_is_late_until_all_it_watched_is_purged() {
    let it = Fixture::with_open().await;
    set(&it, "a", json!({ "n": 1 })).await;
    let (ones, twos) = (Ask::of(json!({ "n": 1 })), Ask::of(json!({ "n": 2 })));
    for ask in [&ones, &twos] {
        assert!(ask.kept(&it.app).await.is_purged);
    }
    let late = it.caches.late();
    let (_connection, matcher) = it.hold_matcher().await;
    it.caches.next.lock().unwrap().push_back((QUERY, Next::Panic));
    let gate = it.caches.hold(QUERY);
    set(&it, "a", json!({ "n": 3 })).await;
    set(&it, "b", json!({ "n": 2 })).await;
    it.pass(1);
    drop(matcher);
    gate.wait();
    assert!(late.lag() >= Duration::from_secs(1), "{:?}", late.lag());
    drop(gate);
    caught_up(&it, &late).await;
    assert_eq!(it.caches.purged(QUERY).len(), 2);
    // It begins anew.
    while !twos.kept(&it.app).await.is_purged {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn s40_an_app_that_falls_asleep_takes_back_what_it_will_not_purge() {
    let it = Fixture::with_open().await;
    set(&it, "a", json!({ "n": 1 })).await;
    let ones = Ask::of(json!({ "n": 1 }));
    assert!(ones.kept(&it.app).await.is_purged);
    let late = it.caches.late();
    caught_up(&it, &late).await;
    let gate = it.caches.hold(QUERY);
    set(&it, "a", json!({ "n": 2 })).await;
    gate.wait();
    let taken_back = it.caches.hold(RESULTS);
    let apps = it.apps.clone();
    let closing = tokio::spawn(async move { apps.close().await });
    taken_back.wait();
    // Neither is purged yet.
    it.pass(1);
    assert_eq!(late.lag(), Duration::from_secs(1));
    drop(taken_back);
    drop(gate);
    closing.await.unwrap();
    assert_eq!(late.lag(), Duration::ZERO);
    assert_eq!(it.caches.purged(RESULTS).len(), 1);

    let app = it.apps.by_name("main").await.unwrap().unwrap();
    assert!(ones.kept(&app).await.is_purged);
    assert!(!Arc::ptr_eq(&late, &it.caches.late()));
}
