//! Errands: what the command line asks of whoever may write an app's objects.
//!
//! Two processes must never both write objects of one app: the caches of the one would not see what the other writes, and
//! both would number the same change records. So the command line writes down what it wants in the node's record `errands`,
//! and the holder of the data directory's lock carries it out: a running server, or else the command itself.
//!
//! Each errand is carried out once. Its effect on the app and the app's record `errand/<id>` are one commit; whoever
//! finds that record only says how it ended. Passwords are hashed before they are written down.

use fb_auth::Secret;
use fb_store::{Expect, NodeError, StoreError};
use fb_types::{AppId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::accounts::{check_username, record};
use crate::{App, AppError, Apps, FirstAdmin, Profile, Settings};

/// The node's record of errands: a JSON array of [`Entry`].
const ERRANDS: &str = "errands";
/// The app's records of errands that were carried out.
const DONE: &str = "errand";
/// How often a change of the record is tried again because another one came first.
const RETRIES: usize = 50;
/// How long an outcome waits for whoever asked, in milliseconds.
const KEPT_MS: i64 = 3_600_000;

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AdminErrand {
    /// A new administrator.
    Create,
    /// A new password for a user, who becomes an administrator.
    Reset,
}

/// How an errand ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ErrandOutcome {
    /// It was carried out.
    Done,
    /// The user name is taken.
    NameTaken,
    /// There is no such user.
    NoUser,
    /// The app was deleted meanwhile.
    NoApp,
    /// It failed, for this reason, and will not be tried again.
    Failed(String),
}

/// Who carries out errands.
#[derive(Clone, Copy)]
enum Carrier {
    Server,
    Command,
}

/// An errand that was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrandId(String);

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    id: String,
    app: String,
    /// Tells the app from a later one of the same name.
    app_created_at: i64,
    state: State,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum State {
    #[serde(rename_all = "camelCase")]
    Wanted {
        what: AdminErrand,
        username: String,
        hash: String,
    },
    #[serde(rename_all = "camelCase")]
    Over { outcome: ErrandOutcome, at: i64 },
}

impl Apps {
    /// Checks and hashes what an administrator is made from. The password has to be one that new apps accept, whatever
    /// this app asks of its users, and one that this app accepts.
    pub async fn admin_of(&self, app: &AppId, username: &str, password: &Secret) -> Result<FirstAdmin, AppError> {
        check_username(username)?;
        let strict = Settings::new(Profile::Secure).password_policy;
        strict.check(password.expose(), username)?;
        let found = self.look(app).await?;
        let checked = found.check_new_password(password, username).await;
        found.close().await;
        checked?;
        Ok(FirstAdmin {
            username: username.to_owned(),
            hash: self.shared().hashing.hash(password).await?,
        })
    }

    async fn look(&self, app: &AppId) -> Result<App, AppError> {
        let found = App::look(self.node(), app.clone(), self.shared().clone()).await?;
        found.ok_or_else(|| {
            let text = format!("app {app} is being created, or that was cut off; try again, or start the server once");
            AppError::Invalid(text)
        })
    }

    /// Writes down an errand. [`Self::run_errands`] carries it out, here or in the server.
    pub async fn ask(&self, app: &AppId, what: AdminErrand, admin: &FirstAdmin) -> Result<ErrandId, AppError> {
        let id = Secret::random().map_err(|e| AppError::internal("making an id", e))?;
        let id = id.expose().to_owned();
        let directory = self.directory();
        let slot = directory.by_name(app.as_str());
        let slot = slot.ok_or_else(|| NodeError::Missing(app.clone()))?;
        let app_created_at = slot.created_at().millis();
        self.change_errands(|entries, _| {
            entries.push(Entry {
                id: id.clone(),
                app: app.to_string(),
                app_created_at,
                state: State::Wanted {
                    what,
                    username: admin.username.clone(),
                    hash: admin.hash.expose().to_owned(),
                },
            });
        })
        .await?;
        Ok(ErrandId(id))
    }

    /// How an errand ended; `None` if it waits. An outcome is handed out once.
    pub async fn errand_outcome(&self, id: &ErrandId) -> Result<Option<ErrandOutcome>, AppError> {
        let entries = self.errands().await?;
        let outcome = match entries.into_iter().find(|entry| entry.id == id.0).map(|e| e.state) {
            Some(State::Wanted { .. }) => return Ok(None),
            Some(State::Over { outcome, .. }) => outcome,
            None => ErrandOutcome::Failed("somebody took the errand back".into()),
        };
        self.take_errand_back(id).await?;
        Ok(Some(outcome))
    }

    /// Forgets an errand, whether it was carried out or not.
    pub async fn take_errand_back(&self, id: &ErrandId) -> Result<(), AppError> {
        self.change_errands(|entries, _| entries.retain(|entry| entry.id != id.0))
            .await
    }

    /// Carries out all errands that wait, in the server: with the apps that are awake. It is called from one task. Cheap
    /// if there are none. An error is one that may pass: what it concerns still waits.
    pub async fn run_errands(&self) -> Result<(), AppError> {
        self.run(Carrier::Server).await
    }

