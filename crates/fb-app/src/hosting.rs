//! Websites: which files an app serves as pages, and to whom.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use fb_auth::{FileOperation, Principal, Secret, authorize_file};
use fb_types::{Bucket, BucketName, FileId, FilePath};
use serde::{Deserialize, Serialize};

use crate::accounts::Source;
use crate::files::SiteAccess;
use crate::settings::HIDDEN;
use crate::{App, AppError};

/// Websites by host name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HostingSettings {
    /// What is served under each host name of the app; `*` stands for all that are not named. Without any: the bucket `www`.
    pub sites: BTreeMap<String, Arc<Site>>,
}

/// A website.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Site {
    /// Whether it is served at all.
    pub enabled: bool,
    /// The bucket that its files are in.
    pub bucket: String,
    /// Name of the page that stands for a folder.
    pub index: String,
    /// The page that stands for one that does not exist, with status 404.
    pub not_found: String,
    /// Whether the root's index page is served, with status 200, for every address that no file has and that looks like a
    /// page's: its script finds out what to show.
    pub single_page: bool,
    /// Whether `/about` is served from `about.html`.
    pub clean_urls: bool,
    /// The password that visitors have to give.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<BasicAuth>,
}

impl Default for Site {
    fn default() -> Self {
        Self {
            enabled: true,
            bucket: WWW.to_owned(),
            index: "index.html".into(),
            not_found: "404.html".into(),
            single_page: false,
            clean_urls: false,
            basic_auth: None,
        }
    }
}

/// HTTP basic authentication of a site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BasicAuth {
    /// The name, without a colon.
    pub username: String,
    /// The password, at least 8 bytes.
    pub password: Secret,
}

/// The bucket of sites that name none.
const WWW: &str = "www";
/// Most sites of one app.
const MAX_SITES: usize = 100;

impl HostingSettings {
    /// The site of a host name, which is in lower case, and the name that it is configured under.
    fn site<'s>(&'s self, host: &'s str) -> Option<(&'s str, &'s Arc<Site>)> {
        let own = self.sites.get(host).map(|site| (host, site));
        own.or_else(|| self.sites.get("*").map(|site| ("*", site)))
    }

    /// The buckets whose files are served as pages.
    pub fn served_buckets(&self) -> BTreeSet<&str> {
        let enabled = self.sites.values().filter(|site| site.enabled);
        let mut served: BTreeSet<&str> = enabled.map(|site| site.bucket.as_str()).collect();
        if !self.sites.contains_key("*") {
            served.insert(WWW);
        }
        served
    }

    /// Passwords that were shown as `***` are those of before.
    pub(crate) fn keep_secrets(&mut self, old: &Self) {
        for (host, site) in &mut self.sites {
            let site = Arc::make_mut(site);
            if let Some(auth) = site.basic_auth.as_mut().filter(|auth| auth.password.expose() == HIDDEN)
                && let Some(before) = old.sites.get(host).and_then(|site| site.basic_auth.as_ref())
            {
                auth.password = before.password.clone();
            }
        }
    }

    /// With `***` in place of passwords.
    pub(crate) fn hide_secrets(&mut self) {
        let sites = self.sites.values_mut().map(Arc::make_mut);
        for auth in sites.filter_map(|site| site.basic_auth.as_mut()) {
            auth.password = Secret::new(HIDDEN);
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        if self.sites.len() > MAX_SITES {
            return Err(format!("hosting.sites: at most {MAX_SITES} sites are allowed"));
        }
        for (host, site) in &self.sites {
            let is_host =
                |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b':' | b'[' | b']');
            if host != "*" && (host.is_empty() || host.len() > 253 || !host.bytes().all(is_host)) {
                return Err(format!(
                    "hosting.sites.{host}: a site is named by a host such as shop.example, in lower case and without port, or by *"
                ));
            }
            site.check()
                .map_err(|problem| format!("hosting.sites.{host}: {problem}"))?;
        }
        Ok(())
    }

    /// Buckets whose sites have a password.
    pub(crate) fn guarded(&self) -> impl Iterator<Item = (&str, &str)> {
        let guarded = self.sites.iter().filter(|(_, site)| site.basic_auth.is_some());
        guarded.map(|(host, site)| (host.as_str(), site.bucket.as_str()))
    }
}

