//! What edges are told of what is not for everybody.

use fb_app::caching::{Guarded, LONGEST_PRIVATE, Shown};
use fb_app::schema::SchemaEdit;
use fb_types::ClassDef;

use super::*;

impl Fixture {
    async fn with_doc() -> Self {
        let it = Self::new().await;
        let def = json!({ "class": "/db/Doc", "fields": {}, "acl": { "load": { "/db/Role/3": "allow" } } });
        let edit = SchemaEdit::Merge(ClassDef::from_json(&def).unwrap());
        it.app.edit_schema(&it.admin.principal, vec![edit]).await.unwrap();
        let object = json!({ "id": "/db/Doc/1" });
        let object = object.as_object().unwrap();
        it.app.insert(&it.admin.principal, "Doc", object).await.unwrap();
        it
    }

    async fn for_edge(&self, token: &str) -> Result<Option<Guarded>, AppError> {
        let session = self.app.authenticate(token).await?;
        let key = ObjectKey::from_raw("1").unwrap();
        let found = self
            .app
            .load_for_edge(&session, Shown::Header(token), "Doc", &key)
            .await?;
        Ok(found.map(|(_, guarded)| guarded))
    }
}

#[tokio::test]
async fn s26_edges_are_told_what_a_token_is_worth_for_no_longer_than_it_lives() {
    let it = Fixture::with_doc().await;
    it.ann(true).await;
    let short = it.login(false).await.unwrap();
    let told = it.for_edge(token(&short)).await.unwrap().unwrap();
    assert_eq!(told.seconds, LONGEST_PRIVATE.as_secs());
    it.pass(DAY - 100);
    assert_eq!(it.for_edge(token(&short)).await.unwrap().unwrap().seconds, 100);
    it.pass(99);
    assert_eq!(it.for_edge(token(&short)).await.unwrap().unwrap().seconds, 1);
    it.pass(1);
    assert!(matches!(it.for_edge(token(&short)).await, Err(AppError::BadToken)));
}

#[tokio::test]
async fn s39_edges_are_told_who_may_have_it_and_by_what_it_is_purged() {
    let it = Fixture::with_doc().await;
    let ann = it.ann(true).await;
    let told = it.for_edge(token(&ann)).await.unwrap().unwrap();
    assert_eq!(told.names, ["~main", "~main/class/Doc", "~main/db/Doc/1"]);
    assert_eq!(told.caller_names, ["~main", "~main/rights", "~main/user/2"]);
    let caller = told.caller.principal().unwrap();
    assert!(told.rules.permit(&caller) && !told.rules.permit(&fb_auth::Principal::anonymous()));
    // The server's own classes are nobody's to keep.
    let session = it.app.authenticate(token(&ann)).await.unwrap();
    let key = session.claims.user.key().clone();
    let own = it
        .app
        .load_for_edge(&session, Shown::Header(token(&ann)), "User", &key)
        .await;
    assert!(own.unwrap().is_none());
}
