//! Handlers, one file per resource.

pub(crate) mod admin;
pub(crate) mod banned;
pub(crate) mod bulk;
pub(crate) mod caching;
pub(crate) mod code;
pub(crate) mod config;
pub(crate) mod connect;
pub(crate) mod devices;
pub(crate) mod events;
pub(crate) mod files;
pub(crate) mod indexes;
pub(crate) mod mail;
pub(crate) mod node;
pub(crate) mod objects;
pub(crate) mod push_keys;
pub(crate) mod queries;
pub(crate) mod root;
pub(crate) mod schema;
pub(crate) mod setup;
pub(crate) mod triggers;
pub(crate) mod users;
