//! Mails to users.

use std::sync::Arc;

use fb_auth::{Principal, Secret, authorize_admin};
use fb_mail::{Content, Purpose, Template, Values};
use fb_store::Write;
use fb_types::{ObjectKey, Timestamp};
use serde_json::Value;

use super::Credentials;
use super::credentials::Changed;
use super::links::LinkPurpose;
use crate::functions::{on_request, request};
use crate::{App, AppError};

impl App {
    /// Where mail to a user goes: its name if that is an address, else its field `email`.
    pub(crate) async fn address_of(&self, key: &ObjectKey) -> Result<Option<String>, AppError> {
        let Some(user) = self.user(key).await? else {
            return Ok(None);
        };
        let user: Value = serde_json::from_slice(&user.body).map_err(|e| AppError::internal("reading a user", e))?;
        let candidates = [&user["username"], &user["email"]];
        let mut addresses = candidates.into_iter().filter_map(Value::as_str);
        Ok(addresses.find(|text| fb_mail::is_address(text)).map(str::to_owned))
    }

    /// Makes a link and mails it.
    pub(crate) async fn send_link(
        &self,
        purpose: Purpose,
        link: LinkPurpose,
        user: &ObjectKey,
        to: &str,
        new_username: Option<String>,
    ) -> Result<(), AppError> {
        let prepare = |_: &mut Credentials| Ok(Vec::new());
        self.send_link_after(prepare, purpose, link, user, to, new_username)
            .await
    }

    /// The same, with a change of the credentials, and writes, that belong to the link; no link is made if that fails.
    pub(crate) async fn send_link_after(
        &self,
        prepare: impl Fn(&mut Credentials) -> Result<Vec<Write>, AppError>,
        purpose: Purpose,
        link: LinkPurpose,
        user: &ObjectKey,
        to: &str,
        new_username: Option<String>,
    ) -> Result<(), AppError> {
        let secret = Self::random_secret()?;
        let now = self.clock().now();
        let make = |credentials: &mut Credentials| {
            let also = prepare(credentials)?;
            let token = credentials.new_link(link, user, &secret, now, new_username.clone());
            Ok(Changed {
                result: (token, credentials.username.clone()),
                also,
            })
        };
        let ((token, username), _) = self.change_credentials(user, make).await?;
        let url = self.link_url(link, &token)?;
        let end = Timestamp::from_millis(now.millis() + link.seconds() * 1000);
        let expires = format!("{} {} UTC", end.date_text(), &end.time_text()[..5]);
        let mut values = Values::new()
            .with("username", username)
            .with("link", url.expose())
            .with("expires", expires);
        if let Some(new) = new_username {
            values = values.with("newUsername", new);
        }
        self.send_link_mail(purpose, user, to, url.expose(), values).await
    }

    /// Where a mail's link leads. Its host is the one that is configured, never one that a request claims.
    fn link_url(&self, link: LinkPurpose, token: &Secret) -> Result<Secret, AppError> {
        let settings = self.settings();
        let base = settings.public_url.as_deref().ok_or_else(|| {
            AppError::Invalid("settings: publicUrl is needed before mails with links can be sent".into())
        })?;
        let base = base.trim_end_matches('/');
        let token = token.expose();
        Ok(Secret::new(match link {
            LinkPurpose::Verify => format!("{base}/db/User/verify?token={token}"),
            LinkPurpose::ChangeUsername => format!("{base}/db/User/verifyUsername?token={token}"),
            LinkPurpose::Reset => {
                let page = settings
                    .mail
                    .reset_url
                    .clone()
                    .unwrap_or_else(|| format!("{base}/db/User/reset"));
                let separator = if page.contains('?') { '&' } else { '?' };
                format!("{page}{separator}bq-token={token}")
            }
        }))
    }

    /// Queues a mail in the app's own words, or the default ones.
    pub(crate) fn send_mail(&self, purpose: Purpose, to: &str, values: Values) -> Result<(), AppError> {
        let app = self.display_name();
        let values = values.with("app", app.as_str());
        let mail = &self.settings().mail;
        let message = mail.message(self.id().as_str(), &self.shared().mail_from, purpose, to, &app, &values)?;
        let posted = self.shared().outbox.post(message);
        posted.map_err(|_| AppError::Busy { retry_after: 60 })
    }

    /// What a mail looks like with made-up values, in the given words or those of the app. For administrators.
    pub fn preview_mail(
        &self,
        caller: &Principal,
        purpose: Purpose,
        template: Option<Template>,
    ) -> Result<Content, AppError> {
        authorize_admin(caller, "look at mails")?;
        let mut mail = self.settings().mail.clone();
        if let Some(template) = template {
            mail.templates.insert(purpose, template);
        }
        mail.render(purpose, &purpose.sample(&self.display_name()))
    }

    /// What mails and authenticator apps call the app.
    pub(crate) fn display_name(&self) -> String {
        self.settings().name.clone().unwrap_or_else(|| self.id().to_string())
    }

    /// Does work after the answer, so that the time of the answer tells nothing about it. A bounded number at once.
    pub(crate) fn in_background<F>(self: &Arc<Self>, what: &'static str, work: impl FnOnce(Arc<Self>) -> F)
    where
        F: Future<Output = Result<(), AppError>> + Send + 'static,
    {
        let Ok(permit) = self.shared().background.clone().try_acquire_owned() else {
            tracing::warn!(app = %self.id(), "too much is going on in the background; gave up {what}");
            return;
        };
        let app = self.clone();
        let (request, work) = (request(), work(self.clone()));
        tokio::spawn(async move {
            if let Err(error) = on_request(request, work).await {
                tracing::warn!(app = %app.id(), error = %error, "{what} failed");
            }
            drop(permit);
        });
    }
}
