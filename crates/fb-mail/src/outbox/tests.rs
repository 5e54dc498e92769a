use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::{BoxFuture, Content, Sender};

/// Answers each try as a script says, by the message's subject, and reports every try.
struct Scripted {
    answer: fn(&str, u32) -> Answer,
    tries: Mutex<HashMap<String, u32>>,
    at_once: AtomicU64,
    most_at_once: AtomicU64,
    reports: mpsc::UnboundedSender<(String, Instant)>,
}

enum Answer {
    Ok,
    Later,
    Never,
    Panic,
    /// Takes this long, then `Ok`.
    Slow(Duration),
    /// Takes forever.
    Hang,
}

impl Mailer for Scripted {
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<(), MailError>> {
        Box::pin(async move {
            let subject = message.subject().to_owned();
            self.reports.send((subject.clone(), Instant::now())).unwrap();
            let n = {
                let mut tries = lock(&self.tries);
                let n = tries.entry(subject.clone()).or_default();
                *n += 1;
                *n
            };
            let now = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
            self.most_at_once.fetch_max(now, Ordering::Relaxed);
            let outcome = match (self.answer)(&subject, n) {
                Answer::Ok => Ok(()),
                Answer::Later => Err(MailError::Unavailable {
                    reason: "451 later".into(),
                }),
                Answer::Never => Err(MailError::Rejected {
                    reason: "550 no".into(),
                }),
                Answer::Panic => panic!("as the script says"),
                Answer::Slow(time) => {
                    tokio::time::sleep(time).await;
                    Ok(())
                }
                Answer::Hang => std::future::pending().await,
            };
            self.at_once.fetch_sub(1, Ordering::Relaxed);
            outcome
        })
    }
}

struct Bench {
    outbox: Outbox,
    mailer: Arc<Scripted>,
    reports: mpsc::UnboundedReceiver<(String, Instant)>,
}

impl Bench {
    fn new(options: OutboxOptions, answer: fn(&str, u32) -> Answer) -> Self {
        let (sender, reports) = mpsc::unbounded_channel();
        let mailer = Arc::new(Scripted {
            answer,
            tries: Mutex::default(),
            at_once: AtomicU64::new(0),
            most_at_once: AtomicU64::new(0),
            reports: sender,
        });
        Self {
            outbox: Outbox::start(Arc::clone(&mailer) as Arc<dyn Mailer>, options),
            mailer,
            reports,
        }
    }

    fn post(&self, origin: &str, subject: &str) -> Result<(), Full> {
        self.outbox.post(message(origin, subject, ""))
    }

    /// Lets (paused) time pass until nothing waits.
    async fn settle(&self) -> Counters {
        while self.outbox.counters().waiting > 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.outbox.counters()
    }
}

fn message(origin: &str, subject: &str, text: &str) -> Message {
    let content = Content {
        subject: subject.into(),
        text: text.into(),
        html: None,
    };
    Message::new(
        origin,
        Sender::new(None, "a@example.org").unwrap(),
        "bob@example.com",
        content,
    )
    .unwrap()
}

