//! Sinks that break, and those that write.

use super::*;

/// Panics when it is told to write.
struct Broken;

impl LiveSink for Broken {
    fn write(&self, _: &mut dyn Iterator<Item = &LiveText>) -> LiveWritten {
        panic!("broken for a test");
    }
}

/// All begin anew, as after a change of the schema, and those who do are told again.
#[tokio::test]
async fn live_queries_survive_a_panic_of_their_task() {
    let it = Fixture::with_docs().await;
    let (mut one, mut other) = (it.client().await, it.client().await);
    one.subscribe(None, wish("Doc", json!({}))).await;
    other.subscribe(None, wish("Doc", json!({}))).await;
    for client in [&mut one, &mut other] {
        client.catch_up(&it).await;
    }
    one.connection.write_through(Arc::new(Broken));
    // Only for who has written all it got, and asks for more, is anything written.
    while one.connection.next().now_or_never().is_some() {}
    it.put("1", json!({ "n": 1 })).await;
    for client in [&one, &other] {
        let end = loop {
            if let Err(end) = client.connection.next().await {
                break end;
            }
        };
        assert_eq!(end, LiveEnd::Reset);
    }
    drop((one, other));
    let mut again = it.client().await;
    let number = again.subscribe(None, wish("Doc", json!({}))).await;
    it.put("2", json!({ "n": 2 })).await;
    again.catch_up(&it).await;
    assert_eq!(again.told[number].events.len(), 1);
    assert_eq!(again.told[number].result.len(), 2);
}

/// Takes messages without anybody's turn.
#[derive(Default)]
struct Taking(std::sync::Mutex<Vec<String>>);

impl LiveSink for Taking {
    fn write(&self, messages: &mut dyn Iterator<Item = &LiveText>) -> LiveWritten {
        let texts = messages.map(|text| String::from_utf8(text.parts().concat()).unwrap());
        self.0.lock().unwrap().extend(texts);
        LiveWritten::All
    }
}

#[tokio::test]
async fn messages_are_written_through_a_sink_until_the_connection_ends() {
    let it = Fixture::with_docs().await;
    let connection = it.app.live_connection(LiveSource::default());
    let sink = Arc::new(Taking::default());
    connection.write_through(sink.clone());
    connection.subscribe("all", None, wish("Doc", json!({}))).await.unwrap();
    for n in 0..300 {
        it.put("1", json!({ "n": n })).await;
    }
    // Behind them all.
    it.app.live_stats().await;
    let mut other = it.client().await;
    other.catch_up(&it).await;
    let numbers: Vec<Value> = {
        let texts = sink.0.lock().unwrap();
        let messages = texts.iter().map(|text| serde_json::from_str::<Value>(text).unwrap());
        messages.map(|message| message["data"]["n"].clone()).collect()
    };
    assert_eq!(numbers.len(), 301);
    assert_eq!(numbers[1..], (0..300).map(Value::from).collect::<Vec<_>>());
    assert!(connection.next().now_or_never().is_none());
    drop(connection);
    assert_eq!(Arc::strong_count(&sink), 1);
}
