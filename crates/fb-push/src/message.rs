//! The message that apps send, and what it looks like to each push service.

use serde_json::{Map, Value, json};

use crate::encrypt::MAX_PLAIN;

/// Largest message to browsers in bytes of JSON: what fits into the 4096 bytes that every push service takes.
pub const MAX_WEB: usize = MAX_PLAIN;
/// Largest message to Firebase in bytes of JSON, without the token.
pub const MAX_FCM: usize = 4096;
/// Largest message to Apple in bytes of JSON.
pub const MAX_APNS: usize = 4096;

/// What the members of a message hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    TextOrNumber,
    Count,
    Flag,
    Numbers,
    Anything,
}

/// Source: protocol 09, section 4.1.
const MEMBERS: [(&str, Kind); 17] = [
    ("subject", Kind::Text),
    ("message", Kind::Text),
    ("sound", Kind::Text),
    ("badge", Kind::TextOrNumber),
    ("data", Kind::Anything),
    ("icon", Kind::Text),
    ("image", Kind::Text),
    ("actions", Kind::Anything),
    ("dir", Kind::Text),
    ("tag", Kind::Text),
    ("vibrate", Kind::Numbers),
    ("renotify", Kind::Flag),
    ("requireInteraction", Kind::Flag),
    ("silent", Kind::Flag),
    ("nativeBadge", Kind::Count),
    ("webBadge", Kind::Text),
    ("ttl", Kind::Count),
];

/// Longest time for which push services keep messages, in seconds: four weeks.
const MAX_TTL: u64 = 28 * 24 * 3600;

/// A message, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Message(Map<String, Value>);

