//! Answers that are not for everybody, for edges of this server: with the rules that decide who may have them, and with who the caller is.
//!
//! An edge gets nothing that the caller whose token it passes on may not see, and no key of tokens: only this server says what a token is
//! worth, for a while, and says so anew when that changes ([`super::tags::rights`], [`super::tags::user`]).

use std::time::Duration;

use fb_auth::{FileOperation, LoadRules, Operation, PrincipalNote, TokenKind, authorize, authorize_file};
use fb_types::{FileId, ObjectKey, Timestamp};

use super::keep::is_kept;
use super::{element, purges, tags};
use crate::files::OpenFile;
use crate::objects::Seen;
use crate::{App, AppError, Session};

/// How a caller showed its token.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    /// In a header: good for everything.
    Header(&'a str),
    /// In the URL of this path: good for reading that.
    Url {
        /// The token.
        token: &'a str,
        /// The path of the request, with the API's base.
        path: &'a str,
    },
}

/// What an edge needs to decide by itself who else may have an answer.
#[derive(Debug, Clone)]
pub struct Guarded {
    /// Who may load it.
    pub rules: LoadRules,
    /// Names that it is purged by.
    pub names: Vec<String>,
    /// Who asked.
    pub caller: PrincipalNote,
    /// Names that what is known of the caller is purged by.
    pub caller_names: Vec<String>,
    /// For how long all of this may be used, in whole seconds, at least one.
    pub seconds: u64,
}

impl App {
    /// The object as [`Self::load`] gives it to whoever shows this token, and what an edge needs to give it to others. `None` if edges must
    /// not keep it. `session` is what the token was found to be worth before.
    ///
    /// As in [`Self::load_to_keep`] the copy is in the books before anything is looked at for good, the token included.
    pub async fn load_for_edge(
        &self,
        session: &Session,
        shown: Shown<'_>,
        bucket: &str,
        key: &ObjectKey,
    ) -> Result<Option<(Seen, Guarded)>, AppError> {
        if !self.settings().caching.enabled || !is_kept(bucket) {
            return Ok(None);
        }
        let name = self.entity(&self.schema(), bucket)?.name().clone();
        let Some(promised) = self.promise_guarded(element::of_object(name.as_str(), key), session) else {
            return Ok(None);
        };
        let Some(vouched) = self.vouch(shown, promised).await? else {
            return Ok(None);
        };
        let caller = vouched.session.principal.clone();
        let found = self
            .despite_schema_changes(|| async {
                let schema = self.schema();
                let class = self.entity(&schema, bucket)?;
                let grant = authorize(&caller, Operation::Load, class)?;
                let Some(object) = self.fetch(&schema, class, &grant, key).await? else {
                    return Err(AppError::NoObject(Self::id_of(class, key).to_string()));
                };
                let rules = LoadRules::of_object(class, object.acl.as_deref());
                Ok((Seen::new(&schema, class, grant.fields(), object)?, rules))
            })
            .await?;
        let (seen, rules) = found;
        if seen.depends_on_caller() || seen.is_cut() {
            return Ok(None);
        }
        let app = self.id();
        let names = [tags::app(app), tags::class(app, bucket), tags::object(app, bucket, key)];
        Ok(Some((seen, vouched.guarded(self, rules, names))))
    }

    /// The same for a file. `None` also if its own headers say what caches may do.
    pub async fn open_file_for_edge(
        &self,
        session: &Session,
        shown: Shown<'_>,
        id: &FileId,
    ) -> Result<Option<(OpenFile, Guarded)>, AppError> {
        if !self.settings().caching.enabled {
            return Ok(None);
        }
        let Some(promised) = self.promise_guarded(element::of_file(id), session) else {
            return Ok(None);
        };
        let Some(vouched) = self.vouch(shown, promised).await? else {
            return Ok(None);
        };
        let caller = vouched.session.principal.clone();
        // The rules first: a bucket that changes behind this purges what is made of them.
        let (bucket, _) = self.bucket(id.bucket()).await?;
        authorize_file(&caller, FileOperation::Load, &bucket)?;
        let file = self.open_file(&caller, id).await?;
        if super::keep::says_itself(&file) {
            return Ok(None);
        }
        let rules = LoadRules::of_file(&bucket, file.entry().acl.as_deref());
        let app = self.id();
        let names = [
            tags::app(app),
            tags::bucket(app, id.bucket().as_str()),
            tags::file(app, id),
        ];
        Ok(Some((file, vouched.guarded(self, rules, names))))
    }

    fn promise_guarded(&self, key: fb_sketch::KeyHash, session: &Session) -> Option<Duration> {
        let caching = self.caching();
        let now = caching.now();
        let of_user = purges::user(session.claims.user.key().as_str());
        let user = caching.purges.promise(of_user, now, caching.seed)?;
        Some(caching.purges.promise(key, now, caching.seed)?.min(user))
    }

    /// What a token is worth now, and for how long that may be said. `None` if not for long enough.
    async fn vouch(&self, shown: Shown<'_>, promised: Duration) -> Result<Option<Vouched>, AppError> {
        let session = match shown {
            Shown::Header(token) => self.authenticate(token).await?,
            Shown::Url { token, path } => self.authenticate_resource(token, path).await?,
        };
        let now = self.clock().now();
        let left = session.claims.expires_at.millis().saturating_sub(now.millis()) / 1000;
        let seconds = u64::try_from(left).unwrap_or(0).min(promised.as_secs());
        // Also by the keys there will be just before: one may be about to retire.
        let span = i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        let then = Timestamp::from_millis(now.millis().saturating_add(span).saturating_sub(1));
        let tokens = self.tokens();
        let is_good_then = match shown {
            Shown::Header(token) => tokens.verify(token, then).is_ok(),
            Shown::Url { token, path } => tokens.verify_resource(token, path, then).is_ok(),
        };
        if seconds == 0 || !is_good_then {
            return Ok(None);
        }
        let limited_to = match &session.claims.kind {
            TokenKind::Session { .. } | TokenKind::Api => None,
            TokenKind::Role(role) => Some(role.clone()),
            TokenKind::SecondFactor { .. } => return Ok(None),
        };
        let full = self.principal_of(&session.claims.user, &session.user).await?;
        let caller = PrincipalNote::new(&session.claims.user, &full, limited_to.as_ref());
        // Whatever the note says has to be what the session is.
        if caller.principal().as_ref() != Some(&session.principal) {
            return Ok(None);
        }
        Ok(Some(Vouched {
            session,
            caller,
            seconds,
        }))
    }
}

/// A caller whose token was checked with its copy in the books.
struct Vouched {
    session: Session,
    caller: PrincipalNote,
    seconds: u64,
}

impl Vouched {
    fn guarded(self, app: &App, rules: LoadRules, names: [String; 3]) -> Guarded {
        let user = tags::user(app.id(), self.session.claims.user.key());
        Guarded {
            rules,
            names: names.into_iter().map(tags::private).collect(),
            caller: self.caller,
            caller_names: vec![tags::private(tags::app(app.id())), tags::rights(app.id()), user],
            seconds: self.seconds,
        }
    }
}
