//! HTTP: protocol v1, the admin API, the setup page, health and metrics. The only crate that knows a status code.
//!
//! Knows nothing of SQL, files or the environment; decides nothing about rights: it turns requests into typed calls of
//! `fb-app` and outcomes into answers.

// The OpenAPI document is one big literal.
#![recursion_limit = "256"]

mod code;
mod codes;
mod content;
mod context;
mod cors;
mod counted;
mod edges;
mod error;
mod hosting;
mod https;
mod listen;
mod live;
mod metrics;
mod multipart;
mod openapi;
mod qr;
mod reply;
mod route;
mod routes;
mod server;
mod source;

pub use codes::{CODES, Code};
pub use edges::{EdgeAccess, Purges};
pub use https::Https;
pub use listen::Listeners;
pub use openapi::document as openapi_document;
pub use route::{Access, Route, table as route_table};
pub use server::{HttpLimits, RouteConflict, Server, ServerOptions};
pub use source::TrustedProxy;
