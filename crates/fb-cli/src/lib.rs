//! What app developers do from their own machine: log in, compare a project folder with an app, deploy it, look at its code
//! and its log. Speaks to a server over HTTP(S) like any client.
//!
//! Knows nothing of storage or of the server's code. Whether something is public is decided with the server's own rules
//! (`fb-auth`), so that what a deployment shows is what it does. Reads no environment and prints nothing by itself ([`Ui`]).
//!
//! ```no_run
//! # async fn example(ui: &dyn fb_cli::Ui) -> Result<(), fb_cli::CliError> {
//! use fb_cli::{Api, DeployOptions, Parts, Project};
//! let project = Project::open(".".as_ref())?;
//! let api = Api::new(project.target(None, None)?, None, "example")?.with_token(&fb_auth::Secret::new("…"))?;
//! let options = DeployOptions { parts: Parts::ALL, dry_run: true, allow_public: false, allow_data_loss: false, prune: false,
//!     yes: false, json: false };
//! fb_cli::deploy(&api, &project, &options, ui).await
//! # }
//! ```

mod api;
mod change;
mod code;
mod deploy;
mod error;
mod files;
mod http;
mod ignore;
mod jsonc;
mod logins;
mod manage;
mod options;
mod project;
mod pull;
mod schema;
mod target;
mod tree;
mod ui;
mod write;

pub use api::{Api, LoggedIn};
pub use code::CodeId;
pub use deploy::deploy;
pub use error::{BoxError, CliError};
pub use logins::{Login, Logins};
pub use manage::{LogOptions, delete_code, get_code, list_code, put_code, show_log};
pub use options::{DeployOptions, Parts};
pub use project::{FILE, Project};
pub use pull::{pull_code, pull_schema};
pub use target::Target;
pub use ui::{Ui, clean};