    /// The same in a process that has taken the lock of the data directory for it. Needs no master key.
    pub async fn run_errands_without_server(&self) -> Result<(), AppError> {
        self.run(Carrier::Command).await
    }

    async fn run(&self, carrier: Carrier) -> Result<(), AppError> {
        let mut failed = Ok(());
        for entry in self.errands().await? {
            let State::Wanted { what, username, hash } = &entry.state else {
                continue;
            };
            let admin = FirstAdmin {
                username: username.clone(),
                hash: Secret::new(hash.clone()),
            };
            let outcome = match self.carry_out(carrier, &entry, *what, &admin).await {
                Ok(outcome) => outcome,
                Err(error) if may_pass(&error) => {
                    failed = Err(error);
                    continue;
                }
                Err(AppError::Node(NodeError::Missing(_))) => ErrandOutcome::NoApp,
                Err(error) => {
                    tracing::error!(app = entry.app, error = %error, "an errand of the command line failed");
                    ErrandOutcome::Failed(error.to_string())
                }
            };
            tracing::info!(
                app = entry.app,
                ?what,
                ?outcome,
                "carried out an errand of the command line"
            );
            self.change_errands(|entries, now| {
                for known in entries.iter_mut().filter(|known| known.id == entry.id) {
                    known.state = State::Over {
                        outcome: outcome.clone(),
                        at: now.millis(),
                    };
                }
            })
            .await?;
        }
        failed
    }

    async fn carry_out(
        &self,
        carrier: Carrier,
        entry: &Entry,
        what: AdminErrand,
        admin: &FirstAdmin,
    ) -> Result<ErrandOutcome, AppError> {
        self.refresh().await?;
        let is_same = match self.directory().by_name(&entry.app) {
            Some(slot) => slot.created_at().millis() == entry.app_created_at,
            None => false,
        };
        if !is_same {
            return Ok(ErrandOutcome::NoApp);
        }
        match carrier {
            Carrier::Server => match self.by_name(&entry.app).await? {
                Some(app) => app.admin_errand(&entry.id, what, admin).await,
                None => Ok(ErrandOutcome::NoApp),
            },
            Carrier::Command => {
                let app = self.look(&AppId::new(&entry.app)?).await?;
                let outcome = app.admin_errand(&entry.id, what, admin).await;
                app.close().await;
                outcome
            }
        }
    }

    async fn errands(&self) -> Result<Vec<Entry>, AppError> {
        match self.node().record(ERRANDS).await? {
            Some(bytes) => read(&bytes),
            None => Ok(Vec::new()),
        }
    }

    async fn change_errands(&self, change: impl Fn(&mut Vec<Entry>, Timestamp)) -> Result<(), AppError> {
        let now = self.shared().clock.now();
        for _ in 0..RETRIES {
            let stored = self.node().record(ERRANDS).await?;
            let mut entries = stored.as_deref().map(read).transpose()?.unwrap_or_default();
            // Left by commands that did not wait.
            entries.retain(|entry| match entry.state {
                State::Wanted { .. } => true,
                State::Over { at, .. } => at + KEPT_MS > now.millis(),
            });
            change(&mut entries, now);
            let value = match entries.is_empty() {
                true => None,
                false => {
                    Some(serde_json::to_vec(&entries).map_err(|e| AppError::internal("writing down an errand", e))?)
                }
            };
            if stored == value {
                return Ok(());
            }
            let node = self.node();
            if node.swap_record(ERRANDS, stored.as_deref(), value.as_deref()).await? {
                return Ok(());
            }
        }
        Err(AppError::Contended)
    }
}

fn read(bytes: &[u8]) -> Result<Vec<Entry>, AppError> {
    serde_json::from_slice(bytes).map_err(|e| AppError::internal("reading the errands", e))
}

/// True if it is worth trying again later.
fn may_pass(error: &AppError) -> bool {
    let store = match error {
        // A bad token stands for a record that was not as expected: somebody else carried the same errand out.
        AppError::Busy { .. } | AppError::Contended | AppError::BadToken => return true,
        AppError::Store(error) | AppError::Node(NodeError::Store(error)) => error,
        _ => return false,
    };
    matches!(
        store,
        StoreError::SchemaChanged | StoreError::Overloaded { .. } | StoreError::Unavailable { .. }
    )
}

impl App {
    /// Carries out an errand, unless that was done already.
    async fn admin_errand(&self, id: &str, what: AdminErrand, admin: &FirstAdmin) -> Result<ErrandOutcome, AppError> {
        if self.store().record(DONE, id).await?.is_some() {
            return Ok(ErrandOutcome::Done);
        }
        let done = || vec![record(DONE, id, Expect::Absent, Some(b"done"))];
        match what {
            AdminErrand::Create => match self.add_admin(admin, done).await {
                Ok(()) => Ok(ErrandOutcome::Done),
                Err(AppError::NameTaken) => Ok(ErrandOutcome::NameTaken),
                Err(error) => Err(error),
            },
            AdminErrand::Reset => match self.reset_admin(&admin.username, &admin.hash, done).await? {
                true => Ok(ErrandOutcome::Done),
                false => Ok(ErrandOutcome::NoUser),
            },
        }
    }
}
