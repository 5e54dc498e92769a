//! What the operator says about a bucket, checked.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use url::{Host, Url};

use crate::FilesError;

/// Where a bucket is, and who may use it.
#[derive(Clone)]
pub struct S3Config {
    /// The name of the bucket: 3 to 63 letters, digits, `.`, `_` and `-`.
    pub bucket: String,
    /// What all keys begin with, for example `prod/files`; empty for none. Segments of letters, digits, `.`, `_` and `-`.
    pub prefix: String,
    /// The region, for example `eu-central-1`, which goes into signatures. Storages without regions mostly want `us-east-1`
    /// or `auto`.
    pub region: String,
    /// The URL of the storage without the bucket, for example `https://minio.example:9000`; `None` for AWS.
    pub endpoint: Option<String>,
    /// Permits an endpoint with `http` that is not this machine. Contents are then readable on the way; the secret is not
    /// sent, but whoever is in between can change what is stored.
    pub allow_http: bool,
    /// Whether the bucket stands in the path of URLs and not in their host. Most storages beside AWS want it.
    pub path_style: bool,
    /// The id of the access key.
    pub key_id: String,
    /// The secret of the access key.
    pub secret: String,
    /// Certificates in PEM of further authorities, beside those that browsers trust. The system's store is not read.
    pub authorities: Vec<String>,
    /// How long nothing may happen in a request before it is given up: no byte sent or received. 8 s unless told otherwise.
    pub patience: Duration,
}

impl S3Config {
    /// A bucket at AWS; the other fields have their defaults and can be set.
    pub fn new(
        bucket: impl Into<String>,
        region: impl Into<String>,
        key_id: impl Into<String>,
        secret: impl Into<String>,
    ) -> Self {
        Self {
            bucket: bucket.into(),
            prefix: String::new(),
            region: region.into(),
            endpoint: None,
            allow_http: false,
            path_style: false,
            key_id: key_id.into(),
            secret: secret.into(),
            authorities: Vec::new(),
            patience: Duration::from_secs(8),
        }
    }

    /// The URL of the bucket and, for object_store, of the endpoint; checks everything on the way.
    pub(super) fn check(&self) -> Result<Urls, FilesError> {
        let plain = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
        };
        if !(3..=63).contains(&self.bucket.len()) || !plain(&self.bucket) || self.bucket.starts_with('.') {
            return Err(setup(
                "the name of a bucket has 3 to 63 letters, digits, `.`, `_` and `-`",
            ));
        }
        let is_segment = |segment: &str| !matches!(segment, "" | "." | "..") && plain(segment);
        if !self.prefix.is_empty() && (self.prefix.len() > 256 || !self.prefix.split('/').all(is_segment)) {
            return Err(setup(
                "the prefix of keys has segments of letters, digits, `.`, `_` and `-`, and no `/` at its ends",
            ));
        }
        if self.region.is_empty() || !plain(&self.region) {
            return Err(setup("the region is missing or malformed"));
        }
        if self.key_id.is_empty() || self.secret.is_empty() {
            return Err(setup("the id or the secret of the access key is missing"));
        }
        if self.patience.is_zero() {
            return Err(setup("the patience with requests has to be longer than nothing"));
        }
        let text = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => format!("https://s3.{}.amazonaws.com", self.region),
        };
        let mut endpoint = Url::parse(&text).map_err(|_| setup("the endpoint is no URL"))?;
        self.check_endpoint(&endpoint)?;
        if !self.path_style {
            let host = format!("{}.{}", self.bucket, endpoint.host_str().unwrap_or_default());
            endpoint
                .set_host(Some(&host))
                .map_err(|_| setup("the bucket cannot be part of the host: use path style"))?;
        }
        let endpoint = endpoint.as_str().trim_end_matches('/').to_owned();
        let bucket = match self.path_style {
            true => format!("{endpoint}/{}", self.bucket),
            false => endpoint.clone(),
        };
        Ok(Urls { endpoint, bucket })
    }

    fn check_endpoint(&self, endpoint: &Url) -> Result<(), FilesError> {
        let is_bare = endpoint.username().is_empty()
            && endpoint.password().is_none()
            && endpoint.query().is_none()
            && endpoint.fragment().is_none();
        if !is_bare {
            return Err(setup("the endpoint has more than a host, a port and a path"));
        }
        let ip = match endpoint.host() {
            Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
            Some(Host::Domain(_)) => None,
            None => return Err(setup("the endpoint has no host")),
        };
        if ip.is_some() && !self.path_style {
            return Err(setup("the endpoint is an IP address: use path style"));
        }
        let is_here = ip.map_or(endpoint.domain() == Some("localhost"), |ip| ip.is_loopback());
        match endpoint.scheme() {
            "https" => Ok(()),
            "http" if is_here || self.allow_http => Ok(()),
            "http" => Err(setup(
                "the endpoint is not encrypted: use https, or allow http explicitly",
            )),
            _ => Err(setup("the endpoint is neither https nor http")),
        }
    }
}

