//! Foreign caches that are told what to drop: the configuration's words for them, and what they are told in.

mod follow;

pub(crate) use self::follow::Follower;

use std::sync::Arc;
use std::time::Duration;

use fb_auth::Secret;
use fb_purge::{By, Options, Target, TargetError};
use http::HeaderName;

/// Fastly's and Cloudflare's own addresses.
pub(crate) const FASTLY_API: &str = "https://api.fastly.com";
pub(crate) const CLOUDFLARE_API: &str = "https://api.cloudflare.com/client/v4";

/// Which caches there are. Without any nothing is told to anybody.
#[derive(Debug, Clone)]
pub(crate) struct PurgeConfig {
    /// Addresses of Varnish.
    pub(crate) varnish: Vec<String>,
    pub(crate) varnish_secret: Option<Secret>,
    pub(crate) webhook: Option<String>,
    pub(crate) webhook_secret: Option<Secret>,
    /// The id of a service.
    pub(crate) fastly: Option<String>,
    pub(crate) fastly_token: Option<Secret>,
    pub(crate) fastly_soft: bool,
    pub(crate) fastly_api: String,
    /// The id of a zone.
    pub(crate) cloudflare: Option<String>,
    pub(crate) cloudflare_token: Option<Secret>,
    pub(crate) cloudflare_api: String,
    /// Where clients reach the API of apps; if any are given, copies are known by URL.
    pub(crate) urls: Vec<String>,
    pub(crate) repeat: Option<Duration>,
    /// In which headers answers say their keys; as the caches want it, if none are given.
    pub(crate) headers: Vec<HeaderName>,
}

impl Default for PurgeConfig {
    fn default() -> Self {
        Self {
            varnish: Vec::new(),
            varnish_secret: None,
            webhook: None,
            webhook_secret: None,
            fastly: None,
            fastly_token: None,
            fastly_soft: false,
            fastly_api: FASTLY_API.into(),
            cloudflare: None,
            cloudflare_token: None,
            cloudflare_api: CLOUDFLARE_API.into(),
            urls: Vec::new(),
            repeat: Some(Duration::from_secs(1)),
            headers: Vec::new(),
        }
    }
}

impl PurgeConfig {
    /// Everybody who is told. The errors are for the operator: all there are.
    pub(crate) fn targets(&self) -> Result<Vec<Target>, Vec<String>> {
        let mut targets = Vec::new();
        let mut errors = Vec::new();
        let mut add = |key: &str, secret_key: &str, secret: &Option<Secret>, target: MakeTarget<'_>| {
            let variable = format!("FRESHBASE_{}", secret_key.to_ascii_uppercase().replace('-', "_"));
            let Some(secret) = secret else {
                return errors.push(format!("`{key}` needs {variable} (or {variable}_FILE)"));
            };
            match target(secret.clone()) {
                Ok(target) => targets.push(target),
                Err(error @ TargetError::Secret(_)) => errors.push(format!("{variable}: {error}")),
                Err(error) => errors.push(format!("`{key}`: {error}")),
            }
        };
        for url in &self.varnish {
            let target = |secret| Target::varnish(url, secret);
            add("purge-varnish", "purge-varnish-secret", &self.varnish_secret, &target);
        }
        if let Some(url) = &self.webhook {
            let target = |secret| Target::webhook(url, &secret);
            add("purge-webhook", "purge-webhook-secret", &self.webhook_secret, &target);
        }
        if let Some(service) = &self.fastly {
            let target = |token| Target::fastly(&self.fastly_api, service, token, self.fastly_soft);
            add("purge-fastly", "purge-fastly-token", &self.fastly_token, &target);
        }
        if let Some(zone) = &self.cloudflare {
            let target = |token| Target::cloudflare(&self.cloudflare_api, zone, token);
            add(
                "purge-cloudflare",
                "purge-cloudflare-token",
                &self.cloudflare_token,
                &target,
            );
        }
        if errors.is_empty() { Ok(targets) } else { Err(errors) }
    }

    /// The headers in which answers say their keys. Empty without targets, and for those that go by URL.
    pub(crate) fn key_headers(&self, targets: &[Target]) -> Vec<HeaderName> {
        if targets.is_empty() || self.by() == By::Urls {
            return Vec::new();
        }
        if !self.headers.is_empty() {
            return self.headers.clone();
        }
        let usual = HeaderName::from_static("surrogate-key");
        let wanted = targets
            .iter()
            .map(|target| target.key_header().unwrap_or(usual.clone()));
        let mut headers: Vec<_> = wanted.collect();
        headers.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        headers.dedup();
        headers
    }

    pub(crate) fn by(&self) -> By {
        match self.urls.is_empty() {
            true => By::Keys,
            false => By::Urls,
        }
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            repeat: self.repeat,
            ..Options::default()
        }
    }
}

type MakeTarget<'m> = &'m dyn Fn(Secret) -> Result<Target, TargetError>;

/// A list with commas; empty for none.
pub(crate) fn list(text: &str) -> Vec<String> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(str::to_owned).collect()
}

/// Names of headers that may say keys.
pub(crate) fn header_names(text: &str) -> Result<Vec<HeaderName>, String> {
    const EXPECTED: &str = "names of headers such as Surrogate-Key, Cache-Tag or Edge-Cache-Tag, with commas";
    let read = |name: &String| {
        let name: HeaderName = name.parse().ok()?;
        // What says something else already must not be replaced.
        let is_for_keys =
            name.as_str().ends_with("-key") || name.as_str().ends_with("-tag") || name.as_str().ends_with("-tags");
        is_for_keys.then_some(name)
    };
    let names: Option<Vec<_>> = list(text).iter().map(read).collect();
    names.ok_or_else(|| EXPECTED.to_owned())
}

