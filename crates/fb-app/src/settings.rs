//! What the administrators of an app can set, kept in the app's store.

use std::collections::BTreeMap;

use fb_auth::{PasswordPolicy, Secret};
use fb_mail::{Content, Message, Purpose, Sender, Template, Values};
use fb_oauth::ProviderSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::caching::CachingSettings;
use crate::files::ImageSettings;
use crate::triggers::WebhookSettings;
use crate::{AppError, HostingSettings, LogSettings, RequestLimit};

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

/// How often somebody may be wrong about an account before it has to be left alone for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Lockout {
    /// Wrong passwords or codes for one account from one source; ten times as many from all sources. 0 is no limit.
    pub attempts: u32,
    /// After how many seconds the count begins anew, 1 to 86,400.
    pub seconds: u32,
}

/// How many requests one source may make that hash passwords, create accounts or send mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RateLimit {
    /// Requests; 0 is no limit.
    pub requests: u32,
    /// Within so many seconds, 1 to 86,400.
    pub seconds: u32,
}

/// The app's mails.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct MailSettings {
    /// Address that mails come from; the node's if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The app's page for choosing a new password, which gets `bq-token=<token>`; a plain page of the server if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reset_url: Option<String>,
    /// Where a browser is sent from the link of a verification mail.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified_url: Option<String>,
    /// Where it is sent if the link is not valid any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_url: Option<String>,
    /// Most recipients per hour of what the app's own code sends with `POST /mail`; 0 is no limit, absent 500.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_hour: Option<u32>,
    /// The app's own words, by purpose; default ones for those that are absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub templates: BTreeMap<Purpose, Template>,
}

impl MailSettings {
    /// A mail for this purpose.
    pub(crate) fn message(
        &self,
        origin: &str,
        node_sender: &Sender,
        purpose: Purpose,
        to: &str,
        app: &str,
        values: &Values,
    ) -> Result<Message, AppError> {
        let invalid = |e: &dyn std::fmt::Display| AppError::Invalid(format!("the mail cannot be sent: {e}"));
        let content = self.render(purpose, values)?;
        let sender = match &self.from {
            Some(address) => Sender::new(Some(app), address).map_err(|e| invalid(&e))?,
            None => node_sender.clone(),
        };
        Message::new(origin, sender, to, content).map_err(|e| invalid(&e))
    }

    /// Subject and bodies of a mail.
    pub(crate) fn render(&self, purpose: Purpose, values: &Values) -> Result<Content, AppError> {
        let template = self.templates.get(&purpose).cloned();
        let template = template.unwrap_or_else(|| purpose.default_template());
        let invalid = |e: &dyn std::fmt::Display| AppError::Invalid(format!("the mail cannot be sent: {e}"));
        let parsed = template.parse(purpose.placeholders()).map_err(|e| invalid(&e))?;
        parsed.render(values).map_err(|e| invalid(&e))
    }
}

/// Logins through other providers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct OAuthSettings {
    /// Providers by the name they have in URLs. One that is called like a preset and says nothing else is that preset.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Origins of the app's pages (`https://shop.example`) that logins may return to with a token.
    pub authorized_domains: Vec<String>,
    /// Whether clients may build the provider's URL themselves, as the published SDKs do by default. Nothing then ties
    /// the login to the browser that began it.
    pub client_started: bool,
}

impl OAuthSettings {
    /// The settings of a provider.
    pub(crate) fn provider(&self, name: &str) -> Option<ProviderSettings> {
        let mut settings = self.providers.get(name)?.clone();
        let says_nothing = settings.preset.is_none() && settings.issuer.is_none() && settings.authorize_url.is_none();
        if says_nothing && fb_oauth::preset_names().any(|preset| preset == name) {
            settings.preset = Some(name.to_owned());
        }
        Some(settings)
    }

    /// Secrets that were shown as `***` are those of before.
    fn keep_secrets(&mut self, old: &Self) {
        for (name, provider) in &mut self.providers {
            let before = old.providers.get(name);
            let is_hidden = |secret: &Secret| secret.expose() == HIDDEN;
            if provider.client_secret.as_ref().is_some_and(is_hidden) {
                provider.client_secret = before.and_then(|p| p.client_secret.clone());
            }
            if let Some(key) = provider.apple.as_mut().filter(|key| is_hidden(&key.private_key))
                && let Some(before) = before.and_then(|p| p.apple.clone())
            {
                key.private_key = before.private_key;
            }
        }
    }

