//! Writing an app's schema and code into the project folder.

use std::collections::BTreeMap;

use fb_types::ClassName;
use serde_json::Value;

use crate::code::{self, CodeId};
use crate::jsonc::Document;
use crate::ui::{Ui, clean};
use crate::{Api, CliError, Project, schema, write};

/// Writes `<Class>.json` for each class of the app. Comments and the order of keys of files that are there stay; files that
/// say the same already are not touched. Files of classes that the app does not have stay.
pub async fn pull_schema(api: &Api, project: &Project, ui: &dyn Ui) -> Result<(), CliError> {
    let dir = project.new_schema_dir()?;
    let classes = api.schema().await?;
    let mut written = 0;
    for class in &classes {
        let reference = class["class"].as_str().unwrap_or_default();
        let name = ClassName::from_reference(reference).map_err(|_| {
            let shown: String = clean(reference).chars().take(80).collect();
            CliError::Project(format!(
                "the server sent a class of the name `{shown}`, which no class can have"
            ))
        })?;
        if !schema::is_pulled(name.as_str()) {
            continue;
        }
        let file = schema::file_name(name.as_str());
        let path = dir.join(&file);
        let mut document = match std::fs::read_to_string(&path) {
            Ok(text) => Document::parse(&text).map_err(|e| CliError::Project(format!("{}: {e}", path.display())))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Document::of(&Value::Null),
            Err(error) => return Err(CliError::io("reading", &path)(error)),
        };
        if document.value() == *class {
            continue;
        }
        document.update(class);
        write::write(&dir, &file, &document.to_string())?;
        ui.say(&format!("Wrote {file}"));
        written += 1;
    }
    if written == 0 {
        ui.say(&format!("{} is up to date.", dir.display()));
    }
    Ok(())
}

/// Writes all code of the app. Files that would be sent as what the app has are not touched, also where that is a bundle.
/// Others that are there are replaced with `force` only.
pub async fn pull_code(api: &Api, project: &Project, force: bool, ui: &dyn Ui) -> Result<(), CliError> {
    let dir = project.new_code_dir()?;
    let remote = code::remote(api).await?;
    let sources = match project.code_dir()? {
        Some(dir) => code::read(&dir, project.schema_dir()?.as_deref())?,
        None => code::Sources::default(),
    };
    let mut new: BTreeMap<String, &str> = BTreeMap::new();
    let mut in_the_way = Vec::new();
    for (id, text) in &remote {
        let file = match sources.files.get(id) {
            None => id.file(),
            Some(path) => {
                let known = code::text_of(project.dir(), &dir, &sources, path).await?;
                if known == *text {
                    continue;
                }
                let name = path
                    .strip_prefix(&dir)
                    .ok()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default();
                let name = name.replace(std::path::MAIN_SEPARATOR, "/");
                if !force {
                    in_the_way.push(name);
                    continue;
                }
                name
            }
        };
        new.insert(file, text);
    }
    if !in_the_way.is_empty() {
        return Err(CliError::Refused(format!(
            "nothing was written: these files are there and differ from the app's code; add --force to replace them:\n  {}",
            in_the_way.join("\n  ")
        )));
    }
    for (file, text) in &new {
        write::write(&dir, file, text)?;
        ui.say(&format!("Wrote {file}"));
    }
    if new.is_empty() {
        ui.say(&format!("{} is up to date.", dir.display()));
    }
    Ok(())
}

impl CodeId {
    /// The file it gets.
    fn file(&self) -> String {
        match self.is_module() {
            true => format!("{}.js", self.bucket),
            false => format!("{}/{}.js", self.bucket, self.code_type),
        }
    }
}
