//! What the administrators of an app can set, kept in the app's store.

use serde::{Deserialize, Serialize};

use crate::AppError;

/// Which defaults an app follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Anonymous callers may do what a rule allows them explicitly (`"*": "allow"`). The default.
    Secure,
    /// The open defaults of the original protocol: no rules means everybody, anybody may register.
    Baqend,
}

/// Who may create user accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Anybody.
    Open,
    /// Administrators.
    Closed,
}

/// Settings of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Chosen when the app was created; cannot be changed.
    pub profile: Profile,
    /// Who may create user accounts.
    pub registration: Registration,
    /// Lifetime of a session in seconds, extended while it is used. 60 to 31,536,000; default 30 days.
    pub session_seconds: u32,
}

impl Settings {
    /// The settings of a new app.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            registration: match profile {
                Profile::Secure => Registration::Closed,
                Profile::Baqend => Registration::Open,
            },
            session_seconds: 30 * 24 * 3600,
        }
    }

    /// Reads what an administrator sent: all settings, or those that change. Unknown settings are an error.
    pub fn merged(&self, changes: &serde_json::Map<String, serde_json::Value>) -> Result<Self, AppError> {
        let mut whole = serde_json::to_value(self).map_err(|e| AppError::internal("writing settings", e))?;
        for (name, value) in changes {
            whole[name] = value.clone();
        }
        let new: Self = serde_json::from_value(whole).map_err(|e| AppError::Invalid(format!("settings: {e}")))?;
        if new.profile != self.profile {
            return Err(AppError::Invalid(
                "settings: the profile of an app cannot be changed".into(),
            ));
        }
        if !(60..=31_536_000).contains(&new.session_seconds) {
            return Err(AppError::Invalid(
                "settings: sessionSeconds must be 60 to 31536000".into(),
            ));
        }
        Ok(new)
    }
}