    fn check(&self) -> Result<(), String> {
        if self.providers.len() > MAX_PROVIDERS || self.authorized_domains.len() > MAX_PROVIDERS {
            return Err(format!(
                "oauth: at most {MAX_PROVIDERS} providers and domains are allowed"
            ));
        }
        for name in self.providers.keys() {
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || name.len() > 40 || !name.chars().all(is_name) {
                return Err(format!(
                    "oauth.providers.{name}: names have 1 to 40 lower-case letters, digits and -"
                ));
            }
            if let Some(settings) = self.provider(name) {
                settings
                    .validate()
                    .map_err(|e| format!("oauth.providers.{name}: {e}"))?;
            }
        }
        for origin in &self.authorized_domains {
            if origin_of(origin).as_ref() != Some(origin) {
                return Err(format!(
                    "oauth.authorizedDomains: `{origin}` is no origin such as https://shop.example"
                ));
            }
        }
        Ok(())
    }
}

/// What stands in place of secrets where settings are shown.
pub(crate) const HIDDEN: &str = "***";
/// Most login providers, and most origins, of one app.
const MAX_PROVIDERS: usize = 50;

/// Scheme, host and port of an http(s) URL, in lower case and without the default port. `None` for anything else.
pub(crate) fn origin_of(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match &*scheme {
        "https" => ":443",
        "http" => ":80",
        _ => return None,
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let host = rest[..end].to_ascii_lowercase();
    let host = host.strip_suffix(default_port).unwrap_or(&host);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']' | '_');
    // Browsers read a backslash as a slash, and what precedes an @ is not the host.
    (!host.is_empty() && !host.starts_with(':') && host.chars().all(is_plain)).then(|| format!("{scheme}://{host}"))
}

/// Settings of one app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// Chosen when the app was created; cannot be changed.
    pub profile: Profile,
    /// What mails and authenticator apps call the app; its id if absent. At most 100 bytes.
    #[serde(default)]
    pub name: Option<String>,
    /// Who may create user accounts.
    pub registration: Registration,
    /// Lifetime of a session in seconds, extended while it is used. 60 to 31,536,000; default 30 days.
    pub session_seconds: u32,
    /// Lifetime of the sessions of shared computers (`"global": false`) in seconds. 60 to 31,536,000; default a day.
    pub short_session_seconds: u32,
    /// Which passwords are accepted.
    pub password_policy: PasswordPolicy,
    /// How often passwords and codes may be wrong.
    pub lockout: Lockout,
    /// How many costly requests one source may make.
    pub rate_limit: RateLimit,
    /// How many requests of any kind one source may make; the profile's default if absent.
    #[serde(default)]
    pub request_limit: Option<RequestLimit>,
    /// Logs.
    #[serde(default)]
    pub logs: LogSettings,
    /// Whether accounts wait for the user to follow a link in a mail. User names are e-mail addresses then.
    pub email_verification: bool,
    /// URL of the app's API as users reach it, such as `https://shop.example/v1`. Links in mails begin with it.
    #[serde(default)]
    pub public_url: Option<String>,
    /// The app's mails.
    #[serde(default)]
    pub mail: MailSettings,
    /// Logins through other providers.
    #[serde(default)]
    pub oauth: OAuthSettings,
    /// Websites.
    #[serde(default)]
    pub hosting: HostingSettings,
    /// Variants of images.
    #[serde(default)]
    pub images: ImageSettings,
    /// URLs that are told of changes.
    #[serde(default, skip_serializing_if = "WebhookSettings::is_empty")]
    pub webhooks: WebhookSettings,
    /// Copies of objects and files in browsers and other caches.
    #[serde(default)]
    pub caching: CachingSettings,
}

impl Settings {
    /// The settings of a new app.
    pub fn new(profile: Profile) -> Self {
        Self {
            profile,
            name: None,
            registration: match profile {
                Profile::Secure => Registration::Closed,
                Profile::Baqend => Registration::Open,
            },
            session_seconds: 30 * 24 * 3600,
            short_session_seconds: 24 * 3600,
            password_policy: match profile {
                Profile::Secure => PasswordPolicy {
                    min_length: 8,
                    reject_common: true,
                    reject_breached: false,
                },
                Profile::Baqend => PasswordPolicy {
                    min_length: 1,
                    reject_common: false,
                    reject_breached: false,
                },
            },
            lockout: Lockout {
                attempts: 10,
                seconds: 900,
            },
            rate_limit: RateLimit {
                requests: 300,
                seconds: 300,
            },
            request_limit: Some(RequestLimit::of(profile)),
            logs: LogSettings::default(),
            email_verification: false,
            public_url: None,
            mail: MailSettings::default(),
            oauth: OAuthSettings {
                client_started: profile == Profile::Baqend,
                ..OAuthSettings::default()
            },
            hosting: HostingSettings::default(),
            images: ImageSettings::default(),
            webhooks: WebhookSettings::default(),
            caching: CachingSettings::default(),
        }
    }

    /// How many requests one source may make.
    pub fn request_limit(&self) -> RequestLimit {
        self.request_limit.unwrap_or_else(|| RequestLimit::of(self.profile))
    }

