//! The sources of an app's code: read, list, write, delete.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::Arc;

use fb_auth::{Principal, authorize_admin};
use fb_functions::Code;
use fb_store::{Batch, Expect, Outcome, Store, StoreError, Write};
use fb_types::{BucketName, Schema};
use serde_json::json;

use crate::accounts::record;
use crate::audit::Action;
use crate::triggers::has_events;
use crate::{App, AppError};

/// Where sources are kept: `<bucket>/<type>`, the text as it was sent.
const SPACE: &str = "code";

/// How many records are read at once.
const PAGE: usize = 64;

/// Most pieces of code of one app.
const MAX_SOURCES: usize = 1000;

/// Largest source in bytes. Modules come with what they depend on.
const MAX_SOURCE: usize = 4 << 20;

/// Most bytes of all sources of an app, which are in memory while it is awake.
const MAX_TOTAL: usize = 32 << 20;

/// What a piece of code is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CodeType {
    /// Before inserts of a class.
    Insert,
    /// Before updates of a class.
    Update,
    /// Before deletes of a class.
    Delete,
    /// Checks of a class's fields.
    Validate,
    /// Called by clients, jobs and other code.
    Module,
    /// After inserts of a class.
    AfterInsert,
    /// After updates of a class.
    AfterUpdate,
    /// After deletes of a class.
    AfterDelete,
    /// After uploads to a bucket of files.
    AfterUpload,
}

impl CodeType {
    /// All there are.
    pub const ALL: [Self; 9] = [
        Self::Insert,
        Self::Update,
        Self::Delete,
        Self::Validate,
        Self::Module,
        Self::AfterInsert,
        Self::AfterUpdate,
        Self::AfterDelete,
        Self::AfterUpload,
    ];

    /// As in `/code/<bucket>/<type>`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "insert",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Validate => "validate",
            Self::Module => "module",
            Self::AfterInsert => "afterInsert",
            Self::AfterUpdate => "afterUpdate",
            Self::AfterDelete => "afterDelete",
            Self::AfterUpload => "afterUpload",
        }
    }

    /// What its bucket is.
    fn subject(self) -> Subject {
        match self {
            Self::Module => Subject::Module,
            Self::AfterUpload => Subject::Bucket,
            Self::Insert
            | Self::Update
            | Self::Delete
            | Self::Validate
            | Self::AfterInsert
            | Self::AfterUpdate
            | Self::AfterDelete => Subject::Class,
        }
    }

    /// True if it is told of what was written to a class.
    fn runs_after_writes(self) -> bool {
        matches!(self, Self::AfterInsert | Self::AfterUpdate | Self::AfterDelete)
    }

    /// True if it has a say in what is written.
    fn runs_before_writes(self) -> bool {
        matches!(self, Self::Insert | Self::Update | Self::Delete | Self::Validate)
    }
}

/// What the bucket in `/code/<bucket>/<type>` names.
enum Subject {
    Class,
    Bucket,
    Module,
}

impl FromStr for CodeType {
    type Err = AppError;

    fn from_str(text: &str) -> Result<Self, AppError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let known: Vec<&str> = Self::ALL.iter().map(|kind| kind.as_str()).collect();
            let found: String = text.chars().take(40).collect();
            AppError::Invalid(format!(
                "there is no type of code `{found}`; there are {}",
                known.join(", ")
            ))
        })
    }
}

fn is_hook(module: &str) -> bool {
    module.starts_with("user.") || module.starts_with("oauth.")
}

/// All sources of an app, as they are now.
pub(crate) struct Sources {
    code: Arc<Code>,
    types: HashMap<String, Vec<CodeType>>,
    has_handlers: bool,
    has_hooks: bool,
    bytes: usize,
    count: usize,
}

