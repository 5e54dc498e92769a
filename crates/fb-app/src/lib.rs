//! One running app, and the set of apps of a node: all use cases, on typed values.
//!
//! Knows nothing of HTTP (no status codes, no headers, no URL layout), SQL or the environment. Every use case asks the
//! authorization kernel of `fb-auth` first; every write goes through [`Store::commit`](fb_store::Store::commit).

mod accounts;
mod app;
mod app_log;
mod apps;
mod audit;
mod backup;
mod cache;
pub mod caching;
mod checkup;
mod devices;
mod directory;
mod errands;
mod error;
pub mod files;
pub mod functions;
mod hashing;
mod hosting;
mod indexes;
mod kept;
mod letters;
mod limits;
mod live;
pub mod objects;
mod operator;
mod principals;
mod prune;
mod query;
pub mod schema;
mod settings;
mod setup;
mod triggers;
mod view;
mod visits;

pub use accounts::{
    Account, MfaStatus, NewFactor, NewUser, OAuthCallback, OAuthEnd, OAuthWish, PasswordChange, Registered, Source,
};
pub use app::App;
pub use apps::{Apps, AppsOptions, NewApp};
pub use backup::Copied;
pub use checkup::{Checkup, SeenUsers};
pub use devices::{ApnsUpload, DeviceWish, PushCounts, RegisteredDevice};
pub use directory::Directory;
pub use errands::{AdminErrand, ErrandId, ErrandOutcome};
pub use error::AppError;
pub use fb_archive::ArchiveError;
pub use fb_auth::{Audience, Exposure, FileExposure};
pub use hosting::{BasicAuth, HostingSettings, Site, Visit};
pub use letters::{Letter, Recipients};
pub use limits::AppLimits;
pub use live::{
    Events, LiveCaller, LiveConnection, LiveEnd, LiveMessage, LiveSink, LiveSource, LiveStats, LiveText, LiveWish,
    LiveWritten, Matches, Operations, Resume, TicketSlot, WriteTicket,
};
pub use operator::{OperatorCheckup, OperatorError};
pub use principals::Session;
pub use prune::{LogRetention, LogSettings};
pub use query::{QueryRequest, RawFilter};
pub use settings::{Lockout, MailSettings, OAuthSettings, Profile, RateLimit, Registration, Settings};
pub use setup::{FirstAdmin, SetupLink};
pub use triggers::{DeadLetter, DeadLetters, EventKind, TriggerState, Webhook, WebhookEvents, WebhookSettings};
pub use visits::RequestLimit;
