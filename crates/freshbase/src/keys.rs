//! The table of configuration keys: one row each. Flags, environment variables, the file and `docs/config.md` are made
//! from it.

use std::time::Duration;

use crate::config::{AcmeContact, Config, HttpsRedirect};
use crate::purge;

/// A configuration key.
pub(crate) struct Key {
    /// Name in the file and, with two dashes before it, on the command line. The environment variable is
    /// `FRESHBASE_` and the name in capitals with underscores.
    pub(crate) name: &'static str,
    /// What a value looks like.
    pub(crate) value: &'static str,
    /// The default, as text.
    pub(crate) default: &'static str,
    /// What it does; unit, range, effect.
    pub(crate) help: &'static str,
    /// Secrets come from the environment alone, also as `…_FILE` with the path of a file that holds them.
    pub(crate) is_secret: bool,
    /// Takes a value; the error says what is expected.
    pub(crate) set: fn(&mut Config, &str) -> Result<(), String>,
}

impl Key {
    /// The environment variable.
    pub(crate) fn variable(&self) -> String {
        format!("FRESHBASE_{}", self.name.to_ascii_uppercase().replace('-', "_"))
    }
}

macro_rules! key {
    ($name:literal, $value:literal, $default:literal, $help:literal, $set:expr) => {
        Key {
            name: $name,
            value: $value,
            default: $default,
            help: $help,
            is_secret: false,
            set: $set,
        }
    };
    (secret $name:literal, $help:literal, $set:expr) => {
        Key {
            name: $name,
            value: "TEXT",
            default: "",
            help: $help,
            is_secret: true,
            set: $set,
        }
    };
}

