//! `schema/<Class>.json`: one file per class, as the published CLI writes them, with comments.

use std::path::Path;

use fb_types::ClassDef;
use serde_json::{Value, json};

use crate::CliError;
use crate::jsonc::Document;

/// A class definition as it stands in a file.
#[derive(Debug, Clone)]
pub(crate) struct LocalClass {
    pub(crate) def: ClassDef,
    /// The file says something about rules of the class; about its metadata; about its super class.
    pub(crate) says_acl: bool,
    pub(crate) says_metadata: bool,
    pub(crate) says_super: bool,
}

impl LocalClass {
    pub(crate) fn from_json(value: &Value) -> Result<Self, fb_types::SchemaError> {
        Ok(Self {
            def: ClassDef::from_json(value)?,
            says_acl: value.get("acl").is_some(),
            says_metadata: value.get("metadata").is_some(),
            says_super: value.get("superClass").is_some(),
        })
    }
}

/// All classes of a folder, by name. Every file that is wrong is named.
pub(crate) fn read(dir: &Path) -> Result<Vec<LocalClass>, CliError> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(CliError::io("reading", dir))? {
        let path = entry.map_err(CliError::io("reading", dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.ends_with(".json") && !name.starts_with('.') {
            paths.push(path);
        }
    }
    paths.sort();
    let mut classes = Vec::new();
    let mut errors = Vec::new();
    for path in paths {
        match read_one(&path) {
            Ok(class) => classes.push(class),
            Err(error) => errors.push(format!("{}: {error}", path.display())),
        }
    }
    match errors.is_empty() {
        true => Ok(classes),
        false => Err(CliError::Project(errors.join("\n  "))),
    }
}

fn read_one(path: &Path) -> Result<LocalClass, String> {
    // A link could name any file of this machine, whose contents the errors would then show.
    let known = std::fs::symlink_metadata(path).map_err(|e| e.to_string())?;
    if !known.is_file() {
        return Err("it is no plain file".into());
    }
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut value = Document::parse(&text)?.value();
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let reference = format!("/db/{stem}");
    let Value::Object(members) = &mut value else {
        return Err("a class definition is an object".into());
    };
    let class = members.entry("class").or_insert_with(|| json!(reference));
    if *class != reference {
        return Err(format!("it defines {class}; the file of that class has its name"));
    }
    LocalClass::from_json(&value).map_err(|error| error.to_string())
}

/// The file of a class.
pub(crate) fn file_name(class: &str) -> String {
    format!("{class}.json")
}

/// True for classes that have a file: those of the app, and predefined ones that an app adds to. Source: the published CLI.
pub(crate) fn is_pulled(class: &str) -> bool {
    class != "Object"
        && !["logs.", "speedKit.", "rum."]
            .iter()
            .any(|space| class.starts_with(space))
}
