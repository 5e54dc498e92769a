//! Making an app what a project folder says: compared first, shown, and done only if it is allowed to.

mod apply;

use std::collections::BTreeMap;

use fb_auth::{Gain, bucket_gains, close_data};
use fb_types::Bucket;
use serde_json::{Value, json};

use crate::api::Profile;
use crate::change::{self, Change, Kind, Part};
use crate::code::{self, CodeId, CodePlan};
use crate::files::{self, FilePlan};
use crate::options::DeployOptions;
use crate::schema::{self, SchemaPlan};
use crate::tree::{self, Tree};
use crate::ui::{Ui, clean};
use crate::{Api, CliError, Project};

/// What the folder holds.
#[derive(Default)]
struct Local {
    schema: Option<Vec<schema::LocalClass>>,
    buckets: Vec<Bucket>,
    code: Option<BTreeMap<CodeId, String>>,
    files: Option<Tree>,
}

/// What has to be done.
#[derive(Default)]
struct Plan {
    before: Vec<Value>,
    schema: SchemaPlan,
    buckets: Vec<Bucket>,
    bucket_changes: Vec<Change>,
    bucket_gains: Vec<Gain>,
    code: CodePlan,
    files: FilePlan,
}

/// Deploys `project` to the app. Nothing is changed if anything is wrong with the project, or if the changes would open
/// something or lose data without permission to; in that case it fails with [`CliError::Refused`].
pub async fn deploy(api: &Api, project: &Project, options: &DeployOptions, ui: &dyn Ui) -> Result<(), CliError> {
    let local = read(project, options, ui).await?;
    if api.who_am_i().await?.is_none() {
        return Err(not_logged_in(api));
    }
    let plan = compare(api, project, local, options).await?;
    let changes = plan.changes();
    if !options.json {
        show(api, &plan, &changes, ui);
    }
    let allowed = check(&plan, &changes, options, ui);
    let refusal = allowed.as_ref().err().map(ToString::to_string);
    let gains: Vec<Value> = plan.gains().map(change::gain_json).collect();
    let losses = plan.schema.losses.clone();
    let outcome = match (&allowed, options.dry_run) {
        (Ok(()), false) => apply::apply(api, project, plan, options, ui).await,
        _ => apply::Outcome::default(),
    };
    let (failures, is_untouched) = (outcome.failures, outcome.is_untouched);
    if options.json {
        let failed = failures
            .iter()
            .map(|f| json!({ "name": f.name, "error": f.error.to_string() }));
        let result = json!({
            "url": api.target().to_string(),
            "dryRun": options.dry_run,
            "applied": !options.dry_run && refusal.is_none() && failures.is_empty(),
            "changes": changes.iter().map(Change::json).collect::<Vec<_>>(),
            "access": gains,
            "dataLoss": losses,
            "refused": refusal,
            "failed": failed.collect::<Vec<_>>(),
        });
        ui.say(&format!("{result:#}"));
    }
    if options.dry_run {
        if let (Some(refusal), false) = (&refusal, options.json) {
            ui.note(&format!("this would be refused: {refusal}"));
        }
        return Ok(());
    }
    allowed?;
    if failures.is_empty() {
        if !options.json && !changes.is_empty() {
            ui.say(&format!("Deployed to {}.", api.target()));
        }
        return Ok(());
    }
    // The exit code says that there is nothing to complete.
    if is_untouched {
        return failures.into_iter().next().map_or(Ok(()), |first| Err(first.error));
    }
    let lines: Vec<String> = failures
        .iter()
        .map(|f| format!("{}: {}", clean(&f.name), chain(&f.error)))
        .collect();
    Err(CliError::Partial(format!(
        "{} of {} changes failed; deploy again to complete them:\n  {}",
        failures.len(),
        changes.len(),
        lines.join("\n  ")
    )))
}

