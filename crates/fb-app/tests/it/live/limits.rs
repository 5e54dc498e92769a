//! What live queries may cost.

use super::*;

/// A client that does not read gets no second large result before it has read the first one.
#[tokio::test]
async fn first_results_wait_for_a_client_that_reads_and_too_large_ones_are_refused_alone() {
    let it = Fixture::with_docs().await;
    let long = "x".repeat(600_000);
    for key in ["1", "2", "3"] {
        it.put(key, json!({ "n": 1, "s": long })).await;
    }
    let connection = it.app.live_connection(LiveSource::default());
    connection.subscribe("0", None, wish("Doc", json!({}))).await.unwrap();
    let mut second = Box::pin(connection.subscribe("1", None, wish("Doc", json!({}))));
    for _ in 0..50 {
        assert!(second.as_mut().now_or_never().is_none());
        it.app.live_stats().await;
    }
    assert_eq!(connection.next().await.unwrap().len(), 1);
    second.await.unwrap();
    assert_eq!(connection.next().await.unwrap().len(), 1);
    for key in 4..12 {
        it.put(&key.to_string(), json!({ "n": 2, "s": long })).await;
    }
    for wish in [
        wish("Doc", json!({})),
        LiveWish {
            sort: json!({ "n": 1 }),
            ..wish("Doc", json!({}))
        },
    ] {
        let _ = connection.next().now_or_never();
        let refused = connection.subscribe("2", None, wish).await;
        assert!(
            matches!(&refused, Err(AppError::NotLive(why)) if why.contains("MiB")),
            "{refused:?}"
        );
    }
    assert_eq!(connection.len(), 2);
}

#[tokio::test]
async fn s44_what_the_live_queries_of_an_address_cost_has_a_limit() {
    let it = Fixture::with_docs().await;
    let few = LiveSource {
        clients_per_address: 1,
        ..LiveSource::default()
    };
    let connection = it.app.live_connection(few);
    let subscribe = |i: usize, wish: LiveWish| {
        let (connection, name) = (&connection, i.to_string());
        async move { connection.subscribe(&name, None, wish).await }
    };
    // Filters: 128 KiB.
    let names: Vec<String> = (0..400).map(|i| format!("some name or other {i}")).collect();
    let mut n = 0;
    let refused = loop {
        let filter = json!({ "s": { "$in": names }, "n": n });
        let begun = subscribe(n, wish("Doc", filter)).await;
        let _ = connection.next().now_or_never();
        match begun {
            Ok(()) => n += 1,
            Err(error) => break error,
        }
    };
    assert!((5..20).contains(&n), "{n}");
    assert!(
        matches!(&refused, AppError::TooManySubscriptions(why) if why.contains("bytes of filters")),
        "{refused}"
    );
    // Nobody else is concerned, and what ends is free again.
    let other = it.app.live_connection(LiveSource {
        address: "192.0.2.1".parse().unwrap(),
        ..few
    });
    other
        .subscribe("x", None, wish("Doc", json!({ "s": { "$in": names } })))
        .await
        .unwrap();
    for i in 0..n {
        connection.unsubscribe(&i.to_string());
    }
    it.app.live_stats().await;
    // Objects in windows: 16 MiB.
    let long = "x".repeat(500_000);
    for key in 0..10 {
        it.put(&key.to_string(), json!({ "n": 1, "s": long })).await;
    }
    let mut n = 0;
    let refused = loop {
        let window = LiveWish {
            sort: json!({ "n": 1 }),
            initial: false,
            ..wish("Doc", json!({ "n": { "$gt": -1 - i64::try_from(n).unwrap() } }))
        };
        let begun = subscribe(n, window).await;
        let _ = connection.next().now_or_never();
        match begun {
            Ok(()) => n += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(n, 3);
    assert!(
        matches!(&refused, AppError::TooManySubscriptions(why) if why.contains("windows")),
        "{refused}"
    );
}

/// What is resumed goes on costing what it cost.
#[tokio::test]
async fn s44_coming_back_makes_nothing_cheaper() {
    let it = Fixture::with_docs().await;
    let few = LiveSource {
        clients_per_address: 1,
        ..LiveSource::default()
    };
    let names: Vec<String> = (0..400).map(|i| format!("some name or other {i}")).collect();
    let heavy = |n: usize, resume: Resume| LiveWish {
        resume,
        ..wish("Doc", json!({ "s": { "$in": names }, "n": n }))
    };
    let first = it.app.live_connection(few);
    let mut tokens = Vec::new();
    while first
        .subscribe(&tokens.len().to_string(), None, heavy(tokens.len(), Resume::Possible))
        .await
        .is_ok()
    {
        let message = first.next().await.unwrap().pop().unwrap();
        let LiveMessage::Text(text) = message else {
            panic!("{message:?}")
        };
        tokens.push(text.resume.unwrap());
    }
    assert!((5..20).contains(&tokens.len()), "{}", tokens.len());
    drop(first);
    let second = it.app.live_connection(few);
    for (n, token) in tokens.iter().enumerate() {
        let again = heavy(n, Resume::After(token.clone()));
        second.subscribe(&n.to_string(), None, again).await.unwrap();
    }
    assert_eq!(it.app.live_stats().await.subscriptions, tokens.len());
    let more = second.subscribe("more", None, heavy(1000, Resume::Possible)).await;
    assert!(matches!(more, Err(AppError::TooManySubscriptions(_))), "{more:?}");
    for n in 0..tokens.len() {
        second.unsubscribe(&n.to_string());
    }
    it.app.live_stats().await;
    second
        .subscribe("more", None, heavy(1000, Resume::Possible))
        .await
        .unwrap();
}
