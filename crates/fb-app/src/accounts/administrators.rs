//! Administrators that the command line makes, and those it lets back in.

use fb_auth::{Errand, Principal, Secret};
use fb_store::Write;
use fb_types::ObjectId;
use fb_types::schema::{ADMIN_ROLE, ROLE};
use serde_json::json;

use super::Credentials;
use super::credentials::Changed;
use crate::audit::Action;
use crate::{App, AppError, FirstAdmin};

/// What the audit log says of who did it.
const BY: &str = "command line";

impl App {
    /// Makes a new administrator, whether the app has others or not, together with `more` writes. Setup links die.
    pub(crate) async fn add_admin(&self, admin: &FirstAdmin, more: impl Fn() -> Vec<Write>) -> Result<(), AppError> {
        let writes = || {
            let mut writes = more();
            writes.push(Self::end_setup());
            writes
        };
        self.create_admin(admin, BY, writes).await
    }

    /// Gives an existing user a new password and makes it an administrator, together with `more` writes. Its tokens,
    /// its second factor and the links in its mails die, it is activated if it was not, and it may try at once if it was
    /// locked out. False if there is no such user.
    pub(crate) async fn reset_admin(
        &self,
        username: &str,
        hash: &Secret,
        more: impl Fn() -> Vec<Write>,
    ) -> Result<bool, AppError> {
        let Some(key) = self.user_by_name(username).await? else {
            return Ok(false);
        };
        let id = Self::user_id(&key)?;
        self.despite_schema_changes(|| async {
            let schema = self.schema();
            let reset = |credentials: &mut Credentials| {
                Self::replace_password(credentials, hash);
                credentials.factor = None;
                credentials.links.clear();
                if credentials.username.is_empty() {
                    username.clone_into(&mut credentials.username);
                }
                let data = json!({ "username": credentials.username, "by": BY });
                let nobody = Principal::anonymous();
                let mut also = vec![
                    self.activation(&schema, &key)?,
                    self.admin_role_write(&schema, &id)?,
                    self.audit(&schema, &nobody, Action::AdminReset, &id.to_string(), data)?,
                    Self::end_setup(),
                ];
                also.extend(more());
                Ok(Changed { result: (), also })
            };
            self.change_credentials(&key, reset).await.map(drop)
        })
        .await?;
        self.forget_attempts(username, &key);
        Ok(true)
    }

    /// The members of the admin role that could log in: they exist, are active, and have a password or an account
    /// elsewhere.
    pub(crate) async fn usable_admins(&self) -> Result<Vec<(ObjectId, Credentials)>, AppError> {
        let role: ObjectId = ADMIN_ROLE.parse()?;
        let Some(role) = self.fetch_for(Errand::SetUpApp, ROLE, role.key()).await? else {
            return Ok(Vec::new());
        };
        let role: serde_json::Value =
            serde_json::from_slice(&role.body).map_err(|e| AppError::internal("reading a role", e))?;
        let mut admins = Vec::new();
        for member in role["users"].as_array().into_iter().flatten() {
            let Some(id) = member.as_str().and_then(|text| text.parse::<ObjectId>().ok()) else {
                continue;
            };
            let user = self.user(id.key()).await?;
            if user.is_none_or(|user| super::is_inactive(&user)) {
                continue;
            }
            let credentials = self.credentials(id.key()).await?;
            if let Some(credentials) = credentials.filter(|c| c.hash.is_some() || !c.identities.is_empty()) {
                admins.push((id, credentials));
            }
        }
        Ok(admins)
    }
}
