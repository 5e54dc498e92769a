//! The files of code: `<module>.js`, `<module>/index.js` or `<module>/module.js`, and `<Class>/<handler>.js`. The layout of the
//! published CLI (`baqend/<module>.js`, `baqend/<Class>/insert.js`) is a part of that.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{CodeId, TYPES};
use crate::CliError;

/// Where the code of an app is.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) files: BTreeMap<CodeId, PathBuf>,
    pub(crate) notes: Vec<String>,
}

const EXTENSIONS: [&str; 3] = ["js", "mjs", "cjs"];

/// The name without the extension of a script. The published CLI takes `.es6` and the like as well.
fn script_stem(file: &str) -> Option<&str> {
    let (stem, extension) = file.rsplit_once('.')?;
    let is_es = extension
        .strip_prefix("es")
        .is_some_and(|v| v.bytes().all(|b| b.is_ascii_digit()));
    (EXTENSIONS.contains(&extension) || is_es).then_some(stem)
}

/// Finds the code below `dir`. `skip` is a folder of something else in it.
pub(crate) fn read(dir: &Path, skip: Option<&Path>) -> Result<Sources, CliError> {
    let mut found = Sources::default();
    for (name, path) in entries(dir)? {
        if skip == Some(path.as_path()) || name == "node_modules" {
            continue;
        }
        let known = std::fs::symlink_metadata(&path).map_err(CliError::io("looking at", &path))?;
        if known.is_symlink() {
            found
                .notes
                .push(format!("{} is a link, and is left out", path.display()));
        } else if known.is_dir() {
            folder(&name, &path, &mut found)?;
        } else if let Some(stem) = script_stem(&name) {
            // A module's configuration of tools is none of the app's code.
            if name.ends_with(".config.js") || name.ends_with(".config.mjs") {
                continue;
            }
            found.add(stem, "module", path)?;
        }
    }
    Ok(found)
}

fn folder(bucket: &str, dir: &Path, found: &mut Sources) -> Result<(), CliError> {
    let mut is_used = false;
    for (name, path) in entries(dir)? {
        let Some(stem) = script_stem(&name) else { continue };
        let code_type = match stem {
            "index" => "module",
            stem => stem,
        };
        if !TYPES.contains(&code_type) {
            continue;
        }
        is_used = true;
        let known = std::fs::symlink_metadata(&path).map_err(CliError::io("looking at", &path))?;
        match known.is_file() {
            true => found.add(bucket, code_type, path)?,
            false => found
                .notes
                .push(format!("{} is no plain file, and is left out", path.display())),
        }
    }
    if !is_used {
        let types = TYPES.join(".js, ");
        let text = format!("{} has no code of its own: none of index.js, {types}.js", dir.display());
        found.notes.push(text);
    }
    Ok(())
}

impl Sources {
    fn add(&mut self, bucket: &str, code_type: &str, path: PathBuf) -> Result<(), CliError> {
        let id = CodeId::new(bucket, code_type).ok_or_else(|| {
            CliError::Project(format!(
                "{}: `{bucket}` is no name of a module or class; use letters, digits, `.`, `_` and `-`",
                path.display()
            ))
        })?;
        match self.files.insert(id.clone(), path.clone()) {
            None => Ok(()),
            Some(other) => Err(CliError::Project(format!(
                "{} and {} are both {id}; keep one of them",
                other.display(),
                path.display()
            ))),
        }
    }

    /// True if the app has a module of this name.
    pub(crate) fn has_module(&self, name: &str) -> bool {
        CodeId::new(name, "module").is_some_and(|id| self.files.contains_key(&id))
    }
}

/// What is in a folder, sorted, without what is hidden.
fn entries(dir: &Path) -> Result<Vec<(String, PathBuf)>, CliError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(CliError::io("reading", dir))? {
        let entry = entry.map_err(CliError::io("reading", dir))?;
        if let Ok(name) = entry.file_name().into_string()
            && !name.starts_with('.')
        {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}
