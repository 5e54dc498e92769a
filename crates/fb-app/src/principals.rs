//! From a token to the caller with its roles.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use fb_auth::{Claims, Errand, Principal, Roles, TokenError, TokenKind, system};
use fb_query::{Query, parse_filter};
use fb_types::schema::ROLE;
use fb_types::{ObjectId, ObjectKey, Stored, Version};
use serde_json::json;

use crate::{App, AppError};

/// Most users whose roles are remembered per app.
const REMEMBERED: usize = 10_000;
/// Most roles one user can be in.
const MAX_ROLES: u64 = 1000;

/// A caller whose token was checked.
#[derive(Debug, Clone)]
pub struct Session {
    /// Who it is.
    pub principal: Principal,
    /// What the token said.
    pub claims: Claims,
    /// The user as it is now, whole: what it may see of itself is [`App::me`]'s business.
    pub(crate) user: Arc<Stored>,
}

/// What is known of a user between requests.
#[derive(Debug, Clone)]
struct Known {
    generation: u64,
    /// The user object the rest was read from.
    version: Version,
    principal: Principal,
    epoch: u32,
    inactive: bool,
}

/// Roles and epochs by user, until any role or credentials change.
#[derive(Default)]
pub(crate) struct PrincipalCache {
    generation: AtomicU64,
    /// Short critical sections without I/O; many readers.
    by_user: RwLock<HashMap<ObjectKey, Known>>,
}

impl PrincipalCache {
    /// A role or somebody's credentials were written: forget everything, also what is being resolved.
    pub(crate) fn invalidate(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn get(&self, user: &ObjectKey, version: Version) -> Option<Known> {
        let generation = self.generation.load(Ordering::Acquire);
        let by_user = self.by_user.read().unwrap_or_else(PoisonError::into_inner);
        by_user
            .get(user)
            .filter(|known| known.generation == generation && known.version == version)
            .cloned()
    }

    fn put(&self, user: ObjectKey, known: Known) {
        let mut by_user = self.by_user.write().unwrap_or_else(PoisonError::into_inner);
        if by_user.len() >= REMEMBERED {
            by_user.clear();
        }
        by_user.insert(user, known);
    }
}

/// How a token came.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Presented<'a> {
    /// In `Authorization`: good for everything.
    User(&'a str),
    /// In the URL: good for reading this path.
    Resource { token: &'a str, path: &'a str },
}

impl App {
    /// The caller that presents this user token.
    pub async fn authenticate(&self, token: &str) -> Result<Session, AppError> {
        self.session(Presented::User(token)).await
    }

    /// The caller that presents this token in the URL of `path`, for reading exactly that.
    pub async fn authenticate_resource(&self, token: &str, path: &str) -> Result<Session, AppError> {
        self.session(Presented::Resource { token, path }).await
    }

    async fn session(&self, presented: Presented<'_>) -> Result<Session, AppError> {
        let now = self.clock().now();
        let claims = match presented {
            Presented::User(token) => self.tokens().verify(token, now),
            Presented::Resource { token, path } => self.tokens().verify_resource(token, path, now),
        }
        .map_err(|error| match error {
            TokenError::Invalid | TokenError::Expired => AppError::BadToken,
        })?;
        let user = self.user(claims.user.key()).await?.ok_or(AppError::BadToken)?;
        let known = self.known(&claims.user, &user).await?;
        if known.inactive || known.epoch != claims.epoch {
            return Err(AppError::BadToken);
        }
        let principal = match &claims.kind {
            TokenKind::Session { .. } | TokenKind::Api => known.principal,
            // Decided anew with every request: whoever has left the role has nothing.
            TokenKind::Role(role) => known.principal.limited_to(role).ok_or(AppError::BadToken)?,
            TokenKind::SecondFactor { .. } => return Err(AppError::BadToken),
        };
        Ok(Session {
            principal,
            claims,
            user,
        })
    }

    /// A user with all roles it is a member of now.
    pub(crate) async fn principal_of(&self, id: &ObjectId, user: &Stored) -> Result<Principal, AppError> {
        Ok(self.known(id, user).await?.principal)
    }

    /// What there is to know of a user: all roles it is a member of now, its epoch, whether it is active.
    async fn known(&self, id: &ObjectId, user: &Stored) -> Result<Known, AppError> {
        if let Some(known) = self.principals().get(id.key(), user.version) {
            return Ok(known);
        }
        let generation = self.principals().generation.load(Ordering::Acquire);
        let credentials = self.credentials(id.key()).await?;
        let schema = self.schema();
        let class = schema.class(ROLE).ok_or_else(|| AppError::NoClass(ROLE.into()))?;
        let filter = parse_filter(
            &json!({ "users": id.to_string() }),
            &schema,
            class,
            &self.limits().query,
        )?;
        let query = Query::new(class, filter, Vec::new(), 0, MAX_ROLES);
        let rows = self
            .store()
            .query(&system(Errand::ResolvePrincipal).grant(class.name()), &query)
            .await?;
        let ids = rows
            .rows()
            .iter()
            .map(|row| format!("/db/{ROLE}/{}", row.key))
            .collect();
        let known = Known {
            generation,
            version: user.version,
            principal: Principal::user(id.clone(), Roles::new(ids)),
            epoch: credentials.map_or(0, |c| c.epoch),
            inactive: crate::accounts::is_inactive(user),
        };
        self.principals().put(id.key().clone(), known.clone());
        Ok(known)
    }
}
