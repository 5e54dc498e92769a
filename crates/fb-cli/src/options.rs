//! What a deployment is asked to do, and what it is allowed to.

use crate::CliError;

/// What is deployed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// Files.
    pub www: bool,
    /// Modules and handlers.
    pub code: bool,
    /// Classes, and permissions of buckets.
    pub schema: bool,
    /// They were named: one without a folder is an error.
    pub named: bool,
}

impl Parts {
    /// Whatever has a folder.
    pub const ALL: Self = Self {
        www: true,
        code: true,
        schema: true,
        named: false,
    };

    /// Reads `www,code,schema`.
    pub fn parse(text: &str) -> Result<Self, CliError> {
        let mut parts = Self {
            www: false,
            code: false,
            schema: false,
            named: true,
        };
        for name in text.split(',').map(str::trim) {
            match name {
                "www" => parts.www = true,
                "code" => parts.code = true,
                "schema" => parts.schema = true,
                other => {
                    return Err(CliError::Usage(format!(
                        "`{other}` is nothing to deploy; there are www, code and schema"
                    )));
                }
            }
        }
        Ok(parts)
    }
}

/// How it is deployed.
#[derive(Debug, Clone)]
pub struct DeployOptions {
    /// What.
    pub parts: Parts,
    /// Show it only.
    pub dry_run: bool,
    /// Everybody may gain access without logging in.
    pub allow_public: bool,
    /// Fields and classes may go with their data.
    pub allow_data_loss: bool,
    /// What is not in the folder goes.
    pub prune: bool,
    /// Do not ask.
    pub yes: bool,
    /// Say what happened as one JSON object.
    pub json: bool,
}
