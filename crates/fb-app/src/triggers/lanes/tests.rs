use super::*;

fn key(target: &str, object: &str) -> LaneKey {
    (target.into(), object.into())
}

fn entry(seq: u64) -> Entry {
    let event = Event {
        operation: super::super::targets::EventKind::Insert,
        id: String::new(),
        version: 1,
        object: Default::default(),
        file: Default::default(),
        seq,
        date: String::new(),
        stamp: seq,
        chain: Vec::new(),
    };
    Entry {
        seq,
        due: 0,
        failures: 0,
        event: Some(Arc::new(event)),
    }
}

fn written_down(seq: u64) -> Entry {
    Entry {
        event: None,
        ..entry(seq)
    }
}

fn started(lanes: &mut Lanes, now: i64) -> Vec<(LaneKey, u64)> {
    let mut all = Vec::new();
    while let Some((key, entry)) = lanes.start(now) {
        all.push((key, entry.seq));
    }
    all
}

#[test]
fn events_of_one_object_follow_each_other_and_others_do_not_wait() {
    let mut lanes = Lanes::default();
    let (a, b) = (key("t", "a"), key("t", "b"));
    lanes.add(a.clone(), entry(1));
    lanes.add(a.clone(), entry(2));
    lanes.add(b.clone(), entry(3));
    assert_eq!(started(&mut lanes, 0), [(a.clone(), 1), (b.clone(), 3)]);
    lanes.finish(&b);
    assert_eq!((started(&mut lanes, 0), lanes.oldest_open("t")), (vec![], Some(1)));
    lanes.finish(&a);
    assert_eq!(started(&mut lanes, 0), [(a.clone(), 2)]);
    lanes.finish(&a);
    assert_eq!((lanes.oldest_open("t"), lanes.lanes.len()), (None, 0));
}

#[test]
fn what_failed_waits_for_its_time_and_what_is_behind_it_waits_along() {
    let mut lanes = Lanes::default();
    let (a, b) = (key("t", "a"), key("t", "b"));
    lanes.add(a.clone(), entry(1));
    lanes.add(a.clone(), entry(2));
    lanes.start(0).unwrap();
    assert!(!lanes.is_blocked(&a));
    assert_eq!(lanes.open_of(&a).len(), 2);
    lanes.wrote_down(&a);
    lanes.again(&a, 1000, 1);
    assert!(lanes.is_blocked(&a));
    lanes.add(b.clone(), entry(3));
    assert_eq!(started(&mut lanes, 999), [(b.clone(), 3)]);
    assert_eq!(
        (lanes.oldest_open("t"), lanes.n_written_down(), lanes.next_due()),
        (Some(3), 2, Some(1000))
    );
    assert_eq!(started(&mut lanes, 1000), [(a.clone(), 1)]);
    lanes.finish(&a);
    assert_eq!(started(&mut lanes, 1000), [(a.clone(), 2)]);
    lanes.finish(&a);
    lanes.finish(&b);
    assert_eq!((lanes.n_open(), lanes.n_written_down(), lanes.next_due()), (0, 0, None));
}

#[test]
fn a_receiver_that_hangs_leaves_places_to_the_next_ones() {
    let mut lanes = Lanes::default();
    let mut seq = 0;
    let mut running = Vec::new();
    for target in ["first", "second", "third"] {
        for n in 0..AT_ONCE {
            seq += 1;
            lanes.add(key(target, &n.to_string()), entry(seq));
        }
        running.push(started(&mut lanes, 0).len());
    }
    assert_eq!(running, [8, 4, 2]);
    // A place that becomes free is for whoever has the fewest.
    lanes.finish(&key("first", "0"));
    assert_eq!(started(&mut lanes, 0)[0].0.0.as_ref(), "third");
}

#[test]
fn a_receiver_that_fails_gets_one_event_at_a_time_until_it_takes_one() {
    let mut lanes = Lanes::default();
    for n in 0..8 {
        lanes.add(key("t", &n.to_string()), entry(n));
    }
    assert_eq!(started(&mut lanes, 0).len(), 8);
    for n in 0..8 {
        let key = key("t", &n.to_string());
        lanes.failed(&key, 5);
        lanes.again(&key, 10, 1);
    }
    assert_eq!(
        (lanes.next_due(), lanes.failing_since(&key("t", "new"))),
        (Some(10), Some(5))
    );
    assert_eq!(started(&mut lanes, 10), [(key("t", "0"), 0)]);
    // Nothing is due before the one that runs is back.
    assert_eq!(lanes.next_due(), None);
    lanes.succeeded(&key("t", "0"));
    lanes.finish(&key("t", "0"));
    assert_eq!(started(&mut lanes, 10).len(), 7);
    assert_eq!(lanes.failing_since(&key("t", "new")), None);
    assert_eq!(
        lanes.failing_since(&key("t", "1")),
        Some(5),
        "of this object it took none"
    );
}

#[test]
fn a_receiver_that_is_full_leaves_room_to_others_and_is_read_for_when_much_was_delivered() {
    let mut lanes = Lanes::default();
    let mut n = 0;
    while lanes.has_room("slow") {
        n += 1;
        lanes.add(key("slow", "a"), entry(n));
    }
    assert_eq!(n, 64);
    assert!(lanes.has_room("other"));
    lanes.start(0).unwrap();
    lanes.finish(&key("slow", "a"));
    assert!(!lanes.has_room("slow"));
    while lanes.oldest_open("slow").is_some_and(|oldest| oldest <= 32) {
        lanes.start(0).unwrap();
        lanes.finish(&key("slow", "a"));
    }
    assert!(lanes.has_room("slow"));
    for n in 0..WRITTEN_DOWN as u64 {
        assert!(lanes.has_room("failing"), "{n}");
        lanes.add(key("failing", "a"), written_down(n));
    }
    assert!(!lanes.has_room("failing"));
    assert!(lanes.has_room("other"));
}