impl fmt::Debug for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Config")
            .field("bucket", &self.bucket)
            .field("prefix", &self.prefix)
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// URLs without a slash at the end.
#[derive(Debug)]
pub(super) struct Urls {
    /// What object_store calls the endpoint: with the bucket in the host, unless path style is wanted.
    pub(super) endpoint: String,
    pub(super) bucket: String,
}

fn setup(reason: &str) -> FilesError {
    FilesError::Setup {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> S3Config {
        S3Config::new("contents", "eu-central-1", "id", "secret")
    }

    #[test]
    fn urls_of_buckets() {
        let mut config = config();
        assert_eq!(
            config.check().unwrap().bucket,
            "https://contents.s3.eu-central-1.amazonaws.com"
        );
        config.path_style = true;
        assert_eq!(
            config.check().unwrap().bucket,
            "https://s3.eu-central-1.amazonaws.com/contents"
        );
        config.endpoint = Some("https://minio.example:9000/".to_owned());
        assert_eq!(config.check().unwrap().bucket, "https://minio.example:9000/contents");
        config.path_style = false;
        assert_eq!(config.check().unwrap().bucket, "https://contents.minio.example:9000");
    }

    #[test]
    fn http_is_for_this_machine_unless_it_is_allowed() {
        let mut config = config();
        config.path_style = true;
        for (endpoint, is_here) in [
            ("http://127.0.0.1:9000", true),
            ("http://[::1]:9000", true),
            ("http://localhost:9000", true),
            ("http://localhost.example", false),
            ("http://10.0.0.1", false),
            ("http://minio", false),
        ] {
            config.endpoint = Some(endpoint.to_owned());
            config.allow_http = false;
            assert_eq!(config.check().is_ok(), is_here, "{endpoint}");
            config.allow_http = true;
            assert!(config.check().is_ok(), "{endpoint}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let wrong: &[fn(&mut S3Config)] = &[
            |c| c.bucket = "a".to_owned(),
            |c| c.bucket = "a/b/c".to_owned(),
            |c| c.prefix = "/a".to_owned(),
            |c| c.prefix = "a/".to_owned(),
            |c| c.prefix = "a/../b".to_owned(),
            |c| c.region = String::new(),
            |c| c.secret = String::new(),
            |c| c.endpoint = Some("minio:9000".to_owned()),
            |c| c.endpoint = Some("ftp://minio".to_owned()),
            |c| c.endpoint = Some("https://user:word@minio".to_owned()),
            |c| c.endpoint = Some("https://127.0.0.1".to_owned()),
            |c| c.patience = Duration::ZERO,
        ];
        for (n, spoil) in wrong.iter().enumerate() {
            let mut config = config();
            spoil(&mut config);
            assert!(matches!(config.check(), Err(FilesError::Setup { .. })), "{n}");
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert!(!format!("{:?}", config()).contains("secret"));
    }
}
