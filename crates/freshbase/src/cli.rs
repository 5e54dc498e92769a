//! The command line. What a command does is in `commands`.

use clap::{Arg, ArgAction, Command};

use crate::commands;
use crate::keys::KEYS;

const ABOUT: &str = "A self-hosted, multi-tenant backend for apps";
const HELP: &str = "First steps:
  freshbase serve                       start the server on http://localhost:8080
  freshbase app create shop             add an app; its API is at http://localhost:8080/apps/shop/v1
  freshbase admin create ann            make an administrator of the default app (--app shop: of another one)
  freshbase admin reset ann             let an administrator back in: new password, no second factor
  freshbase doctor                      say what is open to strangers, not backed up, or not encrypted
  freshbase backup main -o main.fbdb    copy an app into a file while it runs
  freshbase edge --help                 put a cache near users, in front of this server
  freshbase config show                 list all configuration keys and where they come from

For developers, from any machine (docs/cli.md):
  freshbase login --url http://localhost:8080/v1     keep a login for an app
  freshbase deploy --dry-run                         what would change, and who would gain access
  freshbase deploy                                   schema, code and website of this folder
  freshbase code logs --follow                       what the app's code writes to its log";

/// The whole command line.
pub(crate) fn command() -> Command {
    Command::new("freshbase")
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(HELP)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(with_keys(Command::new("serve"), |_| true).about("Start the server").after_help(
            "At first start a default app `main` is made. Without FRESHBASE_ADMIN_USER and FRESHBASE_ADMIN_PASSWORD \
             a link is printed with which its administrator is created.",
        ))
        .subcommand(app())
        .subcommand(admin())
        .subcommand(commands::edge::command())
        .subcommand(doctor())
        .subcommand(
            with_data_dir(Command::new("backup"))
                .about("Copy an app into a file, while the server runs or not")
                .arg(Arg::new("app").required(true).help("Name of the app"))
                .arg(Arg::new("out").short('o').long("out").value_name("FILE").help("File to write; default <app>-<time>.fbdb"))
                .arg(files_arg("Folder for the contents of its files, which may be that of earlier backups: only what is new is copied; default <FILE>.files"))
                .arg(Arg::new("without-files").long("without-files").action(ArgAction::SetTrue).conflicts_with("files").help("Leave the contents of files out")),
        )
        .subcommand(
            with_data_dir(Command::new("restore"))
                .about("Create an app from a backup file")
                .arg(Arg::new("app").required(true).help("Name of the new app"))
                .arg(Arg::new("file").required(true).help("The backup"))
                .arg(files_arg("Folder with the contents of its files; default <FILE>.files, if there is one"))
                .arg(host_arg())
                .arg(Arg::new("default").long("default").action(ArgAction::SetTrue).help("Make it the default app, if there is none")),
        )
        .subcommand(
            Command::new("config")
                .about("Look at the configuration")
                .subcommand_required(true)
                .arg_required_else_help(true)
                .subcommand(with_keys(Command::new("check"), |_| true).about("Say what is wrong with the configuration; exit code 1 if anything is"))
                .subcommand(with_keys(Command::new("show"), |_| true).about("List all keys, their values and where they come from")),
        )
        .subcommands(commands::login::commands())
        .subcommand(commands::deploy::command())
        .subcommand(commands::schema::command())
        .subcommand(commands::code::command())
}

fn files_arg(help: &'static str) -> Arg {
    Arg::new("files").long("files").value_name("DIR").help(help)
}

fn app() -> Command {
    Command::new("app")
        .about("Create, list and delete apps, while the server runs or not")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            with_data_dir(Command::new("create"))
                .about("Create an app")
                .arg(
                    Arg::new("name")
                        .required(true)
                        .help("1 to 40 lower-case letters, digits and -"),
                )
                .arg(
                    Arg::new("compat")
                        .long("compat")
                        .value_parser(["baqend"])
                        .help("Follow the open defaults of the original protocol"),
                )
                .arg(host_arg())
                .arg(
                    Arg::new("admin-user")
                        .long("admin-user")
                        .requires("admin-password-file")
                        .help("Name of its administrator; without one a setup link is printed"),
                )
                .arg(
                    Arg::new("admin-password-file")
                        .long("admin-password-file")
                        .value_name("FILE")
                        .requires("admin-user")
                        .help("File that holds the password"),
                ),
        )
        .subcommand(
            with_data_dir(Command::new("list"))
                .about("List all apps")
                .arg(json_arg()),
        )
        .subcommand(
            with_data_dir(Command::new("setup-link"))
                .about("Print a new setup link for an app that has no administrator yet; earlier ones die")
                .arg(Arg::new("name").required(true).help("Name of the app")),
        )
        .subcommand(
            with_data_dir(Command::new("delete"))
                .about("Delete an app and everything it has")
                .arg(Arg::new("name").required(true).help("Name of the app"))
                .arg(
                    Arg::new("yes")
                        .long("yes")
                        .action(ArgAction::SetTrue)
                        .help("Do it; without this nothing is deleted"),
                ),
        )
}

