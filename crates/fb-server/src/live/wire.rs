//! Messages of clients, and errors as messages. Source: protocol 08, sections 2 and 3.

use fb_app::{Events, LiveWish, Matches, Operations, Resume};
use fb_types::Timestamp;
use serde_json::{Map, Value, json};

use crate::codes;
use crate::context::parse_json;
use crate::error::ApiError;

/// Longest name of a subscription, in bytes.
const ID_BYTES: usize = 256;

/// What a client asks for.
pub(super) enum Asked {
    Subscribe {
        id: String,
        token: Option<String>,
        wish: Box<LiveWish>,
    },
    Unsubscribe {
        id: String,
    },
}

/// Why a message was refused, and whose it was.
pub(super) struct Refused {
    pub(super) id: Option<String>,
    /// Boxed, for every message read comes with room for one.
    pub(super) error: Box<ApiError>,
}

/// Reads one message. Members that it does not know are left to the client.
pub(super) fn parse(text: &str) -> Result<Asked, Refused> {
    let message = parse_json(text.as_bytes(), "the message").map_err(|error| refused(None, error))?;
    let Value::Object(mut message) = message else {
        let error = ApiError::bad_request("A message must be a JSON object.");
        return Err(refused(None, error));
    };
    let id = match message.remove("id") {
        Some(Value::String(id)) if (1..=ID_BYTES).contains(&id.len()) => id,
        _ => {
            let text = format!("The id of a message must be a text of 1 to {ID_BYTES} bytes.");
            return Err(refused(None, ApiError::bad_request(text)));
        }
    };
    match read(&id, message) {
        Ok(asked) => Ok(asked),
        Err(error) => Err(refused(Some(id), error)),
    }
}

fn refused(id: Option<String>, error: ApiError) -> Refused {
    Refused {
        id,
        error: Box::new(error),
    }
}

fn read(id: &str, mut message: Map<String, Value>) -> Result<Asked, ApiError> {
    let id = id.to_owned();
    match message.get("type").and_then(Value::as_str) {
        Some("unsubscribe") => return Ok(Asked::Unsubscribe { id }),
        Some("subscribe") => {}
        _ => {
            return Err(ApiError::bad_request(
                "The type of a message must be subscribe or unsubscribe.",
            ));
        }
    }
    let bucket = match message.remove("bucket") {
        Some(Value::String(bucket)) => bucket,
        _ => return Err(ApiError::bad_request("bucket must be the name of a class.")),
    };
    let token = match message.remove("token") {
        None | Some(Value::Null) => None,
        Some(Value::String(token)) => Some(token),
        Some(_) => return Err(ApiError::bad_request("token must be a text or null.")),
    };
    let initial = match message.remove("initial") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(initial)) => initial,
        Some(_) => return Err(ApiError::bad_request("initial must be true or false.")),
    };
    let resume = match message.remove("resume") {
        None | Some(Value::Null | Value::Bool(false)) => Resume::Never,
        Some(Value::Bool(true)) => Resume::Possible,
        Some(Value::String(token)) => Resume::After(token),
        Some(_) => {
            return Err(ApiError::bad_request(
                "resume must be true, or the last message's token.",
            ));
        }
    };
    let wish = LiveWish {
        bucket,
        resume,
        filter: match language(message.remove("query"), "query", "the filter")? {
            Value::Null => json!({}),
            filter => filter,
        },
        sort: language(message.remove("sort"), "sort", "the sort order")?,
        offset: number(message.remove("offset"), "offset")?.unwrap_or(0),
        limit: number(message.remove("limit"), "limit")?,
        initial,
        events: Events {
            matches: matches(&words(message.remove("matchTypes"), "matchTypes")?)?,
            operations: operations(&words(message.remove("operations"), "operations")?)?,
        },
    };
    Ok(Asked::Subscribe {
        id,
        token,
        wish: Box::new(wish),
    })
}

/// A filter or sort order: the published clients send JSON as a text, by hand one rather writes it as it is.
fn language(value: Option<Value>, name: &str, what: &str) -> Result<Value, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(Value::Null),
        Some(Value::String(text)) => {
            parse_json(text.as_bytes(), what).map_err(|error| ApiError::new(codes::SYNTAX, error.message))
        }
        Some(value @ (Value::Object(_) | Value::Array(_))) => Ok(value),
        Some(_) => Err(ApiError::bad_request(format!(
            "{name} must be JSON, or a text with JSON."
        ))),
    }
}

fn number(value: Option<Value>, name: &str) -> Result<Option<u64>, ApiError> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(ApiError::bad_request(format!(
                "{name} must be a whole number, 0 or more."
            ))),
        },
    }
}

fn words(value: Option<Value>, name: &str) -> Result<Vec<String>, ApiError> {
    let refused = || ApiError::bad_request(format!("{name} must be an array of texts."));
    let values = match value {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(values)) => values,
        Some(_) => return Err(refused()),
    };
    values
        .into_iter()
        .map(|value| match value {
            Value::String(word) => Ok(word),
            _ => Err(refused()),
        })
        .collect()
}

/// Events by the names that URLs have, separated by commas.
pub(crate) fn events_of(match_types: Option<&str>, operation_names: Option<&str>) -> Result<Events, ApiError> {
    let split = |text: Option<&str>| -> Vec<String> {
        let words = text.unwrap_or("").split(',').map(str::trim);
        words.filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    Ok(Events {
        matches: matches(&split(match_types))?,
        operations: operations(&split(operation_names))?,
    })
}

/// None at all stands for all.
fn matches(names: &[String]) -> Result<Option<Matches>, ApiError> {
    let mut wanted = Matches::default();
    let mut is_all = names.is_empty();
    for name in names {
        match name.as_str() {
            "all" => is_all = true,
            "add" => wanted.add = true,
            "change" => wanted.change = true,
            "changeIndex" => wanted.change_index = true,
            "remove" => wanted.remove = true,
            "match" => wanted.any_match = true,
            _ => {
                let text = "matchTypes are all, or any of add, change, changeIndex, match, remove.";
                return Err(ApiError::bad_request(text));
            }
        }
    }
    Ok((!is_all).then_some(wanted))
}

fn operations(names: &[String]) -> Result<Option<Operations>, ApiError> {
    let mut wanted = Operations::default();
    let mut is_any = names.is_empty();
    for name in names {
        match name.as_str() {
            "any" => is_any = true,
            "insert" => wanted.insert = true,
            "update" => wanted.update = true,
            "delete" => wanted.delete = true,
            "none" => wanted.none = true,
            _ => {
                let text = "operations are any, or any of insert, update, delete, none.";
                return Err(ApiError::bad_request(text));
            }
        }
    }
    Ok((!is_any).then_some(wanted))
}

/// An error as a message; without an id it concerns no subscription that there is.
pub(super) fn error_message(id: Option<&str>, error: &ApiError, now: Timestamp) -> String {
    let mut message = Map::new();
    if let Some(id) = id {
        message.insert("id".into(), id.into());
    }
    message.insert("type".into(), "error".into());
    message.insert("date".into(), now.to_string().into());
    let error = json!({ "status": error.code.status, "reason": error.code.reason, "message": error.message });
    message.insert("error".into(), error);
    Value::Object(message).to_string()
}