impl Sources {
    pub(super) async fn load(store: &dyn Store) -> Result<Self, AppError> {
        let mut all: Vec<(String, CodeType, Arc<str>)> = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let page = store.records(SPACE, after.as_deref(), PAGE).await?;
            let is_last = page.len() < PAGE;
            after = page.last().map(|(key, _)| key.clone());
            for (key, value) in page {
                let unreadable = || AppError::internal("reading code", format!("the record {key} makes no sense"));
                let (bucket, kind) = key.rsplit_once('/').ok_or_else(unreadable)?;
                let kind: CodeType = kind.parse().map_err(|_| unreadable())?;
                let text = String::from_utf8(value).map_err(|_| unreadable())?;
                all.push((bucket.to_owned(), kind, text.into()));
            }
            if is_last {
                break;
            }
        }
        let mut types: HashMap<String, Vec<CodeType>> = HashMap::new();
        for (bucket, kind, _) in &all {
            types.entry(bucket.clone()).or_default().push(*kind);
        }
        Ok(Self {
            types,
            has_handlers: all.iter().any(|(_, kind, _)| kind.runs_before_writes()),
            has_hooks: all
                .iter()
                .any(|(name, kind, _)| *kind == CodeType::Module && is_hook(name)),
            bytes: all.iter().map(|(_, _, text)| text.len()).sum(),
            count: all.len(),
            code: Arc::new(Code::new(
                all.into_iter()
                    .map(|(bucket, kind, text)| (bucket, kind.as_str().to_owned(), text)),
            )),
        })
    }

    pub(crate) fn code(&self) -> &Arc<Code> {
        &self.code
    }

    pub(crate) fn has(&self, bucket: &str, kind: CodeType) -> bool {
        !self.types.is_empty() && self.types.get(bucket).is_some_and(|kinds| kinds.contains(&kind))
    }

    /// The buckets that have code of this type.
    pub(crate) fn buckets_with(&self, kind: CodeType) -> impl Iterator<Item = &str> {
        let with = self.types.iter().filter(move |(_, kinds)| kinds.contains(&kind));
        with.map(|(bucket, _)| bucket.as_str())
    }

    /// True if any code has a say in writes.
    pub(crate) fn has_handlers(&self) -> bool {
        self.has_handlers
    }

    /// True if there is code that has a say in mails or logins.
    pub(crate) fn has_hooks(&self) -> bool {
        self.has_hooks
    }

    /// True if there is code of a class that there is not.
    pub(crate) fn has_orphans(&self, schema: &Schema) -> bool {
        let mut ids = self.ids().into_iter();
        ids.any(|(bucket, kind)| matches!(kind.subject(), Subject::Class) && schema.class(bucket).is_none())
    }

    fn get(&self, bucket: &str, kind: CodeType) -> Option<Arc<str>> {
        self.code.get(bucket, kind.as_str()).cloned()
    }

    /// In the order of their names.
    fn ids(&self) -> Vec<(&str, CodeType)> {
        let mut ids: Vec<_> = self
            .types
            .iter()
            .flat_map(|(bucket, kinds)| kinds.iter().map(move |kind| (bucket.as_str(), *kind)))
            .collect();
        ids.sort_by_key(|(bucket, kind)| (*bucket, kind.as_str()));
        ids
    }
}

/// Writes that remove the code of classes that are removed.
pub(crate) fn removal(sources: &Sources, is_removed: impl Fn(&str) -> bool) -> Vec<Write> {
    let of_class = |kind: &CodeType| matches!(kind.subject(), Subject::Class);
    let ids = sources.ids().into_iter();
    ids.filter(|(bucket, kind)| of_class(kind) && is_removed(bucket))
        .map(|(bucket, kind)| record(SPACE, &key(bucket, kind), Expect::Anything, None))
        .collect()
}

fn key(bucket: &str, kind: CodeType) -> String {
    format!("{bucket}/{}", kind.as_str())
}

fn id(bucket: &str, kind: CodeType) -> String {
    format!("/code/{bucket}/{}", kind.as_str())
}

impl App {
    /// The ids of all modules: `/code/<name>/module`.
    pub fn list_modules(&self, caller: &Principal) -> Result<Vec<String>, AppError> {
        authorize_admin(caller, "list code")?;
        let sources = self.code().sources.load();
        let ids = sources.ids().into_iter();
        Ok(ids
            .filter(|(_, kind)| *kind == CodeType::Module)
            .map(|(bucket, kind)| id(bucket, kind))
            .collect())
    }

    /// Ids and texts of all code, in the order of the ids.
    pub fn all_code(&self, caller: &Principal) -> Result<Vec<(String, Arc<str>)>, AppError> {
        authorize_admin(caller, "read code")?;
        let sources = self.code().sources.load();
        let ids = sources.ids().into_iter();
        Ok(ids
            .filter_map(|(bucket, kind)| Some((id(bucket, kind), sources.get(bucket, kind)?)))
            .collect())
    }

    /// The text of one piece of code.
    pub fn read_code(&self, caller: &Principal, bucket: &str, kind: CodeType) -> Result<Arc<str>, AppError> {
        authorize_admin(caller, "read code")?;
        let found = self.code().sources.load().get(bucket, kind);
        found.ok_or_else(|| no_code(bucket, kind))
    }

    /// The checks that a class publishes to its clients.
    pub fn validation_code(&self, class: &str) -> Option<Arc<str>> {
        self.code().sources.load().get(class, CodeType::Validate)
    }

