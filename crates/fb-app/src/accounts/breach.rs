//! Which passwords an app accepts, those included that a service knows from leaks.

use fb_auth::{PasswordError, Secret, leak_query};

use crate::{App, AppError};

impl App {
    /// Accepts or refuses a password that somebody chooses. A service that cannot be asked refuses nothing: nobody
    /// should be kept from changing a password because a third party is away.
    pub(crate) async fn check_new_password(&self, password: &Secret, username: &str) -> Result<(), AppError> {
        let policy = self.settings().password_policy;
        policy.check(password.expose(), username)?;
        if policy.reject_breached && self.is_breached(password).await {
            return Err(PasswordError::TooCommon.into());
        }
        Ok(())
    }

    async fn is_breached(&self, password: &Secret) -> bool {
        let (sent, looked_for) = leak_query(password.expose());
        let url = format!("{}{sent}", self.shared().leaks_url);
        let answer = match self.shared().outbound.get(&url).await {
            Ok(answer) if answer.status == 200 => answer,
            Ok(answer) => {
                tracing::warn!(app = %self.id(), status = answer.status.as_u16(), "leaked passwords could not be looked up");
                return false;
            }
            Err(error) => {
                tracing::warn!(app = %self.id(), error = %error, "leaked passwords could not be looked up");
                return false;
            }
        };
        // Lines of `<35 hex digits>:<how often>`; some with 0 are only there to blur the length of the answer.
        let text = String::from_utf8_lossy(&answer.body);
        let mut lines = text.lines().filter_map(|line| line.trim().split_once(':'));
        lines.any(|(known, count)| known.eq_ignore_ascii_case(&looked_for) && count.trim() != "0")
    }
}
