//! Buckets.

use fb_types::{ClassAcl, Permission, RuleMap};
use serde_json::{Map, Value, json};

use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;

pub(super) async fn list_buckets(ctx: Ctx) -> Result<Reply, ApiError> {
    let names = ctx.app.list_buckets(&ctx.caller()?).await?;
    let ids: Vec<String> = names.iter().map(|name| format!("/file/{name}")).collect();
    Ok(Reply::json(200, &json!(ids)))
}

pub(super) async fn get_bucket(ctx: Ctx) -> Result<Reply, ApiError> {
    let rules = ctx.app.bucket_rules(&ctx.caller()?, &ctx.bucket_name()?).await?;
    let mut body = Map::new();
    for permission in Permission::DATA {
        let rules = rules.rules(permission).cloned().unwrap_or_else(RuleMap::default);
        body.insert(permission.as_str().to_owned(), json!(rules));
    }
    Ok(Reply::json(200, &Value::Object(body)))
}

pub(super) async fn put_bucket(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let name = ctx.bucket_name()?;
    let body = ctx.json_object().await?;
    let rules = ClassAcl::from_json(&Value::Object(body), &format!("bucket {name}"))?;
    ctx.app.set_bucket(&caller, &name, rules).await?;
    Ok(Reply::empty(204))
}

pub(super) async fn delete_bucket(ctx: Ctx) -> Result<Reply, ApiError> {
    ctx.app.delete_bucket(&ctx.caller()?, &ctx.bucket_name()?).await?;
    Ok(Reply::empty(204))
}