/// A message cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// A member holds something else than it should.
    #[error("`{member}` of a push message must be {expected}")]
    Member {
        /// The member.
        member: &'static str,
        /// What it holds.
        expected: &'static str,
    },
    /// A push service would not take it.
    #[error(
        "the push message has {bytes} bytes as {service} gets it, at most {limit} are possible; send an id and let the app load the rest"
    )]
    TooLarge {
        /// Which one.
        service: &'static str,
        /// Its length there.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

impl Message {
    /// Takes the members that the protocol knows and ignores others; `null` is the same as absent. Fails if the message is
    /// too large for any service, whatever devices it is for, so that the same message always works.
    pub fn from_json(json: &Map<String, Value>) -> Result<Self, MessageError> {
        let mut members = Map::new();
        for (member, kind) in MEMBERS {
            let Some(value) = json.get(member).filter(|value| !value.is_null()) else {
                continue;
            };
            let (fits, expected) = match kind {
                Kind::Text => (value.is_string(), "a string"),
                Kind::TextOrNumber => (value.is_string() || value.is_number(), "a string or a number"),
                Kind::Count => (value.as_u64().is_some(), "a number, 0 or more"),
                Kind::Flag => (value.is_boolean(), "true or false"),
                Kind::Numbers => {
                    let numbers = value.as_array();
                    (
                        numbers.is_some_and(|all| all.iter().all(Value::is_number)),
                        "an array of numbers",
                    )
                }
                Kind::Anything => (true, ""),
            };
            if !fits {
                return Err(MessageError::Member { member, expected });
            }
            members.insert(member.to_owned(), value.clone());
        }
        let message = Self(members);
        for (service, bytes, limit) in [
            ("a browser", message.for_web().len(), MAX_WEB),
            ("Firebase", message.for_fcm("").to_string().len(), MAX_FCM),
            ("Apple", message.for_apns().to_string().len(), MAX_APNS),
        ] {
            if bytes > limit {
                return Err(MessageError::TooLarge { service, bytes, limit });
            }
        }
        Ok(message)
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.0.get(member)?.as_str()
    }

    /// Seconds for which the service keeps the message for a device that is not reachable.
    pub(crate) fn ttl(&self) -> u64 {
        let given = self.0.get("ttl").and_then(Value::as_u64);
        given.unwrap_or(MAX_TTL).min(MAX_TTL)
    }

    /// The number on the app's icon.
    fn native_badge(&self) -> Option<u64> {
        let badge = self.0.get("nativeBadge").or_else(|| self.0.get("badge"));
        badge.and_then(Value::as_u64)
    }

    /// JSON with the members as they were sent, for the app's service worker.
    pub(crate) fn for_web(&self) -> String {
        let mut members = self.0.clone();
        members.shift_remove("ttl");
        Value::Object(members).to_string()
    }

    /// The body of a request to Firebase. Its data are texts: other values are sent as their JSON, and data that are no
    /// object as the member `data`.
    pub(crate) fn for_fcm(&self, token: &str) -> Value {
        let mut message = json!({ "token": token });
        let mut notification = Map::new();
        for (name, member) in [("title", "subject"), ("body", "message"), ("image", "image")] {
            if let Some(text) = self.text(member) {
                notification.insert(name.to_owned(), json!(text));
            }
        }
        if !notification.is_empty() {
            message["notification"] = Value::Object(notification);
        }
        let as_text = |value: &Value| match value {
            Value::String(text) => json!(text),
            other => json!(other.to_string()),
        };
        match self.0.get("data") {
            Some(Value::Object(data)) => {
                let texts = data.iter().map(|(name, value)| (name.clone(), as_text(value)));
                message["data"] = Value::Object(texts.collect());
            }
            Some(data) => message["data"] = json!({ "data": as_text(data) }),
            None => {}
        }
        let mut android = Map::new();
        if let Some(sound) = self.text("sound") {
            android.insert("sound".to_owned(), json!(sound));
        }
        if let Some(badge) = self.native_badge() {
            android.insert("notification_count".to_owned(), json!(badge));
        }
        let mut config = json!({ "ttl": format!("{}s", self.ttl()) });
        if !android.is_empty() {
            config["notification"] = Value::Object(android);
        }
        message["android"] = config;
        json!({ "message": message })
    }

    /// True if a person is to notice the message; others only wake the app up.
    pub(crate) fn is_visible(&self) -> bool {
        let shown = ["subject", "message", "sound"]
            .iter()
            .any(|name| self.0.contains_key(*name));
        shown || self.native_badge().is_some()
    }

    /// The body of a request to Apple. The app finds the data as the member `data`.
    pub(crate) fn for_apns(&self) -> Value {
        let mut aps = Map::new();
        let mut alert = Map::new();
        for (name, member) in [("title", "subject"), ("body", "message")] {
            if let Some(text) = self.text(member) {
                alert.insert(name.to_owned(), json!(text));
            }
        }
        if !alert.is_empty() {
            aps.insert("alert".to_owned(), Value::Object(alert));
        }
        if let Some(sound) = self.text("sound") {
            aps.insert("sound".to_owned(), json!(sound));
        }
        if let Some(badge) = self.native_badge() {
            aps.insert("badge".to_owned(), json!(badge));
        }
        if !self.is_visible() {
            aps.insert("content-available".to_owned(), json!(1));
        }
        let mut payload = json!({ "aps": aps });
        if let Some(data) = self.0.get("data") {
            payload["data"] = data.clone();
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(json: Value) -> Result<Message, MessageError> {
        Message::from_json(json.as_object().unwrap())
    }

    #[test]
    fn each_service_gets_the_members_in_its_own_form() {
        let full = message(json!({
            "devices": ["/db/Device/1"], "message": "Hi", "subject": "News", "sound": "default", "badge": 5,
            "data": { "id": 7, "name": "x", "list": [1] }, "icon": "/i.png", "image": "https://x/i.png", "tag": "t",
            "vibrate": [1, 2], "silent": false, "renotify": null, "unknown": 1, "ttl": 60,
        }))
        .unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&full.for_web()).unwrap(),
            json!({ "subject": "News", "message": "Hi", "sound": "default", "badge": 5,
                "data": { "id": 7, "name": "x", "list": [1] }, "icon": "/i.png", "image": "https://x/i.png", "tag": "t",
                "vibrate": [1, 2], "silent": false })
        );
        assert_eq!(
            full.for_fcm("tok"),
            json!({ "message": { "token": "tok",
                "notification": { "title": "News", "body": "Hi", "image": "https://x/i.png" },
                "data": { "id": "7", "name": "x", "list": "[1]" },
                "android": { "ttl": "60s", "notification": { "sound": "default", "notification_count": 5 } } } })
        );
        assert_eq!(
            full.for_apns(),
            json!({ "aps": { "alert": { "title": "News", "body": "Hi" }, "sound": "default", "badge": 5 },
                "data": { "id": 7, "name": "x", "list": [1] } })
        );
    }

    #[test]
    fn data_alone_wakes_the_app_up_without_a_notification() {
        let quiet = message(json!({ "data": "x", "badge": "/badge.png" })).unwrap();
        assert!(!quiet.is_visible());
        assert_eq!(
            quiet.for_apns(),
            json!({ "aps": { "content-available": 1 }, "data": "x" })
        );
        let fcm = quiet.for_fcm("t");
        assert_eq!(
            (&fcm["message"]["notification"], &fcm["message"]["data"]),
            (&Value::Null, &json!({ "data": "x" }))
        );
        assert_eq!(fcm["message"]["android"], json!({ "ttl": "2419200s" }));
        let badge = message(json!({ "badge": "/badge.png", "nativeBadge": 3 })).unwrap();
        assert_eq!(badge.for_apns(), json!({ "aps": { "badge": 3 } }));
    }

    #[test]
    fn wrong_members_and_large_messages_are_refused() {
        for (member, value) in [
            ("message", json!(1)),
            ("badge", json!([])),
            ("nativeBadge", json!(-1)),
            ("vibrate", json!(["a"])),
            ("silent", json!("yes")),
        ] {
            let error = message(json!({ (member): value })).unwrap_err();
            assert!(
                matches!(error, MessageError::Member { member: m, .. } if m == member),
                "{error}"
            );
        }
        let with = |n: usize| message(json!({ "message": "x".repeat(n) }));
        let frame = r#"{"message":""}"#.len();
        assert!(with(MAX_WEB - frame).is_ok());
        assert_eq!(
            with(MAX_WEB - frame + 1),
            Err(MessageError::TooLarge {
                service: "a browser",
                bytes: MAX_WEB + 1,
                limit: MAX_WEB
            })
        );
        // Short for a browser, but every entry of the data becomes a text.
        let data: Map<String, Value> = (0..330).map(|i| (format!("k{i:03}"), json!("\"\""))).collect();
        assert!(matches!(
            message(json!({ "data": data })),
            Err(MessageError::TooLarge { .. })
        ));
    }
}
