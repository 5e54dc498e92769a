//! Live queries on the wire: WebSockets ([`socket`]) and server-sent events ([`stream`]), with the messages of protocol 08.
//!
//! Both are places of one table ([`places`]), which limits them and ends them when the server stops. That events come behind the
//! answers of the requests that caused them is the work of [`behind`].

mod behind;
mod freed;
mod handshake;
mod line;
mod places;
mod socket;
mod stream;
mod wait;
mod wire;

pub(crate) use behind::{Answered, Flushed, Flushing, Watched};
pub(crate) use handshake::{accept, upgrade_of};
pub(crate) use places::{Kind, Places};
pub(crate) use socket::Socket;
pub(crate) use stream::Events as EventStream;
pub(crate) use stream::events;
pub(crate) use wire::events_of;

use fb_app::App;

use crate::error::ApiError;
use crate::server::ServerState;

/// Server errors are logged once, under the id of the request that the connection began with.
fn log(state: &ServerState, app: &App, number: u64, error: &ApiError) {
    if error.code.status >= 500 {
        let id = state.request_ids.text(number);
        let source = error.source.as_deref().map(ToString::to_string).unwrap_or_default();
        tracing::error!(request.id = %id, app = %app.id(), code = error.code.name, "live query: {}: {source}", error.message);
    }
}
