//! What can be seen of an app's safety from outside, while it runs or not: facts, no judgement.

use fb_auth::{
    Exposure, FileExposure, NoRandomness, Objects, Operation, Principal, Secret, Verdict, any_user, authorize,
    exposures, file_exposures,
};
use fb_query::parse_filter;
use fb_store::AppRecord;
use fb_types::schema::{AUDIT_LOG, USER};
use fb_types::{AppId, Timestamp};
use serde_json::json;

use crate::accounts::fold;
use crate::backup::{Backup, backup_key};
use crate::{App, AppError, Apps, Settings};

/// What is known of one app.
#[derive(Debug, Clone)]
pub struct Checkup {
    /// Its name.
    pub id: AppId,
    /// Its settings.
    pub settings: Settings,
    /// What its class-level rules leave open.
    pub exposures: Vec<Exposure>,
    /// What the rules of its buckets leave open.
    pub file_exposures: Vec<FileExposure>,
    /// Users that anonymous callers can see.
    pub seen_by_anybody: SeenUsers,
    /// Users that any logged-in user can see, beside itself.
    pub seen_by_users: SeenUsers,
    /// Administrators that could log in.
    pub n_admins: usize,
    /// One of them is `root` with the password `root`.
    pub has_root_root: bool,
    /// A setup link could still be used.
    pub has_setup_link: bool,
    /// The audit log has its class.
    pub has_audit_log: bool,
    /// When the last backup was written by `freshbase backup`.
    pub backup_at: Option<Timestamp>,
}

/// Users that somebody can see.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenUsers {
    /// How many.
    pub count: u64,
    /// The fields that can be read.
    pub fields: Vec<String>,
}

impl Apps {
    /// Looks at an app without changing anything. `None` if its creation is not finished.
    pub async fn check_up(&self, record: &AppRecord) -> Result<Option<Checkup>, AppError> {
        let Some(app) = App::look(self.node(), record.id.clone(), self.shared().clone()).await? else {
            return Ok(None);
        };
        let checkup = app.check_up().await;
        app.close().await;
        let mut checkup = checkup?;
        checkup.backup_at = self.backup_at(record).await?;
        Ok(Some(checkup))
    }

    async fn backup_at(&self, app: &AppRecord) -> Result<Option<Timestamp>, AppError> {
        let Some(stored) = self.node().record(&backup_key(&app.id)).await? else {
            return Ok(None);
        };
        let backup: Backup = serde_json::from_slice(&stored).map_err(|e| AppError::internal("reading a record", e))?;
        let is_same = backup.app_created_at == app.created_at.millis();
        Ok(is_same.then(|| Timestamp::from_millis(backup.at)))
    }
}

impl App {
    async fn check_up(&self) -> Result<Checkup, AppError> {
        let admins = self.usable_admins().await?;
        let root = admins.iter().find(|(_, c)| fold(&c.username) == "root");
        let has_root_root = match root.and_then(|(_, c)| c.hash.clone()) {
            Some(hash) => {
                let verdict = self.shared().hashing.verify(&Secret::new("root"), Some(hash)).await?;
                verdict != Verdict::Wrong
            }
            None => false,
        };
        Ok(Checkup {
            id: self.id().clone(),
            settings: self.settings().as_ref().clone(),
            exposures: exposures(&self.schema()).map_err(no_randomness)?,
            file_exposures: file_exposures(self.all_buckets().await?.iter().map(|bucket| &**bucket))
                .map_err(no_randomness)?,
            seen_by_anybody: self.users_seen_by(&Principal::anonymous()).await?,
            seen_by_users: self.users_seen_by(&any_user().map_err(no_randomness)?).await?,
            n_admins: admins.len(),
            has_root_root,
            has_setup_link: self.has_setup_link().await?,
            has_audit_log: self.schema().class(AUDIT_LOG).is_some(),
            backup_at: None,
        })
    }

    /// The users that this caller can load or find, by the rules of the class, of each of them, and of its fields.
    async fn users_seen_by(&self, caller: &Principal) -> Result<SeenUsers, AppError> {
        let schema = self.schema();
        let class = self.entity(&schema, USER)?;
        let granted = authorize(caller, Operation::Load, class).or_else(|_| authorize(caller, Operation::Query, class));
        let Ok(grant) = granted else {
            return Ok(SeenUsers::default());
        };
        let everything = parse_filter(&json!({}), &schema, class, &self.limits().query)?;
        let is_readable =
            |name: &str| grant.fields().may_read(name, Objects::All) && class.metadata_type(name).is_none();
        let fields = class.fields().iter().map(|field| field.name());
        Ok(SeenUsers {
            count: self.store().count(&grant, &everything).await?,
            fields: fields.filter(|name| is_readable(name)).map(str::to_owned).collect(),
        })
    }
}

fn no_randomness(error: NoRandomness) -> AppError {
    AppError::internal("making up a user", error)
}
