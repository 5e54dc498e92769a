//! `freshbase deploy`.

use clap::{Arg, ArgAction, ArgMatches, Command};
use fb_cli::{DeployOptions, Parts};

use super::remote::{Remote, text, with_app};
use super::runtime;
use crate::terminal::Terminal;

pub(crate) fn command() -> Command {
    let flag = |name, help| flag(name, help);
    with_app(Command::new("deploy"))
        .about("Bring the schema, code and website of a project folder to an app")
        .arg(Arg::new("only").long("only").value_name("PARTS").help("Some of www,code,schema; whatever has a folder without this"))
        .arg(flag("dry-run", "Show what would change and who would gain access, and change nothing"))
        .arg(flag("allow-public", "Let everybody gain access without logging in, where the schema says so"))
        .arg(flag("allow-data-loss", "Let fields and classes go with their data"))
        .arg(flag("prune", "Remove files, code and classes that are not in the folder; asks first"))
        .arg(flag("yes", "Do not ask"))
        .arg(flag("json", "Print one JSON object that says what was done"))
        .after_help(
            "Examples:
  freshbase deploy --dry-run                 what would change, and who would gain access
  freshbase deploy                           all of it
  freshbase deploy --only www --prune        the website, without what is no longer in www/
  freshbase deploy --yes --prune --json      in CI, with FRESHBASE_URL and FRESHBASE_TOKEN

The folder:
  www/                      files of the website; pages are uploaded after what they need
  code/hello.js             the module `hello` (or code/hello/index.js)
  code/Todo/insert.js       a handler of the class Todo (also update, delete, validate, afterInsert, …)
  schema/Todo.json          a class, as `freshbase schema pull` writes it; // comments are fine
  freshbase.toml            [project] url, www, code, schema, bucket, ignore, buckets

Exit codes: 0 done, or nothing to do; 1 failed; 2 wrong usage; 3 refused, nothing was changed; 4 partly done, and what failed is
listed; 5 not logged in. docs/cli.md says more.",
        )
}

fn flag(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let options = DeployOptions {
        parts: match text(matches, "only") {
            Some(parts) => Parts::parse(parts)?,
            None => Parts::ALL,
        },
        dry_run: matches.get_flag("dry-run"),
        allow_public: matches.get_flag("allow-public"),
        allow_data_loss: matches.get_flag("allow-data-loss"),
        prune: matches.get_flag("prune"),
        yes: matches.get_flag("yes"),
        json: matches.get_flag("json"),
    };
    deploy(matches, &options)
}

pub(super) fn deploy(matches: &ArgMatches, options: &DeployOptions) -> anyhow::Result<()> {
    let remote = Remote::of(matches)?;
    runtime()?.block_on(async {
        let api = remote.api(matches).await?;
        Ok(fb_cli::deploy(&api, &remote.project, options, &Terminal).await?)
    })
}