/// All keys.
pub(crate) const KEYS: &[Key] = &[
    key!(
        "listen",
        "HOST:PORT",
        "127.0.0.1:8080",
        "Address to listen on. Port 0 takes any free one; the ready line says which.",
        |c, v| address(v).map(|()| v.clone_into(&mut c.listen))
    ),
    key!(
        "tls-listen",
        "HOST:PORT|off",
        "off",
        "Address to listen on for HTTPS (TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1), beside `listen`. Needs `tls-cert` and `tls-key`, or `acme`. See `docs/tls.md`.",
        |c, v| {
            c.tls_listen = match v {
                "off" => None,
                v => Some(address(v).map(|()| v.to_owned()).map_err(|e| format!("{e}, or off"))?),
            };
            Ok(())
        }
    ),
    key!(
        "tls-cert",
        "PATH",
        "",
        "PEM file with the server's certificate and then the chain. It is used for its own hosts, and for those that have no other one. Changes of the files are taken over within seconds.",
        |c, v| {
            c.tls_cert = path(v);
            Ok(())
        }
    ),
    key!(
        "tls-key",
        "PATH",
        "",
        "PEM file with the private key that belongs to `tls-cert`, without a password.",
        |c, v| {
            c.tls_key = path(v);
            Ok(())
        }
    ),
    key!(
        "https-redirect",
        "on|off|PORT",
        "on",
        "With `tls-listen`, plain requests for hosts with a certificate are sent to HTTPS (308), and browsers are told to stay there for a year (HSTS). `on`: to the port of `tls-listen`; a number: to that port, where clients see another one.",
        |c, v| {
            c.https_redirect = match v {
                "on" => HttpsRedirect::ToListener,
                "off" => HttpsRedirect::Off,
                v => {
                    let port = v.parse().ok().filter(|port| *port > 0);
                    HttpsRedirect::To(port.ok_or("on, off or a port")?)
                }
            };
            Ok(())
        }
    ),
    key!(
        "acme",
        "ADDRESS|on",
        "",
        "Obtains certificates for `domain` and the hosts of all apps by ACME, and agrees to the authority's terms. The address is for its mails about the account; `on`: without one. Empty: off.",
        |c, v| {
            let is_address = v.contains('@') && v.is_ascii() && !v.contains(char::is_whitespace) && !v.contains(':');
            c.acme = match v {
                "" => None,
                "on" => Some(AcmeContact::Nobody),
                v if is_address => Some(AcmeContact::Mail(v.to_owned())),
                _ => return Err("an e-mail address, or on".into()),
            };
            Ok(())
        }
    ),
    key!(
        "acme-directory",
        "URL",
        "https://acme-v02.api.letsencrypt.org/directory",
        "Where the ACME authority's directory is.",
        |c, v| {
            let is_https = v.strip_prefix("https://").is_some_and(|rest| !rest.is_empty());
            if !is_https || v.contains(char::is_whitespace) {
                return Err("a URL that begins with https://".into());
            }
            v.clone_into(&mut c.acme_directory);
            Ok(())
        }
    ),
    key!(
        "acme-root",
        "PATH",
        "",
        "PEM file with further authorities that the ACME server itself is trusted by, for an authority of your own.",
        |c, v| {
            c.acme_root = path(v);
            Ok(())
        }
    ),
    key!(
        "data-dir",
        "PATH",
        "./freshbase-data",
        "Directory that holds everything: the list of apps, and one directory per app.",
        |c, v| {
            c.data_dir = v.into();
            Ok(())
        }
    ),
    key!(
        "compat",
        "baqend|none",
        "none",
        "Profile of the default app that is made at first start. `baqend`: the open defaults of the original protocol (no rules means everybody, root/root unless an administrator is given).",
        |c, v| {
            c.baqend = match v {
                "baqend" => true,
                "none" => false,
                _ => return Err("baqend or none".into()),
            };
            Ok(())
        }
    ),
    key!(
        "domain",
        "NAME",
        "localhost",
        "Host names <app>.<domain> name an app; other host names lead to the default app.",
        |c, v| {
            c.domain = v.trim_matches('.').to_ascii_lowercase();
            Ok(())
        }
    ),
    key!(secret "admin-user", "Name of the operator and of the default app's administrator, made at first start.", |c, v| {
        c.admin_user = Some(v.to_owned());
        Ok(())
    }),
    key!(secret "admin-password", "The administrator's password. Without one a setup link is printed.", |c, v| {
        c.admin_password = Some(fb_auth::Secret::new(v));
        Ok(())
    }),
    key!(secret "master-key", "What the secrets in the databases (token keys, second factors, client secrets) are encrypted under, at least 32 characters. Without one, the file `master.key` of the data directory, which is made at first start. Keep a copy apart from the backups.", |c, v| {
        if v.len() < 32 {
            return Err("at least 32 characters".into());
        }
        c.master_key = Some(fb_auth::Secret::new(v));
        Ok(())
    }),
    key!(secret "edge-secret", "What edges (`freshbase edge`) and this server prove to each other that they belong together with: 32 to 256 visible ASCII characters. Without one there are no edges. See `docs/edge.md`.", |c, v| {
        check_edge_secret(v)?;
        c.edge_secret = Some(fb_auth::Secret::new(v));
        Ok(())
    }),
    key!(secret "smtp-url", "Mail server, with name and password: `smtp://user:password@mail.example:587` (STARTTLS is required) or `smtps://user:password@mail.example:465`. Without one no mail is sent; the operator can read them at `/admin/v1/apps/<app>/mails`.", |c, v| {
        c.smtp = Some(v.parse().map_err(|e: fb_mail::SmtpError| e.to_string())?);
        Ok(())
    }),
    key!(
        "mail-from",
        "ADDRESS",
        "Freshbase <noreply@localhost>",
        "Who mails are from, unless an app has an address of its own.",
        |c, v| {
            c.mail_from = sender(v)?;
            Ok(())
        }
    ),
    key!(
        "trusted-proxies",
        "LIST",
        "",
        "Addresses and networks of proxies whose `X-Forwarded-For` is believed, with commas between them: 10.0.0.0/8,192.0.2.7. Limits count per client only if the proxies in front are listed.",
        |c, v| {
            let all = v.split(',').map(str::trim).filter(|part| !part.is_empty());
            c.trusted_proxies = all.map(str::parse).collect::<Result<_, _>>()?;
            Ok(())
        }
    ),
    key!(
        "outbound-allow",
        "LIST",
        "",
        "Hosts and networks outside of the public internet that the server may send requests to, such as an identity provider of your own: idp.internal,10.1.0.0/16,127.0.0.1:9000. Every app's settings can then reach them.",
        |c, v| {
            let all = v.split(',').map(str::trim).filter(|part| !part.is_empty());
            let parsed: Result<_, fb_outbound::AllowError> = all.map(str::parse).collect();
            c.outbound_allow = parsed.map_err(|e| e.to_string())?;
            Ok(())
        }
    ),
    key!(
        "purge-varnish",
        "LIST",
        "",
        "Addresses of Varnish in front of this server, with commas: http://10.0.0.2:6081. They run the VCL of deploy/varnish and are told of changes; see docs/cdn.md. Needs FRESHBASE_PURGE_VARNISH_SECRET.",
        |c, v| {
            c.purge.varnish = purge::list(v);
            Ok(())
        }
    ),
    key!(secret "purge-varnish-secret", "The secret in the VCL of `purge-varnish`.", |c, v| {
        c.purge.varnish_secret = Some(fb_auth::Secret::new(v));
        Ok(())
    }),
    key!(
        "purge-fastly",
        "ID",
        "",
        "Service at Fastly in front of this server, which is told of changes. Needs FRESHBASE_PURGE_FASTLY_TOKEN.",
        |c, v| {
            c.purge.fastly = given(v);
            Ok(())
        }
    ),
    key!(secret "purge-fastly-token", "API token of Fastly for `purge-fastly`, with the scopes `purge_select` and `purge_all`.", |c, v| {
        c.purge.fastly_token = Some(fb_auth::Secret::new(v));
        Ok(())
    }),
    key!(
        "purge-fastly-soft",
        "on|off",
        "off",
        "Whether Fastly marks copies as stale instead of dropping them. With `stale-while-revalidate` it answers with them once more then.",
        |c, v| {
            c.purge.fastly_soft = on_or_off(v)?;
            Ok(())
        }
    ),
    key!(
        "purge-fastly-api",
        "URL",
        "https://api.fastly.com",
        "Where Fastly's API is.",
        |c, v| service_url(v).map(|url| c.purge.fastly_api = url)
    ),
    key!(
        "purge-cloudflare",
        "ID",
        "",
        "Zone at Cloudflare in front of this server, which is told of changes. Needs FRESHBASE_PURGE_CLOUDFLARE_TOKEN.",
        |c, v| {
            c.purge.cloudflare = given(v);
            Ok(())
        }
    ),
    key!(secret "purge-cloudflare-token", "API token of Cloudflare for `purge-cloudflare`, with the permission Cache Purge.", |c, v| {
        c.purge.cloudflare_token = Some(fb_auth::Secret::new(v));
        Ok(())
    }),
    key!(
        "purge-cloudflare-api",
        "URL",
        "https://api.cloudflare.com/client/v4",
        "Where Cloudflare's API is.",
        |c, v| service_url(v).map(|url| c.purge.cloudflare_api = url)
    ),
    key!(
        "purge-webhook",
        "URL",
        "",
        "Where changes are told as signed POST requests, for any other cache; see docs/cdn.md. Needs FRESHBASE_PURGE_WEBHOOK_SECRET.",
        |c, v| {
            c.purge.webhook = given(v);
            Ok(())
        }
    ),
    key!(secret "purge-webhook-secret", "What requests to `purge-webhook` are signed with: `whsec_` and Base64 of 24 to 64 random bytes.", |c, v| {
        c.purge.webhook_secret = Some(fb_auth::Secret::new(v));
        Ok(())
    }),
    key!(
        "purge-urls",
        "LIST",
        "",
        "For caches that know their copies by URL alone: where clients reach the API, with commas; `{app}` stands for an app's name, and a URL without it is the default app's: https://{app}.example.com/v1. Changes that concern more than one object then drop everything.",
        |c, v| purge::api_urls(v).map(|urls| c.purge.urls = urls)
    ),
    key!(
        "purge-headers",
        "LIST",
        "",
        "Headers in which answers say the keys by which they are purged, with commas: Surrogate-Key, Cache-Tag, Edge-Cache-Tag. By default what the configured caches want; those behind a webhook get Surrogate-Key.",
        |c, v| purge::header_names(v).map(|names| c.purge.headers = names)
    ),
    key!(
        "purge-repeat",
        "DURATION",
        "1s",
        "After what time each purge is sent once more, because an answer that was under way may have been stored behind it; `off` for never.",
        |c, v| {
            c.purge.repeat = match v {
                "off" => None,
                v => Some(duration(v)?),
            };
            Ok(())
        }
    ),
    key!(
        "leaked-passwords-url",
        "URL",
        "https://api.pwnedpasswords.com/range/",
        "Service that apps with `rejectBreached` ask about passwords: the URL and the first five hex digits of a SHA-1. A copy of your own works as well.",
        |c, v| {
            if !v.starts_with("https://") && !v.starts_with("http://") {
                return Err("a URL that begins with https://".into());
            }
            v.clone_into(&mut c.leaks_url);
            Ok(())
        }
    ),
    key!(
        "fcm-url",
        "URL",
        "https://fcm.googleapis.com",
        "Where Firebase Cloud Messaging is, for a proxy in between or for tests. It has to speak HTTP/2.",
        |c, v| service_url(v).map(|url| c.push_endpoints.fcm = url)
    ),
    key!(
        "fcm-token-url",
        "URL",
        "https://oauth2.googleapis.com/token",
        "Where service accounts of Firebase get their tokens.",
        |c, v| service_url(v).map(|url| c.push_endpoints.fcm_token = url)
    ),
    key!(
        "apns-url",
        "URL",
        "https://api.push.apple.com",
        "Where Apple's push service is, for a proxy in between or for tests. It has to speak HTTP/2.",
        |c, v| service_url(v).map(|url| c.push_endpoints.apns = url)
    ),
    key!(
        "apns-development-url",
        "URL",
        "https://api.sandbox.push.apple.com",
        "The same for keys with the environment `development`.",
        |c, v| service_url(v).map(|url| c.push_endpoints.apns_development = url)
    ),
    key!(
        "hash-memory",
        "SIZE",
        "19MiB",
        "Memory that hashing one password takes (Argon2id); at least 8MiB. Hashes of another cost are made anew at the next login.",
        |c, v| {
            let kib = size(v)? >> 10;
            let kib = u32::try_from(kib).ok().filter(|kib| (8 << 10..=1 << 20).contains(kib));
            c.hash_cost.memory_kib = kib.ok_or("a size of 8MiB to 1GiB")?;
            Ok(())
        }
    ),
    key!("hash-passes", "NUMBER", "2", "Passes over that memory.", |c, v| {
        let passes = number(v)?;
        c.hash_cost.passes = u32::try_from(passes)
            .ok()
            .filter(|n| *n <= 100)
            .ok_or("a number of 1 to 100")?;
        Ok(())
    }),
    key!(
        "max-waiting-logins",
        "NUMBER",
        "64",
        "Most logins that wait for the password hasher; further ones get 503 and are to come back.",
        |c, v| number(v).map(|n| c.waiting_hashes = usize::try_from(n).unwrap_or(usize::MAX))
    ),
    key!(
        "durability",
        "full|relaxed",
        "full",
        "`full`: what was acknowledged survives loss of power. `relaxed`: it survives a crash of the server, but the last moments may be lost with the power; writes get faster.",
        |c, v| {
            c.relaxed = match v {
                "full" => false,
                "relaxed" => true,
                _ => return Err("full or relaxed".into()),
            };
            Ok(())
        }
    ),
    key!(
        "file-storage",
        "local|s3://BUCKET/PREFIX",
        "local",
        "Where contents of files are kept: `local` is the app's directory in the data directory; else a bucket of an S3-compatible storage, which needs the two secrets below. Set a lifecycle rule there that aborts incomplete multipart uploads.",
        |c, v| crate::files::S3Place::parse(v).map(|place| c.files.s3 = place)
    ),
    key!(secret "s3-key-id", "Id of the access key of the S3-compatible storage.", |c, v| {
        c.files.key_id = Some(v.to_owned());
        Ok(())
    }),
    key!(secret "s3-secret", "Secret of that access key.", |c, v| {
        c.files.secret = Some(fb_auth::Secret::new(v));
        Ok(())
    }),
    key!(
        "s3-endpoint",
        "URL",
        "",
        "URL of the S3-compatible storage; empty for AWS. One with `http://` is taken for this machine only, unless it begins with `http+insecure://`.",
        |c, v| {
            c.files.allow_http = v.starts_with("http+insecure://");
            let url = v.replacen("http+insecure://", "http://", 1);
            c.files.endpoint = (!url.is_empty()).then_some(url);
            Ok(())
        }
    ),
    key!(
        "s3-region",
        "NAME",
        "us-east-1",
        "Region of the S3-compatible storage.",
        |c, v| {
            v.clone_into(&mut c.files.region);
            Ok(())
        }
    ),
    key!(
        "s3-path-style",
        "true|false",
        "false",
        "Whether URLs of the S3-compatible storage have the bucket in their path instead of their host name, as most storages other than AWS want it.",
        |c, v| {
            c.files.path_style = v.parse().map_err(|_| "true or false")?;
            Ok(())
        }
    ),
    key!(
        "s3-root",
        "PATH",
        "",
        "PEM file with the certificate of a further authority that is trusted for the S3-compatible storage, for one of your own.",
        |c, v| {
            c.files.root = (!v.is_empty()).then(|| v.into());
            Ok(())
        }
    ),
    key!(
        "function-memory",
        "SIZE",
        "64MiB",
        "Memory of one running function of an app's code.",
        |c, v| size(v).map(|n| c.function_memory_bytes = n)
    ),
    key!(
        "function-cpu-time",
        "TIME",
        "2s",
        "How long one call of an app's code may compute.",
        |c, v| duration(v).map(|d| c.function_cpu_time = d)
    ),
    key!(
        "function-time",
        "TIME",
        "30s",
        "How long one call of an app's code may take, waiting included.",
        |c, v| duration(v).map(|d| c.function_time = d)
    ),
    key!("max-file", "SIZE", "5GiB", "Largest file.", |c, v| size(v)
        .map(|n| c.file_bytes = n as u64)),
    key!(
        "content-cache-size",
        "SIZE",
        "32MiB",
        "Small and compressed files that each app that is awake keeps in memory.",
        |c, v| size(v).map(|n| c.content_cache_bytes = n as u64)
    ),
    key!(
        "cache-size",
        "SIZE",
        "32MiB",
        "Object cache of each app that is awake.",
        |c, v| size(v).map(|n| c.cache_bytes = n as u64)
    ),
    key!("max-body", "SIZE", "4MiB", "Largest JSON body.", |c, v| size(v)
        .map(|n| c.http.body_bytes = n)),
    key!("max-import", "SIZE", "64MiB", "Largest body of an import.", |c, v| {
        size(v).map(|n| c.http.import_bytes = n)
    }),
    key!("max-object", "SIZE", "1MiB", "Largest object.", |c, v| size(v)
        .map(|n| c.object_bytes = n)),
    key!(
        "max-url",
        "SIZE",
        "16KiB",
        "Longest path and query of a URL; at most 60KiB.",
        |c, v| {
            c.http.uri_bytes = size(v).ok().filter(|n| *n <= 60 << 10).ok_or("a size up to 60KiB")?;
            Ok(())
        }
    ),
    key!(
        "max-results",
        "NUMBER",
        "500",
        "Most objects that one query returns, and how many it returns by default.",
        |c, v| number(v).map(|n| c.results = n)
    ),
    key!(
        "max-connections",
        "NUMBER",
        "10000",
        "Most connections at once.",
        |c, v| number(v).map(|n| c.http.connections = usize::try_from(n).unwrap_or(usize::MAX >> 3))
    ),
    key!(
        "max-live-clients",
        "NUMBER",
        "5000",
        "Most WebSockets and event streams of one app at once. They count for `max-connections` as well.",
        |c, v| number(v).map(|n| c.http.live_per_app = usize::try_from(n).unwrap_or(usize::MAX))
    ),
    key!(
        "max-live-clients-per-address",
        "NUMBER",
        "2000",
        "Most of them from one address; of IPv6 the first 64 bits count. Behind a proxy, `trusted-proxies` says whose addresses they are.",
        |c, v| number(v).map(|n| c.http.live_per_address = usize::try_from(n).unwrap_or(usize::MAX))
    ),
    key!(
        "live-ping",
        "DURATION",
        "30s",
        "How often clients of live queries are asked whether they are still there; those that do not answer until the next time are cut off.",
        |c, v| duration(v).map(|d| c.http.live_ping = d)
    ),
    key!(
        "live-idle",
        "DURATION",
        "5m",
        "How long a WebSocket may be open without a live query.",
        |c, v| duration(v).map(|d| c.http.live_idle = d)
    ),
    key!(
        "query-timeout",
        "DURATION",
        "10s",
        "How long one query may take.",
        |c, v| duration(v).map(|d| c.query_time = d)
    ),
    key!(
        "shutdown-timeout",
        "DURATION",
        "30s",
        "How long running requests may take when the server stops.",
        |c, v| duration(v).map(|d| c.http.shutdown_time = d)
    ),
    key!(
        "idle-timeout",
        "DURATION",
        "5m",
        "After how long without requests an app is put to sleep: its files are closed, its caches dropped.",
        |c, v| duration(v).map(|d| c.idle = d)
    ),
    key!(
        "log-level",
        "FILTER",
        "info",
        "What is logged: error, warn, info, debug or trace, also by module: info,freshbase::access=debug logs every request.",
        |c, v| filter(v).map(|()| v.clone_into(&mut c.log_level))
    ),
    key!(
        "log-format",
        "text|json",
        "text",
        "Form of the log on standard error.",
        |c, v| {
            c.log_json = match v {
                "text" => false,
                "json" => true,
                _ => return Err("text or json".into()),
            };
            Ok(())
        }
    ),
];

