//! What code has to be stored and removed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::CodeId;
use crate::change::{Change, Kind, Part};
use crate::{Api, CliError};

/// The code of an app, by name.
pub(crate) type Remote = BTreeMap<CodeId, String>;

/// A change of code.
#[derive(Debug, Default)]
pub(crate) struct CodePlan {
    pub(crate) store: Vec<(CodeId, String)>,
    pub(crate) remove: Vec<CodeId>,
    pub(crate) changes: Vec<Change>,
    /// Code of the app that has no file, and stays.
    pub(crate) only_remote: Vec<String>,
}

/// Compares texts. With `prune` code without a file goes.
pub(crate) fn plan(local: &BTreeMap<CodeId, String>, remote: &Remote, prune: bool) -> CodePlan {
    let mut plan = CodePlan::default();
    for (id, text) in local {
        let kind = match remote.get(id) {
            None => Kind::Add,
            Some(known) if known == text => continue,
            Some(_) => Kind::Change,
        };
        plan.changes.push(Change::new(Part::Code, kind, id.to_string()));
        plan.store.push((id.clone(), text.clone()));
    }
    for id in remote.keys().filter(|id| !local.contains_key(*id)) {
        if prune {
            plan.changes.push(Change::new(Part::Code, Kind::Remove, id.to_string()));
            plan.remove.push(id.clone());
        } else {
            plan.only_remote.push(id.to_string());
        }
    }
    plan
}

/// All code of the app. Names that no code can have are refused.
pub(crate) async fn remote(api: &Api) -> Result<Remote, CliError> {
    let all = api
        .all_code()
        .await?
        .ok_or_else(|| CliError::Project("this server runs no code; leave it out with --only www,schema".into()))?;
    let strange = |found: String| CliError::NotAnApi {
        url: api.target().to_string(),
        found,
    };
    let mut code = Remote::new();
    for entry in &all {
        let (Some(id), Some(text)) = (entry["id"].as_str(), entry["code"].as_str()) else {
            return Err(strange("JSON that is no code".into()));
        };
        let known = id.strip_prefix("/code/").and_then(|rest| rest.split_once('/'));
        let known = known.and_then(|(bucket, code_type)| CodeId::new(bucket, code_type));
        let shown: String = crate::ui::clean(id).chars().take(80).collect();
        code.insert(
            known.ok_or_else(|| strange(format!("code of the name `{shown}`")))?,
            text.to_owned(),
        );
    }
    Ok(code)
}

impl CodeId {
    pub(crate) fn json(&self) -> Value {
        serde_json::json!({ "id": self.path(), "bucket": self.bucket, "type": self.code_type })
    }
}
