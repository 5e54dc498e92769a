//! `/index/{bucket}`: declared indexes.

use fb_store::{Direction, IndexDef, IndexKey};
use serde_json::{Map, Value, json};

use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/index/{bucket}" list_indexes, "List the indexes of a class", Access::Admin,
            answers: &[(200, Some("IndexList"))]),
        route!(POST "/index/{bucket}" create_drop_index, "Create an index, or drop it (\"drop\": true)", Access::Admin,
            body: "Index", answers: &[(202, None)]),
        route!(DELETE "/index/{bucket}" drop_all_indexes, "Drop all indexes but the one on the id", Access::Admin,
            answers: &[(202, None)]),
    ]
}

async fn list_indexes(ctx: Ctx) -> Result<Reply, ApiError> {
    let indexes = ctx.app.list_indexes(&ctx.caller()?, &ctx.bucket()?).await?;
    let list: Vec<Value> = indexes.iter().map(to_json).collect();
    Ok(Reply::json(200, &json!(list)))
}

async fn create_drop_index(mut ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let body = ctx.json_object().await?;
    let bucket = ctx.bucket()?;
    let index = from_json(&body)?;
    match body.get("drop") {
        Some(Value::Bool(true)) => ctx.app.drop_index(&caller, &bucket, &index).await?,
        None | Some(Value::Bool(false) | Value::Null) => ctx.app.create_index(&caller, &bucket, index).await?,
        Some(_) => return Err(ApiError::bad_request("drop must be true or false.")),
    }
    Ok(Reply::empty(202))
}

async fn drop_all_indexes(ctx: Ctx) -> Result<Reply, ApiError> {
    ctx.app.drop_indexes(&ctx.caller()?, &ctx.bucket()?).await?;
    Ok(Reply::empty(202))
}

fn to_json(index: &IndexDef) -> Value {
    let keys: Vec<Value> = index
        .keys
        .iter()
        .map(|key| json!({ key.path.as_str(): key.direction.as_str() }))
        .collect();
    json!({ "unique": index.unique, "keys": keys })
}

fn from_json(body: &Map<String, Value>) -> Result<IndexDef, ApiError> {
    let bad = |text: &str| ApiError::bad_request(text);
    let unique = match body.get("unique") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(unique)) => *unique,
        Some(_) => return Err(bad("unique must be true or false.")),
    };
    let Some(Value::Array(list)) = body.get("keys") else {
        return Err(bad("keys must be an array like [{\"name\": \"asc\"}]."));
    };
    let mut keys = Vec::with_capacity(list.len());
    for element in list {
        let mut members = element.as_object().into_iter().flatten();
        let (Some((path, direction)), None) = (members.next(), members.next()) else {
            return Err(bad(
                "Each element of keys must be an object with one member, like {\"name\": \"asc\"}.",
            ));
        };
        let direction = match direction.as_str() {
            Some("asc") => Direction::Asc,
            Some("desc") => Direction::Desc,
            Some("geo") => Direction::Geo,
            _ => return Err(bad("The type of an index must be asc, desc or geo.")),
        };
        keys.push(IndexKey {
            path: path.clone(),
            direction,
        });
    }
    Ok(IndexDef { unique, keys })
}
