//! One delivery of one event to one receiver.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fb_auth::Principal;
use fb_functions::{CallError, CallKind};
use fb_outbound::Request;
use futures_util::FutureExt;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Map, Value, json};

use super::cause::caused_by;
use super::event::Event;
use super::lanes::{Entry, LaneKey};
use super::records::{entry_id, pending_event};
use super::signature::{key_of, sign};
use super::targets::Target;
use crate::functions::{CodeCaller, CodeType, on_request};
use crate::{App, AppError};

/// How long the receiver of a webhook may take, and how much of its answer is read.
const WEBHOOK_TIME: Duration = Duration::from_secs(15);
const WEBHOOK_ANSWER: usize = 16 << 10;

/// What became of a delivery.
pub(super) enum Delivered {
    Done,
    /// There is no such receiver any more, or no such event.
    Gone,
    /// The server is too busy; that is nobody's failure.
    Later,
    Failed(String),
    /// It would fail again.
    GivenUp(String),
}

/// A delivery that ended.
pub(super) struct Attempt {
    pub(super) key: LaneKey,
    pub(super) entry: Entry,
    pub(super) event: Option<Arc<Event>>,
    pub(super) outcome: Delivered,
}

pub(super) async fn attempt(app: Arc<App>, key: LaneKey, entry: Entry) -> Attempt {
    let mut event = entry.event.clone();
    let work = async {
        if event.is_none() {
            event = pending_event(app.store(), &entry_id(entry.seq, &key.0))
                .await?
                .map(Arc::new);
        }
        let Some(event) = &event else {
            return Ok(Delivered::Gone);
        };
        deliver(&app, &key.0, event, entry.failures + 1).await
    };
    let outcome = match AssertUnwindSafe(work).catch_unwind().await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => {
            tracing::warn!(app = %app.id(), error = %error, "an event could not be delivered");
            Delivered::Later
        }
        Err(_) => {
            tracing::error!(app = %app.id(), target = %key.0, "the delivery of an event panicked");
            Delivered::Failed("the server failed; its own log says more".into())
        }
    };
    Attempt {
        key,
        entry,
        event,
        outcome,
    }
}

async fn deliver(app: &Arc<App>, target: &str, event: &Event, attempt: u32) -> Result<Delivered, AppError> {
    match Target::parse(target) {
        Some(Target::Code(bucket, kind)) => call(app, (&bucket, kind), target, event, attempt).await,
        Some(Target::Webhook(name)) => Ok(post(app, &name, event).await),
        None => Ok(Delivered::Gone),
    }
}

async fn call(
    app: &Arc<App>,
    (bucket, kind): (&str, CodeType),
    target: &str,
    event: &Event,
    attempt: u32,
) -> Result<Delivered, AppError> {
    let sources = app.code().sources.load_full();
    if !sources.has(bucket, kind) {
        return Ok(Delivered::Gone);
    }
    if app.functions().api.get().is_none() {
        // The server is about to start.
        return Ok(Delivered::Later);
    }
    let caller = CodeCaller {
        principal: Principal::anonymous().as_code(),
        depth: 1,
        reads: None,
    };
    let mut told = event.told();
    told.insert("attempt".into(), json!(attempt));
    let input = Map::from_iter([("event".to_owned(), Value::Object(told))]);
    let mut chain = event.chain.clone();
    chain.push(target.to_owned());
    let run = app.run(&sources, caller, CallKind::After, (bucket, kind), input, Bytes::new());
    match caused_by(chain, on_request(Value::Null, run)).await {
        Ok(_) => Ok(Delivered::Done),
        Err(AppError::Code(error)) => Ok(match *error {
            CallError::Busy => Delivered::Later,
            CallError::NoCode { .. } => Delivered::Gone,
            error => Delivered::Failed(error.to_string()),
        }),
        Err(error) => Err(error),
    }
}

/// The body says the same in each attempt; so does the id, by which receivers know what they have had already.
async fn post(app: &Arc<App>, name: &str, event: &Event) -> Delivered {
    let settings = app.settings();
    let Some(webhook) = settings.webhooks.get(name).filter(|webhook| webhook.active) else {
        return Delivered::Gone;
    };
    let Some(key) = key_of(&webhook.secret) else {
        return Delivered::Failed("the webhook's secret cannot be read; set it anew".into());
    };
    let subject = match event.file.is_null() {
        true => "object",
        false => "file",
    };
    let body = json!({
        "type": format!("{subject}.{}", event.operation.as_str()),
        "timestamp": event.date,
        "data": event.told(),
    });
    let body = body.to_string();
    let id = format!("{}-{:x}-{name}", app.id(), event.stamp);
    let timestamp = app.clock().now().seconds();
    let Some(signature) = sign(&key, &id, timestamp, body.as_bytes()) else {
        return Delivered::Failed("the webhook's secret cannot be used; set it anew".into());
    };
    let mut request = Request::new(Method::POST, webhook.url.clone());
    let headers = [
        (header::CONTENT_TYPE, "application/json".to_owned()),
        (HeaderName::from_static("webhook-id"), id),
        (HeaderName::from_static("webhook-timestamp"), timestamp.to_string()),
        (HeaderName::from_static("webhook-signature"), signature),
    ];
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            request.headers.insert(name, value);
        }
    }
    request.body = body.into();
    let client = app.functions().outbound.with_limits(WEBHOOK_TIME, WEBHOOK_ANSWER);
    match client.send_for_status(request).await {
        Ok(status) if status.is_success() => Delivered::Done,
        Ok(StatusCode::GONE) => Delivered::GivenUp("the receiver answered 410, it wants no more of these".into()),
        Ok(status) => Delivered::Failed(format!("the receiver answered {}", status.as_u16())),
        Err(error) => Delivered::Failed(crate::functions::describe(&error)),
    }
}