/// Who knows leaked passwords.
pub(crate) const LEAKS_URL: &str = "https://api.pwnedpasswords.com/range/";

/// Let's Encrypt.
pub(crate) const ACME_DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Sender of mails on a node that nobody configured.
pub(crate) const MAIL_FROM: &str = "Freshbase <noreply@localhost>";

/// The URL of a service without a slash at its end.
fn service_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    match rest {
        Some(rest) if !rest.is_empty() && !text.contains(char::is_whitespace) => {
            Ok(text.trim_end_matches('/').to_owned())
        }
        _ => Err("a URL that begins with https://".to_owned()),
    }
}

pub(crate) fn sender(text: &str) -> Result<fb_mail::Sender, String> {
    text.parse().map_err(|e: fb_mail::AddressError| e.to_string())
}

/// It has to fit into a header, and nobody should guess it.
pub(crate) fn check_edge_secret(text: &str) -> Result<(), String> {
    let is_fit = (32..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_fit
        .then_some(())
        .ok_or_else(|| "32 to 256 visible ASCII characters".into())
}

/// What is empty is not given.
fn given(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn on_or_off(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("on or off".into()),
    }
}

/// The same.
fn path(text: &str) -> Option<std::path::PathBuf> {
    (!text.is_empty()).then(|| text.into())
}

/// The host may be a name, which is only known to exist when the server starts.
fn address(text: &str) -> Result<(), String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(()),
        _ => Err("a host and a port, such as 127.0.0.1:8080 or [::]:80".into()),
    }
}

