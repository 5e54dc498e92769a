//! `/triggers`: how far the delivery of events is, and what was given up.

use fb_app::{DeadLetter, TriggerState};
use fb_types::Timestamp;
use http::header;
use serde_json::{Value, json};

use crate::context::Ctx;
use crate::error::ApiError;
use crate::reply::Reply;
use crate::route::{Access, Route, route};

/// Dead letters of one page, if the request does not say.
const PAGE: usize = 50;

const PAGING: &[(&str, &str)] = &[
    ("after", "The `next` of the page before"),
    ("count", "At most so many, 1 to 200; 50 if it is not given"),
];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/triggers" trigger_state, "How far the delivery of events to triggers and webhooks is", Access::Admin,
            answers: &[(200, Some("Anything"))]),
        route!(GET "/triggers/dead" list_dead_letters, "Events that were given up, oldest first", Access::Admin,
            query: PAGING, answers: &[(200, Some("Anything"))]),
        route!(DELETE "/triggers/dead" delete_dead_letters, "Delete all events that were given up", Access::Admin,
            answers: &[(200, Some("Count"))]),
        route!(POST "/triggers/dead/replay" replay_dead_letters, "Deliver all events anew that were given up",
            Access::Admin, answers: &[(200, Some("Count"))]),
        route!(GET "/triggers/dead/{id}" get_dead_letter, "One event that was given up, as its receiver would get it",
            Access::Admin, answers: &[(200, Some("Anything"))]),
        route!(DELETE "/triggers/dead/{id}" delete_dead_letter, "Delete an event that was given up", Access::Admin,
            answers: &[(204, None)]),
        route!(POST "/triggers/dead/{id}/replay" replay_dead_letter, "Deliver an event anew that was given up",
            Access::Admin, answers: &[(204, None)]),
    ]
}

fn private(value: &Value) -> Reply {
    Reply::json(200, value).header(header::CACHE_CONTROL, "private, no-store")
}

async fn trigger_state(ctx: Ctx) -> Result<Reply, ApiError> {
    let TriggerState {
        receivers,
        cursor,
        newest,
        lag,
        running,
        pending,
        next_due,
        dead,
        delivered,
        failed,
        given_up,
        lost,
    } = ctx.app.trigger_state(&ctx.caller()?).await?;
    let next_due = next_due.map(|millis| Timestamp::from_millis(millis).to_string());
    Ok(private(&json!({
        "receivers": receivers,
        "cursor": cursor,
        "newest": newest,
        "lag": lag,
        "running": running,
        "pending": pending,
        "nextDue": next_due,
        "dead": dead,
        "delivered": delivered,
        "failed": failed,
        "givenUp": given_up,
        "lost": lost,
    })))
}

async fn list_dead_letters(ctx: Ctx) -> Result<Reply, ApiError> {
    let caller = ctx.caller()?;
    let after = ctx.request.query("after")?;
    let count = ctx.request.number("count")?.unwrap_or(PAGE);
    let page = ctx.app.dead_letters(&caller, after.as_deref(), count).await?;
    let letters: Vec<Value> = page.letters.iter().map(letter).collect();
    Ok(private(&json!({ "letters": letters, "next": page.next })))
}

async fn get_dead_letter(ctx: Ctx) -> Result<Reply, ApiError> {
    let (found, event) = ctx.app.dead_letter(&ctx.caller()?, &ctx.request.param("id")?).await?;
    let mut shown = letter(&found);
    shown["event"] = event;
    Ok(private(&shown))
}

async fn replay_dead_letter(ctx: Ctx) -> Result<Reply, ApiError> {
    ctx.app
        .replay_dead_letter(&ctx.caller()?, &ctx.request.param("id")?)
        .await?;
    Ok(Reply::empty(204))
}

async fn replay_dead_letters(ctx: Ctx) -> Result<Reply, ApiError> {
    let count = ctx.app.replay_dead_letters(&ctx.caller()?).await?;
    Ok(private(&json!({ "count": count })))
}

async fn delete_dead_letter(ctx: Ctx) -> Result<Reply, ApiError> {
    ctx.app
        .delete_dead_letter(&ctx.caller()?, &ctx.request.param("id")?)
        .await?;
    Ok(Reply::empty(204))
}

async fn delete_dead_letters(ctx: Ctx) -> Result<Reply, ApiError> {
    let count = ctx.app.delete_dead_letters(&ctx.caller()?).await?;
    Ok(private(&json!({ "count": count })))
}

fn letter(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "receiver": letter.receiver,
        "object": letter.subject,
        "operation": letter.operation,
        "seq": letter.seq,
        "date": letter.date,
        "failedAt": letter.failed_at,
        "attempts": letter.attempts,
        "error": letter.error,
    })
}
