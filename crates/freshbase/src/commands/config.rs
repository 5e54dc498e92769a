//! `freshbase config check|show`.

use clap::ArgMatches;

use crate::cli::print;
use crate::config;

pub(super) fn run(matches: &ArgMatches) -> anyhow::Result<()> {
    match matches.subcommand() {
        Some(("check", matches)) => {
            config::load(matches)?;
            print("The configuration is valid.");
            Ok(())
        }
        Some(("show", matches)) => {
            let (_, settings) = config::load(matches)?;
            print(&format!("{:<18} {:<24} SOURCE", "KEY", "VALUE"));
            for setting in settings {
                print(&format!("{:<18} {:<24} {}", setting.key, setting.value, setting.source));
            }
            Ok(())
        }
        _ => anyhow::bail!("unknown command; see freshbase config --help"),
    }
}
