//! How many requests one source may make, whatever they are: beyond that it is banned for a while.

use std::net::IpAddr;

use fb_auth::{Banned, Principal, VisitLimit, Visitor, authorize_admin};
use fb_store::Batch;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::audit::Action;
use crate::{App, AppError, Profile};

/// How many requests one source may make altogether, and what comes then. Requests of administrators and of the app's own
/// code do not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestLimit {
    /// Requests; 0 is no limit.
    pub requests: u32,
    /// Within so many seconds, 1 to 86,400.
    pub seconds: u32,
    /// So many seconds of nothing but 429 for whoever makes more, 1 to 604,800.
    pub ban_seconds: u32,
}

impl RequestLimit {
    /// What apps of this profile have unless they say otherwise.
    pub(crate) fn of(profile: Profile) -> Self {
        Self {
            requests: match profile {
                // Twenty per second for five minutes: more than the browsers of an office behind one address make.
                Profile::Secure => 6000,
                // Test suites come from one address.
                Profile::Baqend => 0,
            },
            seconds: 300,
            ban_seconds: 300,
        }
    }
}

impl App {
    /// Counts a request from this address; an error if its source is banned. Not for requests of administrators and code.
    pub fn count_visit(&self, address: IpAddr) -> Result<(), AppError> {
        let limit = self.settings().request_limit();
        if limit.requests == 0 {
            return Ok(());
        }
        let limit = VisitLimit {
            requests: limit.requests,
            seconds: limit.seconds,
            ban_seconds: limit.ban_seconds,
        };
        let now = self.clock().now();
        Ok(self.shared().visits.count(self.visitor(address), limit, now)?)
    }

    /// The ban of an address's source. Whoever asks about another source than its own has to be an administrator.
    pub fn ban_of(&self, address: IpAddr) -> Option<Banned> {
        match self.settings().request_limit().requests {
            0 => None,
            _ => self.shared().visits.ban_of(self.visitor(address), self.clock().now()),
        }
    }

    /// Lifts the ban of an address's source, or all bans, and forgets the requests of those sources.
    pub async fn lift_bans(&self, caller: &Principal, address: Option<IpAddr>) -> Result<(), AppError> {
        authorize_admin(caller, "lift bans")?;
        let target = address.map_or_else(|| "*".to_owned(), |address| address.to_canonical().to_string());
        self.despite_schema_changes(|| async {
            let entry = self.audit(&self.schema(), caller, Action::BansLifted, &target, json!({}))?;
            self.store().commit(Batch { writes: vec![entry] }).await?;
            Ok(())
        })
        .await?;
        let visits = &self.shared().visits;
        match address {
            Some(address) => visits.forgive(self.visitor(address)),
            None => visits.forgive_all(self.id().as_str()),
        }
        Ok(())
    }

    fn visitor(&self, address: IpAddr) -> Visitor {
        self.shared().visits.visitor(self.id().as_str(), address)
    }
}
