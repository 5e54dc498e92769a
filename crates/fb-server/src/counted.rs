//! Requests for what may be kept: counted here, named to edges, and taken from what edges counted.
//!
//! Hits at an edge never come here. So an edge is told with each answer what requests for it are counted by ([`fb_edge::GROUP`]), and tells what it has
//! counted ([`fb_edge::REPORT_PATH`]). That is figures and nothing else: no answer depends on it.

use fb_app::caching::{Answered, Group};
use fb_edge::{GROUP, MAX_REPORT, read_report};
use http::{Method, header};

use crate::codes;
use crate::context::{Ctx, Request};
use crate::error::ApiError;
use crate::hosting;
use crate::reply::Reply;
use crate::server::ServerState;

impl Ctx {
    /// Counts the answer as one to a client's request for something that may be kept, and tells an edge what by.
    pub(crate) fn count(&self, reply: &mut Reply, group: Group<'_>) {
        let answered = match reply.status() {
            304 => Answered::Confirmed,
            _ => Answered::InFull,
        };
        // What an edge asks for itself no client has asked for.
        if self.request.edge.is_none_or(|edge| !edge.is_own) {
            self.app.count_answer(group, answered);
        }
        if self.request.edge.is_some() {
            reply.set_header(GROUP, &group.name(self.app.id()));
        }
    }
}

/// Takes a report of an edge. For everybody else there is nothing here. What is told of apps that are asleep, or are no more, is dropped.
pub(crate) async fn take_report(state: &ServerState, mut request: Request) -> Result<Reply, ApiError> {
    if request.edge.is_none() {
        return Err(hosting::nothing_here());
    }
    if request.method != Method::POST {
        let text = format!(
            "Edges tell here with POST what they have counted, not with {}.",
            request.method
        );
        return Err(ApiError::new(codes::METHOD_NOT_ALLOWED, text).with(header::ALLOW, "POST"));
    }
    let report = request.bytes(MAX_REPORT).await?;
    let counted =
        read_report(&report).map_err(|error| ApiError::bad_request(format!("The report is wrong: {error}.")))?;
    for one in counted {
        // Names of another version's groups are nobody's.
        if let Some((app, group)) = Group::parse(&one.group)
            && let Some(app) = state.apps.if_awake(app)
        {
            app.count_at_edge(group, one.hits, one.misses);
        }
    }
    Ok(Reply::empty(204))
}