/// URLs of APIs, in which `{app}` stands for an app's name.
pub(crate) fn api_urls(text: &str) -> Result<Vec<String>, String> {
    let urls = list(text).into_iter().map(|url| {
        let plain = url.replace("{app}", "app");
        let uri: Option<http::Uri> = plain.parse().ok();
        let is_good = uri.is_some_and(|uri| {
            let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
            is_http && uri.host().is_some() && uri.query().is_none() && uri.path().ends_with("/v1")
        });
        is_good.then_some(url)
    });
    let urls: Option<Vec<_>> = urls.collect();
    urls.ok_or_else(|| "URLs such as https://{app}.example.com/v1, with commas".to_owned())
}

/// What a purge of one name of an answer is to foreign caches. `None`: nothing, it is about answers that they never have.
///
/// Names are as [`fb_app::caching::tags`] makes them. The URLs of an object are known; files may be pages of any site as well, and so are not.
fn order(name: &str, urls: &[String], default_app: Option<&str>) -> Option<fb_purge::Order> {
    if name.starts_with('~') {
        return None;
    }
    let object = name.split_once('/').filter(|(_, path)| path.starts_with("db/"));
    let urls = object.filter(|_| !urls.is_empty()).map(|(app, path)| {
        let of_app = urls.iter().filter_map(|url| match url.contains("{app}") {
            true => Some(url.replace("{app}", app)),
            false => (default_app == Some(app)).then(|| url.clone()),
        });
        of_app.map(|url| Arc::from(format!("{url}/{path}"))).collect()
    });
    Some(fb_purge::Order::Key {
        key: Arc::from(fb_purge::wire_key(name).as_ref()),
        urls,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_need_their_secrets_and_all_problems_are_said() {
        let mut config = PurgeConfig {
            varnish: vec!["http://10.0.0.2:6081".into(), "nonsense".into()],
            varnish_secret: Some(Secret::new("s3cret")),
            webhook: Some("https://hooks.test/purge".into()),
            webhook_secret: Some(Secret::new("s3cret")),
            fastly: Some("SVC".into()),
            cloudflare: Some("zone".into()),
            ..PurgeConfig::default()
        };
        assert_eq!(
            config.targets().unwrap_err(),
            [
                "`purge-varnish`: not an address such as http://10.0.0.2:6081, without a path",
                "FRESHBASE_PURGE_WEBHOOK_SECRET: the secret is not whsec_ and Base64 of 24 to 64 bytes",
                "`purge-fastly` needs FRESHBASE_PURGE_FASTLY_TOKEN (or FRESHBASE_PURGE_FASTLY_TOKEN_FILE)",
                "`purge-cloudflare` needs FRESHBASE_PURGE_CLOUDFLARE_TOKEN (or FRESHBASE_PURGE_CLOUDFLARE_TOKEN_FILE)",
            ]
        );
        assert!(!format!("{config:?}").contains("s3cret"));
        config.varnish.truncate(1);
        config.webhook_secret = Some(Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        config.fastly_token = Some(Secret::new("t"));
        config.cloudflare_token = Some(Secret::new("t"));
        let targets = config.targets().unwrap();
        let names: Vec<_> = targets.iter().map(Target::name).collect();
        assert_eq!(
            names,
            [
                "varnish 10.0.0.2:6081",
                "webhook hooks.test",
                "fastly SVC",
                "cloudflare zone"
            ]
        );
        let headers = |config: &PurgeConfig| {
            config
                .key_headers(&targets)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(headers(&config), ["cache-tag", "surrogate-key"]);
        config.headers = header_names("Edge-Cache-Tag").unwrap();
        assert_eq!(headers(&config), ["edge-cache-tag"]);
        config.urls = api_urls("https://{app}.example.com/v1").unwrap();
        assert_eq!(headers(&config), [""; 0]);
    }

    #[test]
    fn lists_are_read() {
        assert_eq!(list(" a ,,b"), ["a", "b"]);
        assert!(header_names("Set-Cookie").is_err() && header_names("a b-tag").is_err());
        assert_eq!(header_names(""), Ok(Vec::new()));
        for bad in ["example.com/v1", "https://example.com", "ftp://a/v1", "https://a/v1?x"] {
            assert!(api_urls(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn objects_have_urls_and_what_is_private_is_not_told() {
        let urls = [
            "https://{app}.example.com/v1".to_owned(),
            "https://example.com/v1".to_owned(),
        ];
        let of = |name| match order(name, &urls, Some("main")) {
            Some(fb_purge::Order::Key { key, urls }) => Some((
                key.to_string(),
                urls.map(|urls| urls.iter().map(|u| u.to_string()).collect::<Vec<_>>()),
            )),
            _ => None,
        };
        assert_eq!(
            of("shop/db/Todo/a%20b"),
            Some((
                "shop/db/Todo/a%20b".into(),
                Some(vec!["https://shop.example.com/v1/db/Todo/a%20b".into()])
            ))
        );
        let main = of("main/db/T/1").unwrap().1.unwrap();
        assert_eq!(
            main,
            ["https://main.example.com/v1/db/T/1", "https://example.com/v1/db/T/1"]
        );
        assert_eq!(of("shop/class/Todo"), Some(("shop/class/Todo".into(), None)));
        assert_eq!(of("shop/file/www/a"), Some(("shop/file/www/a".into(), None)));
        assert_eq!(of("~shop/db/Todo/1"), None);
        assert!(matches!(
            order("shop/db/T/1", &[], None),
            Some(fb_purge::Order::Key { urls: None, .. })
        ));
    }
}
