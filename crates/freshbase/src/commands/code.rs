//! `freshbase code list|get|put|delete|pull|logs`.

use std::path::Path;

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use fb_cli::{CodeId, LogOptions};

use super::remote::{Remote, text, with_app};
use super::runtime;
use crate::cli::{print_note, print_raw};
use crate::terminal::Terminal;

pub(crate) fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let id = || {
        Arg::new("name")
            .value_name("NAME")
            .required(true)
            .help("A module (hello) or a handler (Todo/insert)")
    };
    Command::new("code")
        .about("Look at and change single modules and handlers of an app, and read its log")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            with_app(Command::new("list"))
                .about("List modules and handlers")
                .arg(flag("json", "Print JSON")),
        )
        .subcommand(
            with_app(Command::new("get"))
                .about("Print a source as the app has it")
                .arg(id()),
        )
        .subcommand(
            with_app(Command::new("put"))
                .about("Store a file as a module or handler, as it is")
                .arg(id())
                .arg(Arg::new("file").value_name("FILE").required(true).help("The source")),
        )
        .subcommand(
            with_app(Command::new("delete"))
                .about("Remove a module or handler")
                .arg(id()),
        )
        .subcommand(
            with_app(Command::new("pull"))
                .about("Write all code of the app into code/")
                .arg(flag("force", "Replace files that differ")),
        )
        .subcommand(
            with_app(Command::new("logs"))
                .about("Show the app's log (logs.AppLog), newest first")
                .arg(flag("follow", "Go on with the entries to come").short('f'))
                .arg(
                    Arg::new("count")
                        .short('n')
                        .long("count")
                        .value_name("N")
                        .value_parser(value_parser!(u16))
                        .default_value("50")
                        .help("At most so many entries of those that are there"),
                )
                .arg(
                    Arg::new("level")
                        .long("level")
                        .value_name("LEVEL")
                        .help("Entries of this level only, such as error"),
                )
                .arg(flag("json", "Print one JSON object per line")),
        )
        .after_help(
            "Examples:
  freshbase code list
  freshbase code get hello > hello.js
  freshbase code put Todo/insert insert.js
  freshbase code logs --follow --level error

`freshbase deploy` brings all code of a project, and bundles what needs npm packages.",
        )
}

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    let Some((command, matches)) = matches.subcommand() else {
        anyhow::bail!("unknown command; see freshbase code --help")
    };
    let flag = |name| matches!(matches.try_get_one::<bool>(name), Ok(Some(true)));
    let id = || CodeId::parse(text(matches, "name").unwrap_or_default());
    let remote = Remote::of(matches)?;
    runtime()?.block_on(async {
        let api = remote.api(matches).await?;
        match command {
            "list" => fb_cli::list_code(&api, flag("json"), &Terminal).await?,
            "get" => print_raw(&fb_cli::get_code(&api, &id()?).await?)?,
            "put" => {
                let (id, file) = (id()?, text(matches, "file").unwrap_or_default());
                fb_cli::put_code(&api, &id, Path::new(file)).await?;
                print_note(&format!("stored {id}"));
            }
            "delete" => {
                let id = id()?;
                fb_cli::delete_code(&api, &id).await?;
                print_note(&format!("removed {id}"));
            }
            "pull" => fb_cli::pull_code(&api, &remote.project, flag("force"), &Terminal).await?,
            "logs" => {
                let options = LogOptions {
                    count: matches.get_one::<u16>("count").copied().unwrap_or(50).into(),
                    level: text(matches, "level").map(str::to_owned),
                    follow: flag("follow"),
                    json: flag("json"),
                };
                fb_cli::show_log(&api, &options, &Terminal).await?;
            }
            _ => anyhow::bail!("unknown command; see freshbase code --help"),
        }
        Ok(())
    })
}
