//! Configuration: flags over environment over file over defaults. Every problem is reported, not just the first.

use std::path::PathBuf;
use std::time::Duration;

use clap::ArgMatches;
use fb_auth::{HashCost, Secret};
use fb_mail::{Sender, SmtpOptions};
use fb_outbound::AllowedTarget;
use fb_server::{HttpLimits, TrustedProxy};

use crate::files::FilesConfig;
use crate::keys::{self, KEYS, Key};
use crate::purge::PurgeConfig;

/// What the server runs with.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) listen: String,
    pub(crate) tls_listen: Option<String>,
    pub(crate) tls_cert: Option<PathBuf>,
    pub(crate) tls_key: Option<PathBuf>,
    pub(crate) https_redirect: HttpsRedirect,
    pub(crate) acme: Option<AcmeContact>,
    pub(crate) acme_directory: String,
    pub(crate) acme_root: Option<PathBuf>,
    pub(crate) data_dir: PathBuf,
    pub(crate) baqend: bool,
    pub(crate) domain: String,
    pub(crate) admin_user: Option<String>,
    pub(crate) admin_password: Option<Secret>,
    pub(crate) relaxed: bool,
    pub(crate) cache_bytes: u64,
    pub(crate) files: FilesConfig,
    pub(crate) file_bytes: u64,
    pub(crate) content_cache_bytes: u64,
    pub(crate) object_bytes: usize,
    pub(crate) results: u64,
    pub(crate) query_time: Duration,
    /// Memory of one running function in bytes.
    pub(crate) function_memory_bytes: usize,
    /// How long one function may compute.
    pub(crate) function_cpu_time: Duration,
    /// How long one function may take.
    pub(crate) function_time: Duration,
    pub(crate) idle: Duration,
    pub(crate) http: HttpLimits,
    pub(crate) hash_cost: HashCost,
    pub(crate) waiting_hashes: usize,
    pub(crate) trusted_proxies: Vec<TrustedProxy>,
    pub(crate) leaks_url: String,
    pub(crate) push_endpoints: fb_push::Endpoints,
    pub(crate) outbound_allow: Vec<AllowedTarget>,
    pub(crate) purge: PurgeConfig,
    pub(crate) smtp: Option<SmtpOptions>,
    pub(crate) mail_from: Sender,
    pub(crate) master_key: Option<Secret>,
    pub(crate) edge_secret: Option<Secret>,
    pub(crate) log_level: String,
    pub(crate) log_json: bool,
}

/// Where plain requests for hosts with a certificate are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HttpsRedirect {
    /// Nowhere.
    Off,
    /// To the port that HTTPS is spoken on.
    ToListener,
    /// To this port.
    To(u16),
}

/// Whom an ACME authority may write to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum AcmeContact {
    Nobody,
    Mail(String),
}

impl Default for Config {
    fn default() -> Self {
        let limits = fb_app::AppLimits::default();
        Self {
            listen: "127.0.0.1:8080".into(),
            tls_listen: None,
            tls_cert: None,
            tls_key: None,
            https_redirect: HttpsRedirect::ToListener,
            acme: None,
            acme_directory: keys::ACME_DIRECTORY.into(),
            acme_root: None,
            data_dir: "./freshbase-data".into(),
            baqend: false,
            domain: "localhost".into(),
            admin_user: None,
            admin_password: None,
            relaxed: false,
            cache_bytes: limits.cache_bytes,
            files: FilesConfig {
                region: "us-east-1".into(),
                ..FilesConfig::default()
            },
            file_bytes: limits.file_bytes,
            content_cache_bytes: limits.content_cache_bytes,
            object_bytes: limits.object_bytes,
            results: limits.results,
            query_time: limits.query_time,
            function_memory_bytes: fb_functions::Limits::default().memory_bytes,
            function_cpu_time: fb_functions::Limits::default().cpu_time,
            function_time: fb_functions::Limits::default().wall_time,
            idle: Duration::from_secs(300),
            http: HttpLimits::default(),
            hash_cost: HashCost::default(),
            waiting_hashes: 64,
            trusted_proxies: Vec::new(),
            leaks_url: keys::LEAKS_URL.into(),
            push_endpoints: fb_push::Endpoints::default(),
            outbound_allow: Vec::new(),
            purge: PurgeConfig::default(),
            smtp: None,
            mail_from: keys::sender(keys::MAIL_FROM).expect("the default sender is an address"),
            master_key: None,
            edge_secret: None,
            log_level: "info".into(),
            log_json: false,
        }
    }
}

/// The file that is read if it exists and no other one is named.
const DEFAULT_FILE: &str = "freshbase.toml";

/// Everything that is wrong with the configuration.
#[derive(Debug)]
pub(crate) struct ConfigErrors(Vec<String>);

