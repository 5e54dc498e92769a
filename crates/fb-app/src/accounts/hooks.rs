//! Code with a say in mails and logins: the modules `user.register`, `user.resetPassword` and `oauth.<provider>`. Source:
//! protocol 06, section 7, and 04, section 8.

use bytes::Bytes;
use fb_auth::Principal;
use fb_functions::{CallError, CallKind};
use fb_mail::{Content, Message, Purpose, Sender, Values};
use fb_oauth::Profile;
use fb_types::ObjectKey;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::app_log::Level;
use crate::functions::{CodeCaller, CodeType, request};
use crate::{App, AppError};

/// The module of mails with this purpose, if there is one.
fn module_of(purpose: Purpose) -> Option<&'static str> {
    match purpose {
        Purpose::VerifyEmail => Some("user.register"),
        Purpose::ResetPassword => Some("user.resetPassword"),
        Purpose::ChangeUsername | Purpose::PasswordChanged => None,
    }
}

/// A mail as code gives it back.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Changed {
    subject: Option<String>,
    body: Option<String>,
    to: Option<String>,
    from_name: Option<String>,
}

impl App {
    fn has_module(&self, name: &str) -> bool {
        self.code().sources.load().has(name, CodeType::Module)
    }

    /// Calls a module's `call`. `user` is its `db.User.me`, whoever it acts for.
    async fn hook(
        &self,
        module: &str,
        principal: &Principal,
        user: &ObjectKey,
        data: Value,
    ) -> Result<Value, AppError> {
        let caller = CodeCaller {
            principal: principal.as_code(),
            depth: 1,
            reads: None,
        };
        let input = Map::from_iter([
            ("me".to_owned(), json!(Self::user_id(user)?.to_string())),
            ("data".to_owned(), data),
            ("request".to_owned(), request()),
        ]);
        let code = (module, CodeType::Module);
        let sources = self.code().sources.load_full();
        let outcome = self
            .run(&sources, caller, CallKind::Hook, code, input, Bytes::new())
            .await?;
        let mut json: Value =
            serde_json::from_str(&outcome.json).map_err(|e| AppError::internal("reading what a hook returned", e))?;
        Ok(json["result"].take())
    }

    /// Mails a link, in the words of the app's code if it has some: what that returns is sent, or nothing.
    pub(super) async fn send_link_mail(
        &self,
        purpose: Purpose,
        user: &ObjectKey,
        to: &str,
        link: &str,
        values: Values,
    ) -> Result<(), AppError> {
        let Some(module) = module_of(purpose).filter(|name| self.has_module(name)) else {
            return self.send_mail(purpose, to, values);
        };
        let sent = self.send_changed(module, purpose, user, to, link, values).await;
        // Nobody waits for the answer; other failures of code are in the log already.
        let reason = match &sent {
            Err(AppError::Invalid(reason)) => reason.clone(),
            Err(AppError::Code(error)) if matches!(**error, CallError::Aborted { .. } | CallError::NoExport { .. }) => {
                error.to_string()
            }
            _ => return sent,
        };
        let line = format!("/code/{module}/module: no mail is sent: {reason}");
        self.log_line(Level::Warn, &line, Value::Null, Self::user_id(user).ok().as_ref());
        sent
    }

    async fn send_changed(
        &self,
        module: &str,
        purpose: Purpose,
        user: &ObjectKey,
        to: &str,
        link: &str,
        values: Values,
    ) -> Result<(), AppError> {
        let app = self.display_name();
        let values = values.with("app", app.as_str());
        let settings = self.settings();
        let content = settings.mail.render(purpose, &values)?;
        let body = content.html.clone().unwrap_or_else(|| content.text.clone());
        let template = settings.mail.templates.get(&purpose).cloned();
        let mail = json!({
            "subject": content.subject,
            "body": body,
            "template": template.unwrap_or_else(|| purpose.default_template()),
            "link": link,
            "to": to,
            "fromName": app,
        });
        // Whoever knows a name can ask for such a mail: nothing is done with the rights of its user.
        let said = self.hook(module, &Principal::anonymous(), user, mail).await?;
        let changed: Option<Changed> =
            serde_json::from_value(said).map_err(|e| AppError::Invalid(format!("{module} returned no mail: {e}")))?;
        let Some(changed) = changed else { return Ok(()) };
        let content = match changed.body.filter(|new| *new != body) {
            Some(new) => Content {
                text: if content.html.is_some() {
                    plain(&new)
                } else {
                    new.clone()
                },
                html: content.html.map(|_| new),
                subject: changed.subject.unwrap_or(content.subject),
            },
            None => Content {
                subject: changed.subject.unwrap_or(content.subject),
                ..content
            },
        };
        let unfit = |e: &dyn std::fmt::Display| AppError::Invalid(format!("the mail cannot be sent: {e}"));
        let sender = match (&settings.mail.from, &changed.from_name) {
            (Some(address), name) => {
                Sender::new(Some(name.as_deref().unwrap_or(&app)), address).map_err(|e| unfit(&e))?
            }
            (None, _) => self.shared().mail_from.clone(),
        };
        let to = changed.to.as_deref().unwrap_or(to);
        let message = Message::new(self.id().as_str(), sender, to, content).map_err(|e| unfit(&e))?;
        let posted = self.shared().outbox.post(message);
        posted.map_err(|_| AppError::Busy { retry_after: 60 })
    }

    /// Tells the app's code of a login through a provider. If that aborts, nobody is logged in; other failures are in the
    /// app's log and change nothing. True if there is such code.
    pub(super) async fn after_oauth(&self, profile: &Profile, user: &ObjectKey) -> Result<bool, AppError> {
        let module = format!("oauth.{}", profile.provider);
        if !self.has_module(&module) {
            return Ok(false);
        }
        let mut data = profile.claims.clone();
        data.insert("id".to_owned(), json!(profile.subject));
        data.insert("access_token".to_owned(), json!(profile.access_token.expose()));
        data.insert("email".to_owned(), json!(profile.email));
        // Here the user has shown who it is.
        let principal = match self.user(user).await? {
            Some(stored) => self.principal_of(&Self::user_id(user)?, &stored).await?,
            None => Principal::anonymous(),
        };
        match self.hook(&module, &principal, user, Value::Object(data)).await {
            Err(AppError::Code(error)) if matches!(*error, CallError::Aborted { .. }) => Err(AppError::Code(error)),
            Err(AppError::Code(_)) | Ok(_) => Ok(true),
            Err(error) => Err(error),
        }
    }
}

/// The text of a page, for readers that show no HTML: without tags.
fn plain(html: &str) -> String {
    let mut text = String::with_capacity(html.len());
    let mut is_tag = false;
    for c in html.chars() {
        match c {
            '<' => is_tag = true,
            '>' if is_tag => is_tag = false,
            c if !is_tag => text.push(c),
            _ => {}
        }
    }
    let entities = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ];
    entities
        .iter()
        .fold(text, |text, (entity, plain)| text.replace(entity, plain))
}
