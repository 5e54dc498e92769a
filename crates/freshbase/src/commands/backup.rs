//! `freshbase backup` and `freshbase restore`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ArgMatches;
use fb_app::{Copied, NewApp, Profile};
use fb_types::{AppId, Clock, SystemClock};

use super::{attach, attach_existing, runtime, wait_for_server};
use crate::cli::{print, print_note};
use crate::config;

/// How often it is said how far a copy is.
const PROGRESS_TIME: Duration = Duration::from_secs(2);

fn text<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map(String::as_str).unwrap_or_default()
}

pub(super) fn back_up(matches: &ArgMatches) -> anyhow::Result<()> {
    let (config, _) = config::load(matches)?;
    let id = AppId::new(text(matches, "app"))?;
    let to = match text(matches, "out") {
        "" => PathBuf::from(format!("{id}-{}.fbdb", SystemClock.now().to_string().replace(':', ""))),
        path => PathBuf::from(path),
    };
    let files = (!matches.get_flag("without-files")).then(|| files_of(matches, &to));
    let (bytes, copied) = runtime()?.block_on(async {
        let apps = attach_existing(&config).await?;
        let mut progress = Progress::new("copied");
        apps.back_up(&id, &to, files.as_deref(), |copied| progress.show(copied))
            .await
            .with_context(|| format!("backing up {id}"))
    })?;
    let Copied { contents, new, .. } = copied;
    let beside = match &files {
        Some(dir) if contents > 0 => format!(
            ", and {contents} contents of files ({new} of them new) to {}",
            dir.display()
        ),
        _ => String::new(),
    };
    print(&format!(
        "Backed up app {id} to {} ({bytes} bytes){beside}.",
        to.display()
    ));
    Ok(())
}

/// The folder of contents that belongs to a backup.
fn files_of(matches: &ArgMatches, backup: &Path) -> PathBuf {
    match text(matches, "files") {
        "" => {
            let mut path = backup.as_os_str().to_owned();
            path.push(".files");
            path.into()
        }
        path => path.into(),
    }
}

/// Says on standard error how far a copy is, if somebody is looking and it takes long.
struct Progress {
    verb: &'static str,
    is_shown: bool,
    last: Instant,
}

impl Progress {
    fn new(verb: &'static str) -> Self {
        Self {
            verb,
            is_shown: std::io::stderr().is_terminal(),
            last: Instant::now(),
        }
    }

    fn show(&mut self, copied: Copied) {
        if self.is_shown && self.last.elapsed() >= PROGRESS_TIME {
            self.last = Instant::now();
            let Copied { contents, bytes, .. } = copied;
            print_note(&format!(
                "{} {contents} contents of files, {} MiB",
                self.verb,
                bytes >> 20
            ));
        }
    }
}

pub(super) fn restore(matches: &ArgMatches) -> anyhow::Result<()> {
    let (config, _) = config::load(matches)?;
    let id = AppId::new(text(matches, "app"))?;
    let from = Path::new(text(matches, "file"));
    let hosts = matches
        .get_many::<String>("host")
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let is_default = matches.get_flag("default");
    let files = files_of(matches, from);
    let files = match files.try_exists() {
        Ok(true) => Some(files),
        Ok(false) if text(matches, "files").is_empty() => None,
        Ok(false) => anyhow::bail!("there is no folder {}", files.display()),
        Err(error) => return Err(error).with_context(|| format!("looking at {}", files.display())),
    };
    // The profile of a restored app is the one in its backup.
    let new = NewApp {
        id: id.clone(),
        profile: Profile::Secure,
        hosts,
        is_default,
        admin: None,
    };
    runtime()?.block_on(async {
        let apps = attach(&config).await?;
        if is_default && apps.directory().default_app().is_some() {
            anyhow::bail!("there is a default app already; delete it first, or restore without --default");
        }
        apps.restore(&new, from)
            .await
            .with_context(|| format!("restoring {id} (an app of this name must not exist)"))?;
        let mut progress = Progress::new("brought back");
        let restored = apps
            .restore_contents(&id, files.as_deref(), 3, |copied| progress.show(copied))
            .await;
        let (copied, missing) = restored.context("bringing back the contents of files")?;
        wait_for_server(&config, &apps).await;
        if !missing.is_empty() {
            let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
            print_note(&format!(
                "of its {} files some have no content, such as {}: give the folder that was written with the backup \
                 (--files), and repeat this under another name",
                copied.contents,
                names.join(", ")
            ));
        }
        Ok(())
    })?;
    print(&format!("Restored app {id} from {}.", from.display()));
    Ok(())
}
