//! From a token to the caller with its roles.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use fb_auth::{Claims, Errand, Principal, Roles, TokenError, system};
use fb_query::{Query, parse_filter};
use fb_types::schema::{ROLE, USER};
use fb_types::{ObjectId, Stored};
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

/// Roles by user, until any role or user changes.
#[derive(Default)]
pub(crate) struct RoleCache {
    generation: AtomicU64,
    /// Short critical sections without I/O; many readers.
    by_user: RwLock<HashMap<ObjectId, (u64, Principal)>>,
}

impl RoleCache {
    /// A role was written: forget everything, also what is being resolved.
    pub(crate) fn invalidate(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    fn get(&self, user: &ObjectId) -> Option<Principal> {
        let generation = self.generation.load(Ordering::Acquire);
        let by_user = self.by_user.read().unwrap_or_else(PoisonError::into_inner);
        by_user
            .get(user)
            .filter(|(known, _)| *known == generation)
            .map(|(_, principal)| principal.clone())
    }

    fn put(&self, user: ObjectId, generation: u64, principal: Principal) {
        let mut by_user = self.by_user.write().unwrap_or_else(PoisonError::into_inner);
        if by_user.len() >= REMEMBERED {
            by_user.clear();
        }
        by_user.insert(user, (generation, principal));
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
        let user = self
            .fetch_for(Errand::ResolvePrincipal, USER, claims.user.key())
            .await?;
        let user = user.ok_or(AppError::BadToken)?;
        let principal = self.principal_of(&claims.user).await?;
        Ok(Session {
            principal,
            claims,
            user,
        })
    }

    /// The user with all roles it is a member of now.
    pub(crate) async fn principal_of(&self, user: &ObjectId) -> Result<Principal, AppError> {
        if let Some(principal) = self.roles().get(user) {
            return Ok(principal);
        }
        let generation = self.roles().generation.load(Ordering::Acquire);
        let schema = self.schema();
        let class = schema.class(ROLE).ok_or_else(|| AppError::NoClass(ROLE.into()))?;
        let filter = parse_filter(
            &json!({ "users": user.to_string() }),
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
        let principal = Principal::user(user.clone(), Roles::new(ids));
        self.roles().put(user.clone(), generation, principal.clone());
        Ok(principal)
    }
}