/// An error with its causes.
fn chain(error: &CliError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

/// There is no login, or it has ended.
pub(crate) fn not_logged_in(api: &Api) -> CliError {
    CliError::Login(format!(
        "nobody is logged in at {0}, or the login has ended; use `freshbase login --url {0}` or FRESHBASE_TOKEN",
        api.target()
    ))
}

async fn read(project: &Project, options: &DeployOptions, ui: &dyn Ui) -> Result<Local, CliError> {
    let parts = options.parts;
    let mut local = Local::default();
    let missing = |name: &str| CliError::Project(format!("there is no folder {name} in {}", project.dir().display()));
    let schema_dir = project.schema_dir()?;
    if parts.schema {
        match &schema_dir {
            Some(dir) => local.schema = Some(schema::read(dir)?),
            None if parts.named && project.buckets.is_empty() => return Err(missing("schema")),
            None => {}
        }
        local.buckets = project.buckets.clone();
    }
    if parts.code {
        match project.code_dir()? {
            Some(dir) => {
                let sources = code::read(&dir, schema_dir.as_deref())?;
                sources.notes.iter().for_each(|note| ui.note(note));
                local.code = Some(texts(project, &dir, &sources).await?);
            }
            None if parts.named => return Err(missing("code")),
            None => {}
        }
    }
    if parts.www {
        match project.www_dir()? {
            Some(dir) => {
                let tree = tree::walk(&dir, &project.ignore()?)?;
                tree.notes.iter().for_each(|note| ui.note(note));
                local.files = Some(tree);
            }
            None if parts.named => return Err(missing("www")),
            None => {}
        }
    }
    if local.schema.is_none() && local.code.is_none() && local.files.is_none() && local.buckets.is_empty() {
        return Err(CliError::Project(format!(
            "there is nothing to deploy in {}: no folder www, code or schema",
            project.dir().display()
        )));
    }
    Ok(local)
}

/// What is sent for each source.
async fn texts(
    project: &Project,
    dir: &std::path::Path,
    sources: &code::Sources,
) -> Result<BTreeMap<CodeId, String>, CliError> {
    let mut texts = BTreeMap::new();
    for (id, path) in &sources.files {
        texts.insert(id.clone(), code::text_of(project.dir(), dir, sources, path).await?);
    }
    Ok(texts)
}

async fn compare(api: &Api, project: &Project, local: Local, options: &DeployOptions) -> Result<Plan, CliError> {
    let mut plan = Plan::default();
    if local.schema.is_some() || !local.buckets.is_empty() {
        let profile = api.profile().await?;
        if let Some(classes) = &local.schema {
            plan.before = api.schema().await?;
            plan.schema = schema::plan(classes, &plan.before, profile, options.prune)?;
        }
        for mut bucket in local.buckets {
            if profile == Profile::Secure {
                close_data(&mut bucket.rules);
            }
            let known = api.bucket(&bucket.name).await?;
            if known.as_ref() == Some(&bucket.rules) {
                continue;
            }
            let kind = if known.is_some() { Kind::Change } else { Kind::Add };
            let unconfigured = Bucket::unconfigured(bucket.name.clone());
            let before = Bucket {
                rules: known.unwrap_or_else(|| unconfigured.rules.clone()),
                ..unconfigured
            };
            let mut change = Change::new(Part::Bucket, kind, bucket.name.as_str());
            for permission in fb_types::Permission::DATA {
                let (old, new) = (before.rules.rules(permission), bucket.rules.rules(permission));
                if old != new {
                    let line = format!("~ {}: {} → {}", permission.as_str(), json!(old), json!(new));
                    change.details.push(line);
                }
            }
            plan.bucket_gains.extend(bucket_gains(&before, &bucket)?);
            plan.bucket_changes.push(change);
            plan.buckets.push(bucket);
        }
    }
    if let Some(texts) = &local.code {
        plan.code = code::plan(texts, &code::remote(api).await?, options.prune);
    }
    if let Some(tree) = local.files {
        plan.files = files::plan(api, project.bucket(), tree, options.prune).await?;
    }
    Ok(plan)
}

impl Plan {
    fn changes(&self) -> Vec<Change> {
        let parts = [
            &self.schema.changes,
            &self.bucket_changes,
            &self.code.changes,
            &self.files.changes,
        ];
        parts.into_iter().flatten().cloned().collect()
    }

    fn gains(&self) -> impl Iterator<Item = &Gain> {
        self.schema.gains.iter().chain(&self.bucket_gains)
    }
}

fn show(api: &Api, plan: &Plan, changes: &[Change], ui: &dyn Ui) {
    if changes.is_empty() {
        ui.say(&format!("Nothing to change at {}.", api.target()));
    } else {
        let gains: Vec<Gain> = plan.gains().cloned().collect();
        let mut text = change::describe(changes) + &change::describe_gains(&gains);
        if !plan.schema.losses.is_empty() {
            text.push_str("data that is lost\n");
            plan.schema
                .losses
                .iter()
                .for_each(|loss| text.push_str(&format!("  ! {}\n", clean(loss))));
        }
        ui.say(text.trim_end());
    }
    let stays = |what: String| ui.note(&format!("{what}; --prune removes what is not in the folder"));
    match plan.files.only_remote {
        0 => {}
        1 => stays("1 file of the app is not in the folder, and stays".into()),
        n => stays(format!("{n} files of the app are not in the folder, and stay")),
    }
    for (what, names) in [("code", &plan.code.only_remote), ("classes", &plan.schema.only_remote)] {
        if !names.is_empty() {
            stays(clean(&format!(
                "{what} without a file, which stay: {}",
                names.join(", ")
            )));
        }
    }
}

/// Whether this may be done.
fn check(plan: &Plan, changes: &[Change], options: &DeployOptions, ui: &dyn Ui) -> Result<(), CliError> {
    let mut missing = Vec::new();
    if !options.allow_public && plan.gains().any(Gain::is_public) {
        missing.push("it gives everybody access without logging in; add --allow-public if that is meant");
    }
    if !options.allow_data_loss && !plan.schema.losses.is_empty() {
        missing.push("it removes data; add --allow-data-loss if that is meant");
    }
    if !missing.is_empty() {
        return Err(CliError::Refused(format!(
            "nothing was changed: {}",
            missing.join(", and ")
        )));
    }
    let n = changes.iter().filter(|change| change.kind == Kind::Remove).count();
    if n == 0 || options.yes || options.dry_run {
        return Ok(());
    }
    let question = match n {
        1 => "Remove 1 of them from the app?".to_owned(),
        n => format!("Remove {n} of them from the app?"),
    };
    match if options.json { None } else { ui.confirm(&question) } {
        Some(true) => Ok(()),
        Some(false) => Err(CliError::Refused("nothing was changed".into())),
        None => Err(CliError::Refused(format!(
            "nothing was changed: it removes some of what the app has ({n} in all); add --yes if that is meant"
        ))),
    }
}