impl std::fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the configuration is not valid")?;
        for error in &self.0 {
            write!(f, "\n  - {error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

/// Where a key got its value from.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    pub(crate) source: String,
}

/// Variables of commands that talk to a server; a shell that has them may start one too.
const CLIENT_VARIABLES: [&str; 2] = ["FRESHBASE_URL", "FRESHBASE_TOKEN"];

/// Reads the configuration for a command. Also gives where each value comes from.
pub(crate) fn load(matches: &ArgMatches) -> Result<(Config, Vec<Setting>), ConfigErrors> {
    let variables = std::env::vars()
        .filter(|(name, _)| name.starts_with("FRESHBASE_") && !CLIENT_VARIABLES.contains(&name.as_str()))
        .collect::<Vec<_>>();
    let file = matches.try_get_one::<String>("config").ok().flatten().cloned();
    let flag = |name: &str| matches.try_get_one::<String>(name).ok().flatten().cloned();
    load_from(file.as_deref(), &variables, flag)
}

fn load_from(
    file: Option<&str>,
    variables: &[(String, String)],
    flag: impl Fn(&str) -> Option<String>,
) -> Result<(Config, Vec<Setting>), ConfigErrors> {
    let mut errors = Vec::new();
    let from_file = read_file(file, &mut errors);
    let mut from_env = read_variables(variables, &mut errors);
    let mut config = Config::default();
    let mut settings = Vec::new();
    for key in KEYS {
        // Secrets have no flags, but commands may have arguments of the same name.
        let given = if key.is_secret { None } else { flag(key.name) };
        let (value, source) = if let Some(value) = given {
            (value, format!("--{}", key.name))
        } else if let Some((value, source)) = from_env.remove(key.name) {
            (value, source)
        } else if let Some((value, source)) = from_file.get(key.name) {
            (value.clone(), source.clone())
        } else {
            let value = if key.is_secret { "" } else { key.default };
            settings.push(Setting {
                key: key.name,
                value: value.into(),
                source: "default".into(),
            });
            continue;
        };
        if let Err(expected) = (key.set)(&mut config, &value) {
            errors.push(format!("{source}: `{}` must be {expected}", key.name));
        }
        let value = if key.is_secret { "***".into() } else { value };
        settings.push(Setting {
            key: key.name,
            value,
            source,
        });
    }
    if config.admin_user.is_some() != config.admin_password.is_some() {
        errors.push("FRESHBASE_ADMIN_USER and FRESHBASE_ADMIN_PASSWORD go together".into());
    }
    check_tls(&config, &mut errors);
    if let Err(problems) = config.purge.targets() {
        errors.extend(problems);
    }
    if errors.is_empty() {
        Ok((config, settings))
    } else {
        Err(ConfigErrors(errors))
    }
}

/// What makes sense together only.
fn check_tls(config: &Config, errors: &mut Vec<String>) {
    let has_files = config.tls_cert.is_some();
    if has_files != config.tls_key.is_some() {
        errors.push("`tls-cert` and `tls-key` go together".into());
    }
    match (&config.tls_listen, has_files || config.acme.is_some()) {
        (Some(_), false) => {
            errors.push("`tls-listen` needs certificates: set `tls-cert` and `tls-key`, or `acme`".into())
        }
        (None, true) => errors.push("`tls-cert` and `acme` are of no use without `tls-listen`".into()),
        (Some(_), true) | (None, false) => {}
    }
}

type Found = std::collections::HashMap<&'static str, (String, String)>;

fn known(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

fn read_file(named: Option<&str>, errors: &mut Vec<String>) -> Found {
    let mut found = Found::new();
    let path = named.unwrap_or(DEFAULT_FILE);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return found,
        Err(error) => {
            errors.push(format!("{path}: {error}"));
            return found;
        }
    };
    let table: toml::Table = match text.parse() {
        Ok(table) => table,
        Err(error) => {
            errors.push(format!("{path}: {}", error.to_string().trim_end()));
            return found;
        }
    };
    for (name, value) in table {
        // What developers keep there is read by `fb_cli::Project`.
        if name == "project" {
            continue;
        }
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(flag) => flag.to_string(),
            _ => {
                errors.push(format!("{path}: `{name}` must be a string or a number"));
                continue;
            }
        };
        match known(&name) {
            Some(key) if key.is_secret => errors.push(format!(
                "{path}: `{name}` is a secret and belongs in {} or {}_FILE",
                key.variable(),
                key.variable()
            )),
            Some(key) => {
                found.insert(key.name, (text, path.to_owned()));
            }
            None => errors.push(format!("{path}: there is no key `{name}`{}", nearest(&name))),
        }
    }
    found
}