fn admin() -> Command {
    let app = || {
        Arg::new("app")
            .long("app")
            .value_name("NAME")
            .help("Name of the app; the default app without it")
    };
    let user = |help: &'static str| Arg::new("user").value_name("USER").help(help);
    let password = || {
        Arg::new("password-file")
            .long("password-file")
            .value_name("FILE")
            .help("File that holds the password; without it one is made up and printed, once")
    };
    Command::new("admin")
        .about("Make administrators, and let them back in, while the server runs or not")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .after_help(
            "First steps:
  freshbase admin create ann                      a new administrator of the default app
  freshbase admin reset --app shop bob            bob lost the password, or the second factor
  freshbase admin operator-reset                  the operator lost the password

Needs no login: whoever may write the data directory may do this. It goes into the app's audit log.",
        )
        .subcommand(
            with_data_dir(Command::new("create"))
                .about("Make a new administrator of an app, whether it has others or not")
                .arg(user("Name of the new user").required(true))
                .arg(app())
                .arg(password()),
        )
        .subcommand(
            with_data_dir(Command::new("reset"))
                .about(
                    "Give a user a new password and make it an administrator; ends its sessions, removes its second \
                     factor, activates it",
                )
                .arg(user("Name of the user").required(true))
                .arg(app())
                .arg(password()),
        )
        .subcommand(
            with_data_dir(Command::new("operator-reset"))
                .about("Give the operator, who creates and deletes apps, a new password; ends all sessions of the operator")
                .arg(user("New name of the operator; without it the old one stays"))
                .arg(password()),
        )
}

fn doctor() -> Command {
    with_keys(Command::new("doctor"), |_| true)
        .about("Look for what is open, unprotected or not backed up; exit code 1 if there is a problem")
        .arg(json_arg())
        .after_help(
            "First steps:
  freshbase doctor                  look at the default data directory
  freshbase doctor --json           the same for programs

It only reads, and works while the server runs or not. Give it the flags and the environment that the server gets: the \
configuration is a part of what it looks at. docs/doctor.md explains each check.",
        )
}

fn host_arg() -> Arg {
    Arg::new("host")
        .long("host")
        .action(ArgAction::Append)
        .help("Host name it answers to, besides <app>.<domain>; may be given several times")
}

fn json_arg() -> Arg {
    Arg::new("json")
        .long("json")
        .action(ArgAction::SetTrue)
        .help("Print JSON")
}

fn with_data_dir(command: Command) -> Command {
    with_keys(command, |name| name == "data-dir")
}

/// Adds the flags of configuration keys, and of the file.
pub(crate) fn with_keys(command: Command, wanted: impl Fn(&str) -> bool) -> Command {
    let config = Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("Configuration file; default freshbase.toml, if it exists");
    let keys = KEYS.iter().filter(|key| !key.is_secret && wanted(key.name));
    let args = keys.map(|key| {
        let help = format!("{} [default: {}] [env: {}]", key.help, key.default, key.variable());
        Arg::new(key.name).long(key.name).value_name(key.value).help(help)
    });
    command.args(args).arg(config)
}

/// Prints what a command produces.
#[expect(clippy::print_stdout, reason = "standard output is what commands are for")]
pub(crate) fn print(text: &str) {
    println!("{text}");
}

/// Writes a text as it is, without a line break of its own.
pub(crate) fn print_raw(text: &str) -> std::io::Result<()> {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Prints what somebody should know although the command succeeded.
#[expect(clippy::print_stderr, reason = "standard output is for what a command produces")]
pub(crate) fn print_note(text: &str) {
    eprintln!("note: {text}");
}

/// Prints an error with its causes.
#[expect(clippy::print_stderr, reason = "errors of commands go to standard error")]
pub(crate) fn print_error(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
