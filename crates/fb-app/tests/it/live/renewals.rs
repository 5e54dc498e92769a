//! Results that have to be read again.

use super::*;

impl Fixture {
    /// A client with the five first and the five last of a hundred objects, and with all of them, the first of which have been deleted until
    /// the five first had to be read again.
    async fn after_a_renewal(&self, panics: usize, errors: usize) -> Client {
        for n in 0..100 {
            self.put(&n.to_string(), json!({ "n": n })).await;
        }
        let mut client = self.client().await;
        for sort in [json!({ "n": 1 }), json!({ "n": -1 }), Value::Null] {
            let limit = (!sort.is_null()).then_some(5);
            let wish = LiveWish {
                sort,
                limit,
                ..wish("Doc", json!({}))
            };
            client.subscribe(None, wish).await;
        }
        client.catch_up(self).await;
        self.fault.plan(panics, errors);
        let mut n = 0;
        while self.fault.n_reads() == 0 {
            self.drop(&n.to_string()).await;
            client.catch_up(self).await;
            n += 1;
        }
        self.put("100", json!({ "n": -1 })).await;
        client
    }

    async fn first_five(&self) -> Vec<Value> {
        let first = LiveWish {
            sort: json!({ "n": 1 }),
            limit: Some(5),
            ..wish("Doc", json!({}))
        };
        self.ask(&Principal::anonymous(), &first).await
    }
}

#[tokio::test]
async fn a_result_that_cannot_be_read_again_at_once_is_read_later() {
    let it = Fixture::with_docs().await;
    let mut client = it.after_a_renewal(1, 2).await;
    while it.fault.n_reads() < 4 {
        client.catch_up(&it).await;
    }
    for n in 40..90 {
        it.drop(&n.to_string()).await;
    }
    let expected = it.first_five().await;
    while client.told[0].result != expected {
        client.catch_up(&it).await;
    }
    assert!(client.told.iter().all(|told| told.error.is_none()));
}

#[tokio::test]
async fn a_result_that_cannot_be_read_again_at_all_ends_and_no_other_does() {
    let it = Fixture::with_docs().await;
    let mut client = it.after_a_renewal(1, 5).await;
    while client.told[0].error.is_none() {
        client.catch_up(&it).await;
    }
    assert!(matches!(client.told[0].error, Some(AppError::Busy { .. })));
    assert_eq!(it.fault.n_reads(), 6);
    it.put("101", json!({ "n": 101 })).await;
    client.catch_up(&it).await;
    for told in &client.told[1..] {
        assert_eq!(told.last()["data"]["n"], 101);
    }
    // Whoever asks again is served.
    let again = LiveWish {
        sort: json!({ "n": 1 }),
        limit: Some(5),
        ..wish("Doc", json!({}))
    };
    let again = client.subscribe(None, again).await;
    client.catch_up(&it).await;
    assert_eq!(client.told[again].result, it.first_five().await);
}
