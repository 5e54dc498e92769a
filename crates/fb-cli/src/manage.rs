//! Single pieces of code, and the log that code writes.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::code::{self, CodeId};
use crate::ui::{Ui, clean};
use crate::{Api, CliError};

/// How often a log that is followed is looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// Entries that one look at a log that is followed takes at most.
const PIECE: usize = 1000;

/// Lists modules and handlers.
pub async fn list_code(api: &Api, as_json: bool, ui: &dyn Ui) -> Result<(), CliError> {
    let all = code::remote(api).await?;
    if as_json {
        let entry = |(id, text): (&CodeId, &String)| {
            let mut entry = id.json();
            entry["bytes"] = json!(text.len());
            entry
        };
        let list: Vec<Value> = all.iter().map(entry).collect();
        ui.say(&format!("{:#}", json!(list)));
    } else {
        all.iter()
            .for_each(|(id, text)| ui.say(&format!("{id}  {} bytes", text.len())));
    }
    Ok(())
}

/// The source of one piece of code.
pub async fn get_code(api: &Api, id: &CodeId) -> Result<String, CliError> {
    let text = api.code(&id.path()).await?;
    text.ok_or_else(|| CliError::Project(format!("the app has no {id}; `freshbase code list` lists all code")))
}

/// Stores a file as one piece of code, as it is.
pub async fn put_code(api: &Api, id: &CodeId, file: &Path) -> Result<(), CliError> {
    let text = std::fs::read_to_string(file).map_err(CliError::io("reading", file))?;
    api.set_code(&id.path(), &text).await
}

/// Removes one piece of code.
pub async fn delete_code(api: &Api, id: &CodeId) -> Result<(), CliError> {
    get_code(api, id).await?;
    api.delete_code(&id.path()).await
}

/// Which entries of the log are shown.
#[derive(Debug, Clone)]
pub struct LogOptions {
    /// At most so many of those that are there.
    pub count: usize,
    /// Only of this level, such as `error`.
    pub level: Option<String>,
    /// Go on with those to come.
    pub follow: bool,
    /// One JSON object per line.
    pub json: bool,
}

/// Shows entries of the log, newest first; those to come in the order of their coming.
pub async fn show_log(api: &Api, options: &LogOptions, ui: &dyn Ui) -> Result<(), CliError> {
    let mut filter = json!({});
    if let Some(level) = &options.level {
        filter["level"] = json!(level);
    }
    let print = |entry: &Value| ui.say(&if options.json { entry.to_string() } else { line(entry) });
    let entries = api.log(&filter, options.count.max(1)).await?;
    entries.iter().for_each(print);
    if !options.follow {
        return Ok(());
    }
    let came = |entry: &Value| entry["createdAt"].as_str().unwrap_or_default().to_owned();
    let id = |entry: &Value| entry["id"].as_str().unwrap_or_default().to_owned();
    let mut last = entries.first().map(came).unwrap_or_default();
    // Several entries can have one moment; these have been shown already.
    let mut shown: BTreeSet<String> = entries.iter().map(id).collect();
    loop {
        tokio::time::sleep(INTERVAL).await;
        if !last.is_empty() {
            filter["createdAt"] = json!({ "$gte": { "$date": last } });
        }
        let entries = match api.log(&filter, PIECE).await {
            Ok(entries) => entries,
            // A server that is restarted is back soon.
            Err(error @ CliError::Unreachable { .. }) => {
                ui.note(&error.to_string());
                continue;
            }
            Err(error) => return Err(error),
        };
        for entry in entries.iter().rev().filter(|entry| !shown.contains(&id(entry))) {
            print(entry);
        }
        if let Some(newest) = entries.first() {
            last = came(newest);
            shown = entries.iter().filter(|entry| came(entry) == last).map(id).collect();
        }
    }
}

fn line(entry: &Value) -> String {
    let text = |name: &str| entry[name].as_str().unwrap_or("-");
    let mut line = format!("{}  {:<5}  {}", text("date"), text("level"), text("message"));
    if let Some(data) = entry.get("data").filter(|data| !data.is_null() && **data != json!({})) {
        line.push_str(&format!("  {data}"));
    }
    clean(&line).replace('\n', "\n    ")
}