    /// Reads what an administrator sent: all settings, or those that change. Unknown settings are an error.
    pub fn merged(&self, changes: &Map<String, Value>) -> Result<Self, AppError> {
        let mut whole = serde_json::to_value(self).map_err(|e| AppError::internal("writing settings", e))?;
        for (name, value) in changes {
            // Members that came in a list would be taken in the order in which they are written down here.
            if value.is_array() && whole.get(name).is_some_and(Value::is_object) {
                return Err(AppError::Invalid(format!(
                    "settings: {name} must be an object, found an array"
                )));
            }
            whole[name] = value.clone();
        }
        let mut new: Self = serde_json::from_value(whole).map_err(|e| AppError::Invalid(format!("settings: {e}")))?;
        new.oauth.keep_secrets(&self.oauth);
        new.hosting.keep_secrets(&self.hosting);
        new.images.keep_secrets(&self.images);
        new.webhooks.keep_secrets(&self.webhooks);
        new.check(self)
            .map_err(|problem| AppError::Invalid(format!("settings: {problem}")))?;
        Ok(new)
    }

    /// The settings with `***` in place of secrets.
    pub fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        for provider in shown.oauth.providers.values_mut() {
            *provider = provider.without_secrets();
        }
        shown.hosting.hide_secrets();
        shown.images.hide_secrets();
        shown.webhooks.hide_secrets();
        shown
    }

    fn check(&self, old: &Self) -> Result<(), String> {
        self.oauth.check()?;
        self.hosting.check()?;
        self.images.check()?;
        self.caching.check()?;
        self.webhooks.check(&old.webhooks)?;
        if self.profile != old.profile {
            return Err("the profile of an app cannot be changed".into());
        }
        for (name, seconds) in [
            ("sessionSeconds", self.session_seconds),
            ("shortSessionSeconds", self.short_session_seconds),
        ] {
            if !(60..=31_536_000).contains(&seconds) {
                return Err(format!("{name} must be 60 to 31536000"));
            }
        }
        for (name, seconds) in [
            ("lockout.seconds", self.lockout.seconds),
            ("rateLimit.seconds", self.rate_limit.seconds),
            ("requestLimit.seconds", self.request_limit().seconds),
        ] {
            if !(1..=86_400).contains(&seconds) {
                return Err(format!("{name} must be 1 to 86400"));
            }
        }
        if !(1..=604_800).contains(&self.request_limit().ban_seconds) {
            return Err("requestLimit.banSeconds must be 1 to 604800".into());
        }
        self.logs.check()?;
        if !(1..=64).contains(&self.password_policy.min_length) {
            return Err("passwordPolicy.minLength must be 1 to 64".into());
        }
        if let Some(name) = &self.name
            && (name.is_empty() || name.len() > 100 || name.chars().any(char::is_control))
        {
            return Err("name has 1 to 100 bytes and no control characters".into());
        }
        let urls = [
            ("publicUrl", &self.public_url),
            ("mail.resetUrl", &self.mail.reset_url),
            ("mail.verifiedUrl", &self.mail.verified_url),
            ("mail.failedUrl", &self.mail.failed_url),
        ];
        for (name, url) in urls {
            if let Some(url) = url
                && !is_web_url(url)
            {
                return Err(format!("{name} must be a URL such as https://shop.example/v1"));
            }
        }
        if let Some(from) = &self.mail.from
            && !fb_mail::is_address(from)
        {
            return Err("mail.from must be an e-mail address".into());
        }
        for (purpose, template) in &self.mail.templates {
            template
                .parse(purpose.placeholders())
                .map_err(|e| format!("mail.templates.{}: {e}", purpose.as_str()))?;
        }
        if self.email_verification && self.public_url.is_none() {
            return Err("emailVerification needs publicUrl, which the links in mails begin with".into());
        }
        Ok(())
    }
}

/// True for absolute http(s) URLs without a fragment, of at most 2000 bytes.
pub(crate) fn is_web_url(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let plain =
        |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}' | '#');
    text.len() <= 2000
        && text.chars().all(plain)
        && host.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_do() {
        for (url, origin) in [
            ("https://shop.example", Some("https://shop.example")),
            ("HTTPS://Shop.Example:443/a?b#c", Some("https://shop.example")),
            ("http://127.0.0.1:9876/?x", Some("http://127.0.0.1:9876")),
            ("http://[::1]:80/", Some("http://[::1]")),
            ("https://shop.example:8443", Some("https://shop.example:8443")),
            ("https://shop.example@evil.example/", None),
            ("https://evil.example\\@shop.example/", None),
            ("https://shop.example\\.evil.example/", None),
            ("https:///shop.example", None),
            ("https:shop.example", None),
            ("javascript://shop.example/%0aalert(1)", None),
            ("//shop.example", None),
            ("data:text/html,x", None),
            ("", None),
        ] {
            assert_eq!(origin_of(url).as_deref(), origin, "{url}");
        }
    }
}
