//! `freshbase schema plan|apply|pull`.

use clap::{Arg, ArgAction, ArgMatches, Command};
use fb_cli::{DeployOptions, Parts};

use super::deploy::deploy;
use super::remote::{Remote, with_app};
use super::runtime;
use crate::terminal::Terminal;

pub(crate) fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let prune = || flag("prune", "Remove classes that have no file");
    let json = || flag("json", "Print one JSON object");
    Command::new("schema")
        .about("Compare the classes of an app with the files in schema/, and change one after the other")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            with_app(Command::new("plan"))
                .about("Show what `apply` would change, who would gain access, and what data would go")
                .arg(prune())
                .arg(json()),
        )
        .subcommand(
            with_app(Command::new("apply"))
                .about("Change the app's classes to what the files say, all of them or none")
                .arg(flag("allow-public", "Let everybody gain access without logging in, where the schema says so"))
                .arg(flag("allow-data-loss", "Let fields and classes go with their data"))
                .arg(prune())
                .arg(flag("yes", "Do not ask"))
                .arg(json()),
        )
        .subcommand(
            with_app(Command::new("pull"))
                .about("Write the app's classes into schema/; comments and the order of keys in files stay"),
        )
        .after_help(
            "Examples:
  freshbase schema pull       schema/Todo.json and so on, to be edited and committed
  freshbase schema plan       what the edited files change
  freshbase schema apply      do it

What a file says nothing about stays as it is: rules of a class without `acl`, rules of a field without `acl`. `\"acl\": null` on a
field removes them. A field that is not in the file is removed, which takes --allow-data-loss.",
        )
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let options = |matches: &ArgMatches, dry_run: bool| {
        let flag = |name| matches!(matches.try_get_one::<bool>(name), Ok(Some(true)));
        DeployOptions {
            parts: Parts {
                www: false,
                code: false,
                schema: true,
                named: true,
            },
            dry_run,
            allow_public: flag("allow-public"),
            allow_data_loss: flag("allow-data-loss"),
            prune: flag("prune"),
            yes: flag("yes"),
            json: flag("json"),
        }
    };
    match matches.subcommand() {
        Some(("plan", matches)) => deploy(matches, &options(matches, true)),
        Some(("apply", matches)) => deploy(matches, &options(matches, false)),
        Some(("pull", matches)) => {
            let remote = Remote::of(matches)?;
            runtime()?.block_on(async {
                let api = remote.api(matches).await?;
                Ok(fb_cli::pull_schema(&api, &remote.project, &Terminal).await?)
            })
        }
        _ => anyhow::bail!("unknown command; see freshbase schema --help"),
    }
}
