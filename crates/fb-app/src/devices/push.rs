//! Sending a message to devices: what is checked before the answer. Delivery is in `deliver`.

use std::sync::Arc;

use fb_auth::{Principal, authorize_code};
use fb_push::{Message, MessageError};
use fb_types::schema::DEVICE;
use fb_types::{ObjectId, ObjectKey};
use serde_json::{Map, Value};

use crate::{App, AppError};

/// Most devices of one request.
const MAX_DEVICES: usize = 5000;

impl App {
    /// Sends a message to the devices that it names, for administrators and the app's own code. Returns as soon as it is
    /// queued; it is lost if the server ends before it is delivered. What goes wrong later is in the app's log.
    pub fn push(self: &Arc<Self>, caller: &Principal, message: &Map<String, Value>) -> Result<(), AppError> {
        authorize_code(caller, "send push messages")?;
        let devices = devices(message)?;
        let message = Message::from_json(message).map_err(|error| match error {
            MessageError::TooLarge { .. } => AppError::TooLarge(error.to_string()),
            other => AppError::Invalid(other.to_string()),
        })?;
        self.shared().deliveries.add(self, devices, message)
    }
}

/// The devices, each once, in their order.
fn devices(message: &Map<String, Value>) -> Result<Vec<ObjectKey>, AppError> {
    let invalid = |text: String| AppError::Invalid(text);
    let Some(Value::Array(list)) = message.get("devices") else {
        return Err(invalid(
            "devices must be an array of ids like /db/Device/<key>".to_owned(),
        ));
    };
    if list.is_empty() || list.len() > MAX_DEVICES {
        return Err(invalid(format!(
            "devices must name 1 to {MAX_DEVICES} devices, found {}",
            list.len()
        )));
    }
    let mut keys = indexmap::IndexSet::with_capacity(list.len());
    for id in list {
        let id: ObjectId = id.as_str().unwrap_or_default().parse()?;
        if id.class().as_str() != DEVICE {
            return Err(invalid(format!("{id} is no device")));
        }
        keys.insert(id.key().clone());
    }
    Ok(keys.into_iter().collect())
}
