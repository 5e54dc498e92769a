//! The project folder: the table `project` of its `freshbase.toml`, and where schema, code and files are.

use std::path::{Component, Path, PathBuf};

use fb_types::{Bucket, BucketName, ClassAcl};
use serde_json::Value;

use crate::ignore::Ignore;
use crate::{CliError, Target};

/// The file that is read if it exists. Its other keys are the server's, for those who keep both in one folder.
pub const FILE: &str = "freshbase.toml";

/// A project folder.
#[derive(Debug)]
pub struct Project {
    dir: PathBuf,
    url: Option<String>,
    app: Option<String>,
    ca_file: Option<PathBuf>,
    www: Option<PathBuf>,
    code: Option<PathBuf>,
    schema: Option<PathBuf>,
    bucket: BucketName,
    pub(crate) buckets: Vec<Bucket>,
    ignore: Vec<String>,
}

impl Project {
    /// Reads the settings of the project in `dir`. Fails with [`CliError::Project`] and the place of what is wrong.
    pub fn open(dir: &Path) -> Result<Self, CliError> {
        // A path that stays right wherever a bundler is started.
        let dir = std::path::absolute(dir).map_err(CliError::io("looking at", dir))?;
        if !dir.is_dir() {
            return Err(CliError::Project(format!("there is no folder {}", dir.display())));
        }
        let mut project = Self {
            dir,
            url: None,
            app: None,
            ca_file: None,
            www: None,
            code: None,
            schema: None,
            bucket: BucketName::www(),
            buckets: Vec::new(),
            ignore: Vec::new(),
        };
        let path = project.dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(project),
            Err(error) => return Err(CliError::io("reading", &path)(error)),
        };
        let wrong = |what: &str| CliError::Project(format!("{FILE}: {}", what.trim_end()));
        let mut table: toml::Table = text.parse().map_err(|e: toml::de::Error| wrong(&e.to_string()))?;
        match table.remove("project") {
            None => {}
            Some(toml::Value::Table(table)) => {
                for (key, value) in table {
                    project
                        .set(&key, value)
                        .map_err(|what| wrong(&format!("project.{what}")))?;
                }
            }
            Some(_) => return Err(wrong("`project` must be a table, [project]")),
        }
        project.ignore()?;
        Ok(project)
    }

    fn set(&mut self, key: &str, value: toml::Value) -> Result<(), String> {
        let text = |value: toml::Value| match value {
            toml::Value::String(text) => Ok(text),
            _ => Err(format!("{key} must be a string")),
        };
        let folder = |value| {
            let path = PathBuf::from(text(value)?);
            let is_inside = path
                .components()
                .all(|c| matches!(c, Component::Normal(_) | Component::CurDir));
            // Whoever wrote this file does not decide what else of this machine is published.
            match is_inside && path.components().next().is_some() {
                true => Ok(path),
                false => Err(format!("{key} must be a folder inside of the project")),
            }
        };
        match key {
            "url" => self.url = Some(text(value)?),
            "app" => self.app = Some(text(value)?),
            "ca-file" => self.ca_file = Some(self.dir.join(text(value)?)),
            "www" => self.www = Some(folder(value)?),
            "code" => self.code = Some(folder(value)?),
            "schema" => self.schema = Some(folder(value)?),
            "bucket" => self.bucket = BucketName::new(&text(value)?).map_err(|e| format!("bucket: {e}"))?,
            "ignore" => {
                let toml::Value::Array(patterns) = value else {
                    return Err("ignore must be an array of patterns".into());
                };
                self.ignore = patterns.into_iter().map(text).collect::<Result<_, _>>()?;
            }
            "buckets" => {
                let toml::Value::Table(buckets) = value else {
                    return Err("buckets must be a table, [project.buckets.NAME]".into());
                };
                for (name, rules) in buckets {
                    self.buckets.push(bucket(&name, &rules)?);
                }
            }
            "token" | "password" => {
                return Err(format!(
                    "{key} is a secret; use `freshbase login` or the environment variable FRESHBASE_TOKEN"
                ));
            }
            _ => {
                return Err(format!(
                    "{key} is unknown; there are url, app, ca-file, www, code, schema, bucket, buckets and ignore"
                ));
            }
        }
        Ok(())
    }

    /// The project's folder, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The file with certificates of authorities to trust, if the project names one.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// The app: `url` and `app` if they are given, else what the project says.
    pub fn target(&self, url: Option<&str>, app: Option<&str>) -> Result<Target, CliError> {
        let of_project = || self.url.as_deref();
        let text = url.or_else(of_project).ok_or_else(|| {
            CliError::Usage(format!(
                "which app? give --url http://localhost:8080/v1, set FRESHBASE_URL, or write `url` below [project] into {FILE}"
            ))
        })?;
        // A URL from elsewhere is complete without what the project says.
        let app = app.or_else(|| if url.is_none() { self.app.as_deref() } else { None });
        Target::parse(text, app)
    }

    /// The bucket that files go to.
    pub fn bucket(&self) -> &BucketName {
        &self.bucket
    }

    pub(crate) fn ignore(&self) -> Result<Ignore, CliError> {
        Ignore::new(&self.ignore)
    }

    /// The folder of files, if there is one. One that was named must exist.
    pub(crate) fn www_dir(&self) -> Result<Option<PathBuf>, CliError> {
        self.folder("www", self.www.as_deref(), &["www"])
    }

    /// The folder of code; the published CLI's is `baqend`.
    pub(crate) fn code_dir(&self) -> Result<Option<PathBuf>, CliError> {
        self.folder("code", self.code.as_deref(), &["code", "baqend"])
    }

    /// The folder of class definitions; the published CLI's is `baqend/schema`.
    pub(crate) fn schema_dir(&self) -> Result<Option<PathBuf>, CliError> {
        self.folder("schema", self.schema.as_deref(), &["schema", "baqend/schema"])
    }

    /// The folder that pulled definitions go to.
    pub(crate) fn new_schema_dir(&self) -> Result<PathBuf, CliError> {
        match &self.schema {
            Some(named) => self.new_folder(named),
            None => self
                .schema_dir()?
                .map_or_else(|| self.new_folder("schema".as_ref()), Ok),
        }
    }

    /// The folder that pulled code goes to.
    pub(crate) fn new_code_dir(&self) -> Result<PathBuf, CliError> {
        match &self.code {
            Some(named) => self.new_folder(named),
            None => self.code_dir()?.map_or_else(|| self.new_folder("code".as_ref()), Ok),
        }
    }

    /// A folder to write to, which may be yet to be made: what there is of it is inside of the project.
    fn new_folder(&self, named: &Path) -> Result<PathBuf, CliError> {
        let dir = self.dir.join(named);
        let is_there = |path: &&Path| std::fs::symlink_metadata(path).is_ok();
        match dir.ancestors().find(is_there) {
            Some(known) => self.check_inside(known)?,
            None => return Err(CliError::Project(format!("there is no folder {}", self.dir.display()))),
        }
        Ok(dir)
    }

    fn folder(&self, key: &str, named: Option<&Path>, usual: &[&str]) -> Result<Option<PathBuf>, CliError> {
        let found = match named {
            Some(named) => {
                let dir = self.dir.join(named);
                if !dir.is_dir() {
                    let text = format!("{FILE}: project.{key}: there is no folder {}", named.display());
                    return Err(CliError::Project(text));
                }
                Some(dir)
            }
            None => usual.iter().map(|name| self.dir.join(name)).find(|dir| dir.is_dir()),
        };
        let Some(dir) = found else { return Ok(None) };
        self.check_inside(&dir)?;
        Ok(Some(dir))
    }

    /// Fails if `path` is elsewhere once its links are followed, or if they lead nowhere.
    fn check_inside(&self, path: &Path) -> Result<(), CliError> {
        let real = |path: &Path| path.canonicalize().map_err(CliError::io("looking at", path));
        if real(path)?.starts_with(real(&self.dir)?) {
            return Ok(());
        }
        let text = format!("{} is a link that leads out of the project", path.display());
        Err(CliError::Project(text))
    }
}

