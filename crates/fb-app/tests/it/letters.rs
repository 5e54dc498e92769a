//! Mails that administrators and code write.

use fb_app::Letter;
use fb_auth::Principal;

use super::*;

fn letter(changes: Value) -> Letter {
    let mut whole = json!({ "to": "bob@example.com", "subject": "Hello", "text": "Hello, Bob" });
    for (name, value) in changes.as_object().unwrap() {
        whole[name] = value.clone();
    }
    serde_json::from_value(whole).unwrap()
}

impl Fixture {
    fn send(&self, changes: Value) -> Result<Vec<String>, AppError> {
        self.app.send_letter(&self.admin.principal, letter(changes))
    }

    /// The caught mails, once there are so many, the oldest first.
    async fn mails(&self, n: usize) -> Vec<Arc<fb_mail::Caught>> {
        loop {
            let mut mails = self.catcher.list("main");
            if mails.len() >= n {
                mails.reverse();
                return mails;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn each_recipient_gets_a_message_that_names_no_other() {
    let it = Fixture::new().await;
    let to = json!({ "to": ["bob@example.com", "eve@example.com", "bob@example.com"], "fromName": "The shop", "html": "<b>Hello</b>" });
    let ids = it.send(to).unwrap();
    assert!(ids.len() == 2 && ids[0] != ids[1], "{ids:?}");
    let mails = it.mails(2).await;
    let mut to: Vec<&str> = mails.iter().map(|mail| mail.to.as_str()).collect();
    to.sort_unstable();
    assert_eq!(to, ["bob@example.com", "eve@example.com"]);
    for mail in &mails {
        assert_eq!(mail.from, "The shop <app@example.com>");
        assert_eq!(
            (mail.subject.as_str(), mail.html.as_deref()),
            ("Hello", Some("<b>Hello</b>"))
        );
    }
    it.set(json!({ "name": "Shop", "mail": { "from": "shop@example.com" } }))
        .await;
    it.send(json!({ "from": "Shop@example.com" })).unwrap();
    assert_eq!(it.mails(3).await[2].from, "Shop <shop@example.com>");
}

#[tokio::test]
async fn s35_no_field_of_a_mail_makes_a_header_or_another_sender() {
    let it = Fixture::new().await;
    for attack in [
        "x\r\nBcc: eve@example.net",
        "x\nBcc: eve@example.net",
        "x\rBcc: eve@example.net",
        "x\u{85}y",
        "x\u{2028}y",
        "x\0",
    ] {
        let address = format!("bob@example.com{}", &attack[1..]);
        for changes in [
            json!({ "subject": attack }),
            json!({ "fromName": attack }),
            json!({ "to": address }),
            json!({ "to": ["bob@example.com", address] }),
            json!({ "replyTo": address }),
            json!({ "from": format!("app@example.com{}", &attack[1..]) }),
        ] {
            let refused = it.send(changes.clone());
            assert!(matches!(refused, Err(AppError::Invalid(_))), "{changes}: {refused:?}");
        }
    }
    for changes in [
        json!({ "from": "eve@example.net" }),
        json!({ "from": "Eve <app@example.com>" }),
        json!({ "to": "Bob <bob@example.com>" }),
        json!({ "to": "bob@example.com, eve@example.net" }),
        json!({ "to": "bob" }),
        json!({ "replyTo": "" }),
    ] {
        assert!(
            matches!(it.send(changes.clone()), Err(AppError::Invalid(_))),
            "{changes}"
        );
    }
    // Bodies may hold anything, and nothing in them is a placeholder.
    let text = "Hi {{username}} {{link}} ${7*7} <%= x %>\r\n.\r\nQUIT\r\nBcc: eve@example.net";
    it.send(json!({ "subject": "{{app}}", "text": text, "html": text }))
        .unwrap();
    let mail = it.mails(1).await[0].clone();
    assert_eq!(
        (mail.subject.as_str(), mail.text.as_str(), mail.html.as_deref()),
        ("{{app}}", text, Some(text))
    );
    assert_eq!(it.catcher.list("main").len(), 1);
    let unknown =
        json!({ "to": "bob@example.com", "subject": "x", "text": "x", "headers": { "Bcc": "eve@example.net" } });
    serde_json::from_value::<Letter>(unknown).unwrap_err();
}

#[tokio::test]
async fn only_administrators_and_code_send_and_code_so_many_per_hour() {
    let it = Fixture::new().await;
    let stranger = Principal::anonymous();
    let refused = it.app.send_letter(&stranger, letter(json!({})));
    assert!(matches!(refused, Err(AppError::Denied(_))), "{refused:?}");
    it.set(json!({ "mail": { "perHour": 5 } })).await;
    let code = stranger.as_code();
    let two = || letter(json!({ "to": ["a@example.com", "b@example.com"] }));
    let one = || letter(json!({}));
    it.app.send_letter(&code, two()).unwrap();
    it.app.send_letter(&code, two()).unwrap();
    // All recipients or none, and those that were refused do not count.
    for _ in 0..2 {
        match it.app.send_letter(&code, two()) {
            Err(AppError::TooManyAttempts(refused)) => assert_eq!(refused.retry_after, 3600),
            other => panic!("{other:?}"),
        }
    }
    it.app.send_letter(&code, one()).unwrap();
    it.app.send_letter(&code, one()).unwrap_err();
    it.send(json!({})).unwrap();
    it.pass(HOUR);
    it.app.send_letter(&code, two()).unwrap();
    assert_eq!(it.mails(8).await.len(), 8);
}

#[tokio::test]
async fn mails_are_bounded() {
    let it = Fixture::new().await;
    let many = |n: usize| (0..n).map(|n| format!("{n}@example.com")).collect::<Vec<_>>();
    for to in [many(0), many(51)] {
        assert!(matches!(it.send(json!({ "to": to })), Err(AppError::Invalid(_))));
    }
    let large = "x".repeat(128 << 10);
    let refused = it.send(json!({ "to": many(33), "text": large }));
    assert!(matches!(refused, Err(AppError::TooLarge(_))), "{refused:?}");
    assert!(matches!(
        it.send(json!({ "text": large.clone() + "x" })),
        Err(AppError::Invalid(_))
    ));
    assert!(matches!(
        it.send(json!({ "subject": "x".repeat(501) })),
        Err(AppError::Invalid(_))
    ));
    assert!(it.catcher.list("main").is_empty());
    it.send(json!({ "to": many(50) })).unwrap();
    assert_eq!(it.mails(50).await.len(), 50);
}