fn counters(sent: u64, failed: u64, retried: u64) -> Counters {
    Counters {
        sent,
        failed,
        retried,
        ..Counters::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_is_sent_once() {
    let bench = Bench::new(OutboxOptions::default(), |_, _| Answer::Ok);
    bench.post("todo", "1").unwrap();
    assert_eq!(bench.outbox.counters().waiting, 1);
    assert_eq!(bench.settle().await, counters(1, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_rejected_message_is_given_up_at_once() {
    let bench = Bench::new(OutboxOptions::default(), |_, _| Answer::Never);
    bench.post("todo", "1").unwrap();
    assert_eq!(bench.settle().await, counters(0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn temporary_failures_are_tried_again_after_growing_pauses() {
    let mut bench = Bench::new(OutboxOptions::default(), |_, _| Answer::Later);
    bench.post("todo", "1").unwrap();
    assert_eq!(bench.settle().await, counters(0, 1, 23));
    let mut pauses = Vec::new();
    let (_, mut last) = bench.reports.recv().await.unwrap();
    while let Ok((_, at)) = bench.reports.try_recv() {
        pauses.push((at - last).as_secs());
        last = at;
    }
    let mut expected = vec![1, 2, 4, 8, 16, 32, 64, 128, 256];
    expected.resize(23, 300);
    assert_eq!(pauses, expected);
}

#[tokio::test(start_paused = true)]
async fn a_message_gets_through_when_the_server_is_back() {
    let bench = Bench::new(
        OutboxOptions::default(),
        |_, n| if n < 4 { Answer::Later } else { Answer::Ok },
    );
    bench.post("todo", "1").unwrap();
    assert_eq!(bench.settle().await, counters(1, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waits_for_its_next_try_holds_up_no_other() {
    let options = OutboxOptions {
        concurrent: 1,
        ..OutboxOptions::default()
    };
    let bench = Bench::new(
        options,
        |subject, _| if subject == "stuck" { Answer::Later } else { Answer::Ok },
    );
    let started = Instant::now();
    bench.post("todo", "stuck").unwrap();
    bench.post("todo", "other").unwrap();
    while bench.outbox.counters().sent == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn at_most_four_are_sent_at_once() {
    let bench = Bench::new(OutboxOptions::default(), |_, _| Answer::Slow(Duration::from_secs(2)));
    for n in 0..50 {
        bench.post("todo", &n.to_string()).unwrap();
    }
    assert_eq!(bench.settle().await, counters(50, 0, 0));
    assert_eq!(bench.mailer.most_at_once.load(Ordering::Relaxed), 4);
}

#[tokio::test(start_paused = true)]
async fn one_app_cannot_fill_the_outbox() {
    let bench = Bench::new(OutboxOptions::default(), |_, _| Answer::Hang);
    for n in 0..100 {
        bench.post("loud", &n.to_string()).unwrap();
    }
    assert_eq!(bench.post("loud", "one more"), Err(Full::Origin));
    for app in 0..9 {
        for n in 0..100 {
            bench.post(&format!("app-{app}"), &n.to_string()).unwrap();
        }
    }
    assert_eq!(bench.post("late", "1"), Err(Full::All));
    let counters = bench.outbox.counters();
    assert_eq!((counters.waiting, counters.refused), (1000, 2));
}

#[tokio::test(start_paused = true)]
async fn large_messages_count_by_their_size() {
    let options = OutboxOptions {
        max_bytes: 250_000,
        max_bytes_per_origin: 150_000,
        ..OutboxOptions::default()
    };
    let bench = Bench::new(options, |_, _| Answer::Slow(Duration::from_secs(1)));
    let large = |origin: &str| message(origin, "large", &"x".repeat(100_000));
    bench.outbox.post(large("a")).unwrap();
    assert_eq!(bench.outbox.post(large("a")), Err(Full::Origin));
    bench.outbox.post(large("b")).unwrap();
    assert_eq!(bench.outbox.post(large("c")), Err(Full::All));
    bench.post("a", "small").unwrap();
    bench.settle().await;
    // Nothing is remembered of apps without messages.
    assert!(lock(&bench.outbox.shared.load).is_empty());
    bench.outbox.post(large("a")).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_message_and_its_place_is_free_again() {
    let options = OutboxOptions {
        concurrent: 1,
        max_waiting: 2,
        ..OutboxOptions::default()
    };
    let bench = Bench::new(
        options,
        |subject, _| if subject == "bad" { Answer::Panic } else { Answer::Ok },
    );
    bench.post("todo", "bad").unwrap();
    bench.post("todo", "good").unwrap();
    assert_eq!(bench.settle().await, counters(1, 1, 0));
    bench.post("todo", "1").unwrap();
    bench.post("todo", "2").unwrap();
    assert_eq!(bench.settle().await, counters(3, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn closing_tries_everything_once_more_without_pauses() {
    let bench = Bench::new(OutboxOptions::default(), |subject, n| match (subject, n) {
        ("back", 10..) | ("slow", _) => Answer::Slow(Duration::from_secs(1)),
        _ => Answer::Later,
    });
    for subject in ["back", "away", "slow"] {
        bench.post("todo", subject).unwrap();
    }
    // Nine tries are over after 255 seconds; the tenth would be 256 seconds later.
    tokio::time::sleep(Duration::from_secs(260)).await;
    let started = Instant::now();
    assert_eq!(bench.outbox.close(Duration::from_secs(10)).await, 1);
    assert_eq!(started.elapsed().as_secs(), 1);
    let counters = bench.outbox.counters();
    assert_eq!((counters.sent, counters.failed, counters.waiting), (2, 1, 0));
    assert_eq!(bench.post("todo", "late"), Err(Full::Closed));
    assert_eq!(bench.outbox.close(Duration::from_secs(10)).await, 0);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_in_time() {
    let bench = Bench::new(OutboxOptions::default(), |_, _| Answer::Hang);
    for n in 0..7 {
        bench.post("todo", &n.to_string()).unwrap();
    }
    let started = Instant::now();
    assert_eq!(bench.outbox.close(Duration::from_secs(3)).await, 7);
    assert_eq!(started.elapsed().as_secs(), 3);
    let counters = bench.outbox.counters();
    assert_eq!((counters.failed, counters.waiting), (7, 0));
}

#[test]
fn pauses_do_not_overflow() {
    let options = OutboxOptions {
        first_pause: Duration::MAX,
        longest_pause: Duration::MAX,
        ..OutboxOptions::default()
    };
    assert_eq!(options.pause(1), Duration::MAX);
    assert_eq!(options.pause(1000), Duration::MAX);
    assert_eq!(OutboxOptions::default().pause(u32::MAX), Duration::from_mins(5));
}