impl Site {
    fn check(&self) -> Result<(), String> {
        BucketName::new(&self.bucket).map_err(|e| format!("bucket: {e}"))?;
        if self.index.contains('/') || FilePath::new(&self.index).is_err() {
            return Err("index must be a file name such as index.html".into());
        }
        FilePath::new(&self.not_found).map_err(|e| format!("notFound: {e}"))?;
        if let Some(auth) = &self.basic_auth {
            let is_plain = |text: &str| text.len() <= 200 && !text.chars().any(char::is_control);
            if auth.username.is_empty() || auth.username.contains(':') || !is_plain(&auth.username) {
                return Err("basicAuth.username must be a name without colon".into());
            }
            if auth.password.expose().len() < 8 || !is_plain(auth.password.expose()) {
                return Err("basicAuth.password must have 8 to 200 bytes".into());
            }
        }
        Ok(())
    }

    /// The file at `path`.
    pub fn file(&self, path: &str) -> Option<FileId> {
        let bucket = match &*self.bucket {
            WWW => BucketName::www(),
            other => BucketName::new(other).ok()?,
        };
        Some(FileId::new(bucket, FilePath::new(path).ok()?))
    }
}

/// The site of apps that say nothing about sites.
static DEFAULT_SITE: LazyLock<Arc<Site>> = LazyLock::new(Arc::default);

/// What a visitor of a site is told first.
#[derive(Debug, Clone)]
pub enum Visit {
    /// There is no site under this host name.
    NoSite,
    /// The name and password of the site are to be given.
    PasswordRequired,
    /// Come in.
    Site(Arc<Site>, SiteAccess),
}

impl App {
    /// The site of a host name for a visitor who gives this name and password.
    pub fn visit(
        &self,
        host: &str,
        given: Option<(&str, &Secret)>,
        source: impl FnOnce() -> Source,
    ) -> Result<Visit, AppError> {
        let settings = self.settings();
        let (name, site) = match settings.hosting.site(host) {
            Some((_, site)) if !site.enabled => return Ok(Visit::NoSite),
            Some((name, site)) => (name, site.clone()),
            None => (host, DEFAULT_SITE.clone()),
        };
        let Some(auth) = &site.basic_auth else {
            return Ok(Visit::Site(site, SiteAccess::Everybody));
        };
        let Some((username, password)) = given else {
            return Ok(Visit::PasswordRequired);
        };
        // By the name in the settings: host names that `*` stands for are as many as a guesser wants.
        let attempt = self.begin_shared_attempt(&format!("site {name}"), &source())?;
        // Fingerprints have the same length, whatever was given; comparing them tells nothing.
        let name_is_right = fb_auth::fingerprint(username) == fb_auth::fingerprint(&auth.username);
        let password_is_right = fb_auth::fingerprint(password.expose()) == fb_auth::fingerprint(auth.password.expose());
        if name_is_right & password_is_right {
            attempt.succeeded();
            return Ok(Visit::Site(site, SiteAccess::WithPassword));
        }
        Ok(Visit::PasswordRequired)
    }

    /// A password on a site is none while everybody may load its files from the API.
    pub(crate) async fn check_guarded_sites(&self, hosting: &HostingSettings) -> Result<(), AppError> {
        for (host, bucket) in hosting.guarded() {
            let (bucket, _) = self.bucket(&BucketName::new(bucket)?).await?;
            if is_public(&bucket) {
                return Err(AppError::Invalid(format!(
                    "settings: hosting.sites.{host} has a password, but everybody may load files of its bucket {}; restrict \
                     the bucket's load permission first",
                    bucket.name
                )));
            }
        }
        Ok(())
    }

    /// The same seen from the bucket.
    pub(crate) fn check_guards_bucket(&self, bucket: &Bucket) -> Result<(), AppError> {
        let settings = self.settings();
        let guarded = settings
            .hosting
            .guarded()
            .find(|(_, name)| *name == bucket.name.as_str());
        match guarded {
            Some((host, _)) if is_public(bucket) => Err(AppError::Invalid(format!(
                "the site {host} has a password, which would be none if everybody may load files of its bucket"
            ))),
            _ => Ok(()),
        }
    }
}

fn is_public(bucket: &Bucket) -> bool {
    authorize_file(&Principal::anonymous(), FileOperation::Load, bucket).is_ok()
}