fn read_variables(variables: &[(String, String)], errors: &mut Vec<String>) -> Found {
    let mut found = Found::new();
    for (variable, value) in variables {
        if let Some(key) = KEYS.iter().find(|key| key.variable() == *variable) {
            found.insert(key.name, (value.clone(), variable.clone()));
            continue;
        }
        let of_file = KEYS
            .iter()
            .find(|key| key.is_secret && format!("{}_FILE", key.variable()) == *variable);
        match of_file {
            Some(key) => match std::fs::read_to_string(value) {
                Ok(text) => {
                    let text = text.trim_end_matches(['\n', '\r']).to_owned();
                    found.entry(key.name).or_insert((text, variable.clone()));
                }
                Err(error) => errors.push(format!("{variable}: {value}: {error}")),
            },
            None => {
                let name = variable
                    .trim_start_matches("FRESHBASE_")
                    .to_ascii_lowercase()
                    .replace('_', "-");
                errors.push(format!("there is no environment variable {variable}{}", nearest(&name)));
            }
        }
    }
    found
}

/// A hint at the key that was probably meant.
fn nearest(name: &str) -> String {
    let alike = |key: &&Key| key.name.contains(name) || name.contains(key.name) || differs_by_little(key.name, name);
    match KEYS.iter().find(alike) {
        Some(key) => format!("; did you mean `{}`?", key.name),
        None => "; `freshbase config show` lists all keys".into(),
    }
}

fn differs_by_little(a: &str, b: &str) -> bool {
    let missing = |a: &str, b: &str| a.chars().filter(|c| !b.contains(*c)).count();
    a.len().abs_diff(b.len()) <= 2 && missing(a, b) + missing(b, a) <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn flags_win_over_environment_over_file_over_defaults() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "listen = \"f:1\"\ndomain = \"file\"\nmax-results = 7\n").unwrap();
        let env = variables(&[("FRESHBASE_LISTEN", "e:1"), ("FRESHBASE_DOMAIN", "env")]);
        let flag = |name: &str| (name == "listen").then(|| "flag:1".to_owned());
        let (config, settings) = load_from(path.to_str(), &env, flag).unwrap();
        assert_eq!(
            (config.listen.as_str(), config.domain.as_str(), config.results),
            ("flag:1", "env", 7)
        );
        let source = |key: &str| settings.iter().find(|s| s.key == key).unwrap().source.clone();
        assert_eq!(
            (source("listen"), source("domain"), source("log-level")),
            ("--listen".into(), "FRESHBASE_DOMAIN".into(), "default".into())
        );
    }

    #[test]
    fn all_problems_are_listed_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.toml");
        std::fs::write(&path, "lisen = \"f:1\"\nmax-body = \"4MB\"\nadmin-password = \"x\"\n").unwrap();
        let env = variables(&[("FRESHBASE_NONSENSE", "1"), ("FRESHBASE_ADMIN_USER", "root")]);
        let text = load_from(path.to_str(), &env, |_| None).unwrap_err().to_string();
        for part in [
            "there is no key `lisen`; did you mean `listen`?",
            "`max-body` must be a size",
            "`admin-password` is a secret",
            "there is no environment variable FRESHBASE_NONSENSE",
            "go together",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn https_and_its_certificates_go_together() {
        let check = |list: &[(&str, &str)]| {
            load_from(None, &variables(list), |_| None)
                .map(|_| ())
                .map_err(|e| e.to_string())
        };
        let listen = ("FRESHBASE_TLS_LISTEN", "[::]:443");
        let (cert, key) = (("FRESHBASE_TLS_CERT", "c.pem"), ("FRESHBASE_TLS_KEY", "k.pem"));
        let acme = ("FRESHBASE_ACME", "me@example.org");
        for good in [
            &[listen, cert, key][..],
            &[listen, acme],
            &[listen, cert, key, acme],
            &[],
        ] {
            assert_eq!(check(good), Ok(()));
        }
        for (bad, expected) in [
            (&[listen][..], "needs certificates"),
            (&[listen, cert], "go together"),
            (&[cert, key], "of no use without"),
            (&[acme], "of no use without"),
            (
                &[("FRESHBASE_ACME", "me"), listen, cert, key],
                "an e-mail address, or on",
            ),
            (&[("FRESHBASE_HTTPS_REDIRECT", "0")], "on, off or a port"),
            (
                &[("FRESHBASE_ACME_DIRECTORY", "http://ca.test")],
                "begins with https://",
            ),
            (&[("FRESHBASE_TLS_LISTEN", "443")], "a host and a port"),
        ] {
            let error = check(bad).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn secrets_come_from_files_and_are_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, "s3cret\n").unwrap();
        let env = variables(&[
            ("FRESHBASE_ADMIN_USER", "root"),
            ("FRESHBASE_ADMIN_PASSWORD_FILE", path.to_str().unwrap()),
        ]);
        let (config, settings) = load_from(None, &env, |_| None).unwrap();
        assert_eq!(config.admin_password.as_ref().unwrap().expose(), "s3cret");
        assert!(!format!("{settings:?}{config:?}").contains("s3cret"));
    }
}
