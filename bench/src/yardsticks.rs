//! What Freshbase is compared with, as far as it is another program.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::{
    argon2_baseline::Argon2Baseline,
    client::{self, Target},
    measure::Sample,
    plain::{self, PageLoad},
    run::Settings,
    scenarios::Yardstick,
    server::Server,
    sqlite_baseline::SqliteBaseline,
};

/// The plain server and, from its first use on, the SQLite database.
pub(crate) struct Yardsticks {
    plain: Server,
    sqlite: Option<SqliteBaseline>,
    sqlite_path: std::path::PathBuf,
    settings: Settings,
}

impl Yardsticks {
    /// Starts the plain server; files go into `dir`.
    pub(crate) fn start(dir: &Path, settings: Settings) -> Result<Self> {
        let plain =
            Server::start(&mut plain::command()?, &dir.join("plain.log")).context("starting the plain server")?;
        plain.wait_until_healthy("/")?;
        Ok(Self {
            plain,
            sqlite: None,
            sqlite_path: dir.join("baseline.sqlite"),
            settings,
        })
    }

    /// Measures a yardstick once.
    pub(crate) fn round(&mut self, yardstick: Yardstick) -> Result<Sample> {
        let Settings { connections, .. } = self.settings;
        match yardstick {
            Yardstick::Plain(page) => {
                let target = Target {
                    address: self.plain.address(),
                    pid: self.plain.pid(),
                    connections,
                };
                client::drive(target, self.settings.limit(), &mut PageLoad::new(target.address, page))
            }
            Yardstick::Alone
            | Yardstick::Quiet
            | Yardstick::FirstPage
            | Yardstick::Undisturbed
            | Yardstick::NoHandler
            | Yardstick::Unkept => {
                bail!("this yardstick is no program of its own")
            }
            Yardstick::Argon2 => Argon2Baseline::create()?.round(self.settings.warm_up(), self.settings.measured()),
            Yardstick::Sqlite(operation) => {
                let sqlite = match &mut self.sqlite {
                    Some(sqlite) => sqlite,
                    none => none.insert(SqliteBaseline::create(&self.sqlite_path, self.settings.data())?),
                };
                sqlite.round(
                    operation,
                    connections,
                    self.settings.warm_up(),
                    self.settings.measured(),
                )
            }
        }
    }
}