fn filter(text: &str) -> Result<(), String> {
    match tracing_subscriber::EnvFilter::try_new(text) {
        Ok(_) => Ok(()),
        Err(_) => Err("a filter such as info or info,freshbase::access=debug".into()),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|n| *n > 0)
        .ok_or_else(|| "a whole number above 0".into())
}

pub(crate) fn size(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let unit = match text[digits.len()..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1_usize << 30,
        _ => return Err("a size such as 64KiB, 4MiB or 1GiB".into()),
    };
    let number: Option<usize> = digits.parse().ok();
    number
        .and_then(|n| n.checked_mul(unit))
        .filter(|n| *n > 0)
        .ok_or_else(|| "a size such as 64KiB, 4MiB or 1GiB".into())
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let expected = || "a duration such as 500ms, 10s or 5m".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| expected())?;
    let millis = match &text[digits.len()..] {
        "ms" => Some(number),
        "s" => number.checked_mul(1000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    // A year is as good as for ever, and keeps sums of times far from overflow.
    millis
        .filter(|ms| (1..=31_536_000_000).contains(ms))
        .map(Duration::from_millis)
        .ok_or_else(expected)
}

/// The reference page of all keys, as it stands in `docs/config.md`.
#[cfg(test)]
pub(crate) fn reference() -> String {
    use std::fmt::Write;
    let mut text = String::from(
        "# Configuration\n\nGenerated from the table of keys in `crates/freshbase/src/keys.rs`.\n\n\
         A flag wins over an environment variable, that over the file `freshbase.toml` (another one with `--config`), and that \
         over the default. Unknown keys are errors. `freshbase config check` says what is wrong, `freshbase config show` \
         what is in force.\n\n| key in the file | flag | environment | default | |\n| --- | --- | --- | --- | --- |\n",
    );
    for key in KEYS {
        let variable = key.variable();
        if key.is_secret {
            let _ = writeln!(
                text,
                "| | | `{variable}`, or `{variable}_FILE` with the path of a file | | {} |",
                key.help
            );
        } else {
            let (name, value) = (key.name, key.value.replace('|', "\\|"));
            let default = key.default;
            let _ = writeln!(
                text,
                "| `{name}` | `--{name} {value}` | `{variable}` | `{default}` | {} |",
                key.help
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations() {
        assert_eq!(size("4MiB"), Ok(4 << 20));
        assert_eq!(size("100"), Ok(100));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for bad in ["", "4MB", "-1", "0", "MiB", "99999999999GiB"] {
            assert!(size(bad).is_err(), "{bad}");
        }
        for bad in ["", "10", "1d", "-1s", "0s", "99999999999999999h"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn defaults_are_what_the_table_says() {
        let mut from_table = Config::default();
        for key in KEYS.iter().filter(|key| !key.is_secret) {
            (key.set)(&mut from_table, key.default).unwrap();
        }
        assert_eq!(format!("{from_table:?}"), format!("{:?}", Config::default()));
    }

    #[test]
    fn the_reference_page_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/config.md");
        #[expect(clippy::disallowed_methods, reason = "a switch for whoever regenerates the page")]
        if std::env::var("REGENERATE_DOCS").is_ok() {
            std::fs::write(path, reference()).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == reference(),
            "docs/config.md is stale: run REGENERATE_DOCS=1 cargo test -p freshbase"
        );
    }
}
