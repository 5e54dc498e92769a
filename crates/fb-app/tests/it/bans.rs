//! Bans of sources that make too many requests: how long they last, and who lifts them.

use std::net::IpAddr;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[tokio::test]
async fn s18_a_ban_ends_with_its_time_and_survives_sleep() {
    let it = Fixture::new().await;
    it.set(json!({ "requestLimit": { "requests": 3, "seconds": 300, "banSeconds": 1800 } }))
        .await;
    for _ in 0..3 {
        it.app.count_visit(ip("192.0.2.1")).unwrap();
    }
    assert!(it.app.ban_of(ip("192.0.2.1")).is_none());
    match it.app.count_visit(ip("192.0.2.1")) {
        Err(AppError::Banned(banned)) => assert_eq!(banned.retry_after, 1800),
        other => panic!("{other:?}"),
    }
    it.app.count_visit(ip("192.0.2.2")).unwrap();
    it.apps.close().await;
    let app = it.apps.by_name("main").await.unwrap().unwrap();
    it.pass(1799);
    assert!(matches!(app.count_visit(ip("192.0.2.1")), Err(AppError::Banned(_))));
    it.pass(1);
    app.count_visit(ip("192.0.2.1")).unwrap();
}

#[tokio::test]
async fn s18_administrators_lift_bans_one_by_one_or_all() {
    let it = Fixture::new().await;
    it.set(json!({ "requestLimit": { "requests": 1, "seconds": 300, "banSeconds": 1800 } }))
        .await;
    let addresses = ["192.0.2.1", "192.0.2.2", "2001:db8::1"].map(ip);
    for address in addresses {
        it.app.count_visit(address).unwrap();
        it.app.count_visit(address).unwrap_err();
    }
    let stranger = fb_auth::Principal::anonymous();
    let refused = it.app.lift_bans(&stranger, None).await;
    assert!(matches!(refused, Err(AppError::Denied(_))));
    it.app.lift_bans(&it.admin.principal, Some(addresses[0])).await.unwrap();
    assert!(it.app.ban_of(addresses[0]).is_none() && it.app.ban_of(addresses[1]).is_some());
    it.app.lift_bans(&it.admin.principal, None).await.unwrap();
    assert!(addresses.iter().all(|address| it.app.ban_of(*address).is_none()));
    let lifted = json!({ "action": "bans.lifted" });
    let n = it
        .app
        .count(&it.admin.principal, "logs.AuditLog", &lifted)
        .await
        .unwrap();
    assert_eq!(n, 2);
}

#[tokio::test]
async fn the_limit_follows_the_profile_unless_it_is_set() {
    let it = Fixture::new().await;
    assert_eq!(it.app.settings().request_limit().requests, 6000);
    it.set(json!({ "requestLimit": { "requests": 0, "seconds": 1, "banSeconds": 1 } }))
        .await;
    (0..7000).for_each(|_| it.app.count_visit(ip("192.0.2.1")).unwrap());
    it.set(json!({ "requestLimit": null })).await;
    assert_eq!(it.app.settings().request_limit().requests, 6000);
    assert_eq!(fb_app::Settings::new(Profile::Baqend).request_limit().requests, 0);
    for bad in [
        json!({ "requests": 1, "seconds": 0, "banSeconds": 1 }),
        json!({ "requests": 1, "seconds": 1, "banSeconds": 604_801 }),
        json!({ "requests": 1 }),
    ] {
        let settings = json!({ "requestLimit": bad });
        let refused = it
            .app
            .update_settings(&it.admin.principal, settings.as_object().unwrap())
            .await;
        assert!(matches!(refused, Err(AppError::Invalid(_))), "{settings}");
    }
}