    /// Writes one piece of code; calls that begin afterwards run it.
    pub async fn write_code(
        &self,
        caller: &Principal,
        bucket: &str,
        kind: CodeType,
        text: &str,
    ) -> Result<(), AppError> {
        authorize_admin(caller, "write code")?;
        if text.len() > MAX_SOURCE {
            return Err(AppError::TooLarge(format!("code may have at most {MAX_SOURCE} bytes")));
        }
        // A class that goes takes its code along, so none may come while it goes.
        let _no_schema_change = self.schema_edits.lock().await;
        self.check_subject(bucket, kind)?;
        let lock = self.code().edits.clone().lock_owned().await;
        let sources = self.code().sources.load_full();
        let old = sources.get(bucket, kind);
        if old.is_none() && sources.count >= MAX_SOURCES {
            return Err(AppError::TooLarge(format!(
                "an app has at most {MAX_SOURCES} pieces of code"
            )));
        }
        let others = sources.bytes - old.as_ref().map_or(0, |old| old.len());
        if others + text.len() > MAX_TOTAL {
            return Err(AppError::TooLarge(format!(
                "all code of an app together may have at most {MAX_TOTAL} bytes"
            )));
        }
        if old.as_deref() == Some(text) {
            // Whoever writes it again may do so because the first time was cut off.
            self.refresh_duties().await;
            return Ok(());
        }
        let entry = self.audit(
            &self.schema(),
            caller,
            Action::CodeWritten,
            &id(bucket, kind),
            json!({ "bytes": text.len() }),
        )?;
        let write = record(SPACE, &key(bucket, kind), Expect::Anything, Some(text.as_bytes()));
        self.commit_code(vec![write, entry], lock).await
    }

    /// Deletes one piece of code. What is not there is no error.
    pub async fn delete_code(&self, caller: &Principal, bucket: &str, kind: CodeType) -> Result<(), AppError> {
        authorize_admin(caller, "delete code")?;
        let lock = self.code().edits.clone().lock_owned().await;
        if !self.code().sources.load().has(bucket, kind) {
            return Ok(());
        }
        let entry = self.audit(
            &self.schema(),
            caller,
            Action::CodeDeleted,
            &id(bucket, kind),
            json!({}),
        )?;
        let write = record(SPACE, &key(bucket, kind), Expect::Anything, None);
        self.commit_code(vec![write, entry], lock).await
    }

    /// Commits, and takes over what is there then, also for those who get events. Like [`App::commit_and`], all of it happens
    /// although the caller may go away.
    async fn commit_code(&self, writes: Vec<Write>, lock: tokio::sync::OwnedMutexGuard<()>) -> Result<(), AppError> {
        let (store, sources) = (self.store_handle(), self.code().sources.clone());
        let app = self.handle();
        let work = async move {
            let _one_at_a_time = lock;
            let committed: Result<Vec<Outcome>, StoreError> = store.commit(Batch { writes }).await;
            committed?;
            let loaded = Arc::new(Sources::load(&*store).await?);
            match app {
                Some(app) => {
                    app.take_over(loaded);
                    app.refresh_duties().await;
                }
                None => sources.store(loaded),
            }
            Ok(())
        };
        match tokio::spawn(work).await {
            Ok(result) => result,
            Err(error) => Err(AppError::internal("writing code", error)),
        }
    }

    /// Takes over code that was written together with something else.
    pub(crate) async fn reload_code(&self) -> Result<(), AppError> {
        let _one_at_a_time = self.code().edits.lock().await;
        let loaded = Sources::load(self.store()).await?;
        self.take_over(Arc::new(loaded));
        self.refresh_duties().await;
        Ok(())
    }

    /// These are the sources from now on. Whatever modules answered before is out of date.
    fn take_over(&self, sources: Arc<Sources>) {
        let caching = self.caching();
        caching.changing();
        self.code().sources.store(sources);
        caching.code_changed();
        caching.changed();
    }

    fn check_subject(&self, bucket: &str, kind: CodeType) -> Result<(), AppError> {
        let schema: Arc<Schema> = self.schema();
        match kind.subject() {
            Subject::Class if kind.runs_after_writes() && !has_events(bucket) => Err(AppError::Invalid(format!(
                "there are no events of {bucket}: what fails is logged, which would be the next event"
            ))),
            Subject::Class => self.entity(&schema, bucket).map(|_| ()),
            Subject::Bucket => Ok(BucketName::new(bucket).map(|_| ())?),
            Subject::Module => {
                let is_known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
                let is_name = bucket.len() <= 128 && bucket.bytes().all(is_known);
                if is_name && bucket.split('.').all(|part| !part.is_empty()) {
                    return Ok(());
                }
                Err(AppError::Invalid(
                    "the name of a module consists of letters, digits, hyphens, underscores, and dots between them, at most 128 in all".into(),
                ))
            }
        }
    }
}

pub(super) fn no_code(bucket: &str, kind: CodeType) -> AppError {
    let bucket: String = bucket.chars().take(128).collect();
    AppError::Code(Box::new(fb_functions::CallError::NoCode {
        bucket,
        code_type: kind.as_str().to_owned(),
    }))
}