fn bucket(name: &str, rules: &toml::Value) -> Result<Bucket, String> {
    let at = |error: &dyn std::fmt::Display| format!("buckets.{name}: {error}");
    let bucket = BucketName::new(name).map_err(|e| at(&e))?;
    let rules = json(rules).ok_or_else(|| at(&"rules are tables of strings"))?;
    let rules = ClassAcl::from_json(&rules, name).map_err(|e| at(&e))?;
    if let Some((permission, _)) = rules.iter().find(|(p, _)| !fb_types::Permission::DATA.contains(p)) {
        return Err(at(&format!("buckets have no permission {}", permission.as_str())));
    }
    Ok(Bucket {
        rules,
        ..Bucket::unconfigured(bucket)
    })
}

fn json(value: &toml::Value) -> Option<Value> {
    match value {
        toml::Value::String(text) => Some(Value::String(text.clone())),
        toml::Value::Table(table) => {
            let members = table.iter().map(|(name, value)| Some((name.clone(), json(value)?)));
            members.collect::<Option<_>>().map(Value::Object)
        }
        toml::Value::Integer(_)
        | toml::Value::Float(_)
        | toml::Value::Boolean(_)
        | toml::Value::Datetime(_)
        | toml::Value::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> Result<Project, String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), text).unwrap();
        std::fs::create_dir_all(dir.path().join("public")).unwrap();
        Project::open(dir.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_project_says_where_things_are() {
        let project = open(
            "listen = \"the server's\"\n[project]\nurl = \"localhost:8080\"\napp = \"shop\"\nwww = \"public\"\nbucket = \"site\"\n\
             ignore = [\"*.map\"]\n[project.buckets.pictures]\nload = { \"*\" = \"allow\" }\n",
        )
        .unwrap();
        assert_eq!(
            project.target(None, None).unwrap().to_string(),
            "http://localhost:8080/apps/shop/v1"
        );
        let other = project.target(Some("https://example.com/v1"), None).unwrap();
        assert_eq!(other.to_string(), "https://example.com/v1");
        assert_eq!(project.bucket().as_str(), "site");
        assert_eq!(project.buckets[0].name.as_str(), "pictures");
        let error = open("").unwrap().target(None, None).unwrap_err();
        assert!(
            error.to_string().contains("FRESHBASE_URL") && error.exit_code() == 2,
            "{error}"
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("[project]\nwww = 1", "project.www must be a string"),
            ("[project]\nnonsense = 1", "project.nonsense is unknown"),
            ("[project]\ntoken = \"secret\"", "project.token is a secret"),
            ("project = 1", "`project` must be a table"),
            ("[project", "freshbase.toml: TOML parse error at line 1"),
            ("[project]\nignore = [\"\"]", "is no pattern"),
            ("[project.buckets.\"a/b\"]", "buckets.a/b"),
            ("[project.buckets.a]\nload = 1", "buckets.a: rules are tables"),
            (
                "[project.buckets.a]\nlaod = { \"*\" = \"allow\" }",
                "there is no permission `laod`",
            ),
            (
                "[project.buckets.a]\nschemaAdd = { \"*\" = \"allow\" }",
                "no permission schemaAdd",
            ),
        ] {
            let error = open(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
            assert!(!error.contains("secret\""));
        }
    }

    #[test]
    fn s31_folders_are_inside_of_the_project() {
        for path in ["..", "../other", "/etc", "a/../../b", ""] {
            let error = open(&format!("[project]\nwww = \"{path}\"")).unwrap_err();
            assert!(error.contains("inside of the project"), "{path}: {error}");
        }
    }
}
