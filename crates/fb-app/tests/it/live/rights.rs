//! Who is told what, and who is not any more.

use super::*;

#[tokio::test]
async fn s06_an_object_that_becomes_unreadable_is_removed_with_its_id_alone() {
    let it = Fixture::with_docs().await;
    it.put("1", json!({ "n": 1 })).await;
    let mut client = it.client().await;
    let all = client.subscribe(None, wish("Doc", json!({}))).await;
    it.put("1", json!({ "n": 2, "acl": { "read": { "/db/Role/1": "allow" } } }))
        .await;
    it.put("1", json!({ "n": 3, "acl": { "read": { "/db/Role/1": "allow" } } }))
        .await;
    it.put("2", json!({ "n": 4, "acl": { "read": { "/db/Role/1": "allow" } } }))
        .await;
    client.catch_up(&it).await;
    let told = &client.told[all];
    assert_eq!(told.events.len(), 1);
    assert_eq!(told.last()["matchType"], "remove");
    assert_eq!(told.last()["data"], json!({ "id": "/db/Doc/1" }));
}

#[tokio::test]
async fn s07_fields_that_may_not_be_read_are_in_no_message() {
    let it = Fixture::with_docs().await;
    it.put("1", json!({ "n": 1, "secret": "psst" })).await;
    let mut client = it.client().await;
    let all = client.subscribe(None, wish("Doc", json!({}))).await;
    it.put("1", json!({ "n": 2, "secret": "hush" })).await;
    client.catch_up(&it).await;
    let told = &client.told[all];
    assert_eq!(told.last()["data"]["n"], 2);
    assert_eq!(told.last()["data"].get("secret"), None);
    let refused = client
        .connection
        .subscribe("x", None, wish("Doc", json!({ "secret": "psst" })))
        .await;
    assert!(matches!(refused, Err(AppError::Denied(_))), "{refused:?}");
}

#[tokio::test]
async fn s42_who_loses_a_role_stops_seeing() {
    let it = Fixture::with_docs().await;
    let ann = token(&it.ann(true).await).to_owned();
    let root = &it.admin.principal;
    let role = json!({ "name": "staff", "users": ["/db/User/2"] });
    let role = it.app.insert(root, "Role", role.as_object().unwrap()).await.unwrap();
    let staff = role.key().clone();
    let for_staff = json!({ "read": { format!("/db/Role/{staff}"): "allow" } });
    it.put("1", json!({ "acl": for_staff })).await;
    it.put("2", json!({})).await;
    let mut client = it.client().await;
    let all = client.subscribe(Some(&ann), wish("Doc", json!({}))).await;
    let top = LiveWish {
        sort: json!({ "createdAt": 1 }),
        limit: Some(1),
        ..wish("Doc", json!({}))
    };
    let top = client.subscribe(Some(&ann), top).await;
    client.catch_up(&it).await;
    assert_eq!(client.told[all].result.len(), 2);
    assert_eq!(client.told[top].result[0]["id"], "/db/Doc/1");
    let nobody = json!({ "$set": { "users": [] } });
    it.app
        .update_partially(root, "Role", &staff, Condition::None, &nobody)
        .await
        .unwrap();
    while client.told[all].events.is_empty() || client.told[top].events.is_empty() {
        client.catch_up(&it).await;
    }
    assert_eq!(client.told[all].events.len(), 1);
    assert_eq!(client.told[all].last()["matchType"], "remove");
    assert_eq!(client.told[all].last()["data"], json!({ "id": "/db/Doc/1" }));
    assert_eq!(client.told[top].result.len(), 1);
    assert_eq!(client.told[top].result[0]["id"], "/db/Doc/2");
    it.put("1", json!({ "n": 5, "acl": for_staff })).await;
    client.catch_up(&it).await;
    assert_eq!(client.told[all].events.len(), 1);
}

#[tokio::test]
async fn s42_a_token_that_is_revoked_ends_its_subscriptions() {
    let it = Fixture::with_docs().await;
    let ann = token(&it.ann(true).await).to_owned();
    let mut client = it.client().await;
    let mine = client.subscribe(Some(&ann), wish("Doc", json!({}))).await;
    let other = client.subscribe(None, wish("Doc", json!({}))).await;
    let key = ObjectKey::from_raw("2").unwrap();
    it.app.revoke_tokens(&it.admin.principal, None, &key).await.unwrap();
    while client.told[mine].error.is_none() {
        client.catch_up(&it).await;
    }
    assert!(matches!(client.told[mine].error, Some(AppError::BadToken)));
    it.put("1", json!({})).await;
    client.catch_up(&it).await;
    assert_eq!(client.told[mine].events.len(), 0);
    assert_eq!(client.told[other].events.len(), 1);
    let again = client
        .connection
        .subscribe("x", Some(ann.as_str()), wish("Doc", json!({})))
        .await;
    assert!(matches!(again, Err(AppError::BadToken)), "{again:?}");
}

/// A role that may read a field makes the field appear, and leaving it makes it disappear.
#[tokio::test]
async fn who_gains_or_loses_the_right_to_a_field_is_told_the_objects_again() {
    let it = Fixture::with_docs().await;
    it.put("1", json!({ "n": 1, "secret": "x" })).await;
    let ann = token(&it.ann(true).await).to_owned();
    let sorted = LiveWish {
        sort: json!({ "n": 1 }),
        ..wish("Doc", json!({}))
    };
    let mut client = it.client().await;
    for wish in [wish("Doc", json!({})), sorted] {
        client.subscribe(Some(&ann), wish).await;
    }
    client.catch_up(&it).await;
    assert_eq!(client.told[0].result[0].get("secret"), None);
    let (root, role) = (&it.admin.principal, ObjectKey::from_raw("1").unwrap());
    let members = [
        (json!(["/db/User/1", "/db/User/2"]), Some(json!("x"))),
        (json!(["/db/User/1"]), None),
    ];
    for (users, secret) in members {
        let change = json!({ "$set": { "users": users } });
        it.app
            .update_partially(root, "Role", &role, Condition::None, &change)
            .await
            .unwrap();
        while client
            .told
            .iter()
            .any(|told| told.result[0].get("secret") != secret.as_ref())
        {
            for message in client.connection.next().await.unwrap() {
                client.take_in(message);
            }
        }
    }
    assert_eq!(client.told[1].events.len(), 2);
    assert!(client.told[1].events.iter().all(|event| event["matchType"] == "change"));
}
