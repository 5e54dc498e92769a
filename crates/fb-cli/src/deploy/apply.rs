//! Carrying out a plan, step by step: what others need comes first.

use fb_auth::{Gain, schema_gains};
use fb_types::{ClassDef, Schema};
use serde_json::Value;

use super::{Plan, chain};
use crate::change;
use crate::files::{self, Failure};
use crate::options::DeployOptions;
use crate::ui::Ui;
use crate::{Api, CliError, Project};

/// How carrying out a plan went.
#[derive(Default)]
pub(super) struct Outcome {
    /// What was not done, in the order of the plan.
    pub(super) failures: Vec<Failure>,
    /// Nothing of the app was changed: the first step was refused.
    pub(super) is_untouched: bool,
}

/// Does it: what others need comes first.
pub(super) async fn apply(api: &Api, project: &Project, plan: Plan, options: &DeployOptions, ui: &dyn Ui) -> Outcome {
    let mut outcome = Outcome::default();
    if !plan.schema.edits.is_empty()
        && let Err(error) = change_schema(api, &plan, options).await
    {
        outcome.is_untouched = is_refusal(&error);
        outcome.failures.push(Failure {
            name: "schema".into(),
            error,
        });
        let buckets = plan.buckets.iter().map(|bucket| format!("bucket {}", bucket.name));
        let code = plan.code.store.iter().map(|(id, _)| id.to_string());
        outcome.failures.extend(buckets.chain(code).map(not_tried));
        outcome.failures.extend(last_steps(&plan).map(not_tried));
        return outcome;
    }
    let failures = &mut outcome.failures;
    for bucket in &plan.buckets {
        let result = api.set_bucket(&bucket.name, &bucket.rules).await;
        failures.extend(failure(format!("bucket {}", bucket.name), result));
    }
    let total = plan.code.store.len();
    for (n, (id, text)) in plan.code.store.iter().enumerate() {
        failures.extend(failure(id.to_string(), api.set_code(&id.path(), text).await));
        ui.progress("Storing code", n + 1, total);
    }
    if !failures.is_empty() {
        // Pages may need what is not there.
        failures.extend(last_steps(&plan).map(not_tried));
        return outcome;
    }
    for id in &plan.code.remove {
        failures.extend(failure(id.to_string(), api.delete_code(&id.path()).await));
    }
    failures.extend(files::apply(api, project.bucket(), plan.files, ui).await);
    outcome
}

/// What is done only if everything before it is: removals of code, and files.
fn last_steps(plan: &Plan) -> impl Iterator<Item = String> {
    let code = plan.code.remove.iter().map(ToString::to_string);
    let uploads = plan.files.upload.iter().map(|file| &file.name);
    code.chain(uploads.chain(&plan.files.remove).cloned())
}

fn not_tried(name: String) -> Failure {
    Failure {
        name,
        error: CliError::Refused("not tried, because others failed".into()),
    }
}

/// Changes the schema, and looks at what the server made of it.
async fn change_schema(api: &Api, plan: &Plan, options: &DeployOptions) -> Result<(), CliError> {
    match api.edit_schema(&plan.schema.edits).await {
        Ok(after) => confirm_access(plan, &after, options),
        Err(error) if is_refusal(&error) => Err(error),
        // The request may have arrived, and the answer got lost.
        Err(error) => Err(CliError::Partial(format!(
            "{}; it is unknown whether the schema was changed, `freshbase deploy --dry-run` tells",
            chain(&error)
        ))),
    }
}

/// True for the server's word that it did not do what it was asked for.
fn is_refusal(error: &CliError) -> bool {
    match error {
        CliError::Login(_) => true,
        CliError::Answer { status, .. } => (400..500).contains(status),
        CliError::Usage(_)
        | CliError::Project(_)
        | CliError::Unreachable { .. }
        | CliError::NotAnApi { .. }
        | CliError::Refused(_)
        | CliError::Partial(_)
        | CliError::Io { .. } => false,
    }
}

fn failure(name: String, result: Result<(), CliError>) -> Option<Failure> {
    result.err().map(|error| Failure { name, error })
}

/// Looks at what the server made of the change: another version of it could have other defaults.
fn confirm_access(plan: &Plan, after: &[Value], options: &DeployOptions) -> Result<(), CliError> {
    let build = |classes: &[Value]| {
        let defs: Result<Vec<ClassDef>, _> = classes.iter().map(ClassDef::from_json).collect();
        Schema::build(defs?, 1, None, &[])
    };
    let strange = |error: fb_types::SchemaError| CliError::Partial(format!("the schema is changed, but {error}"));
    let before = build(&plan.before).map_err(strange)?;
    let gained = schema_gains(&before, &build(after).map_err(strange)?)?;
    let unexpected: Vec<Gain> = gained
        .into_iter()
        .filter(|g| g.is_public() && !plan.schema.gains.contains(g))
        .collect();
    if unexpected.is_empty() || options.allow_public {
        return Ok(());
    }
    Err(CliError::Partial(format!(
        "the schema is changed, and the server made more of it public than was asked for; look at it at once:\n{}",
        change::describe_gains(&unexpected).trim_end()
    )))
}
