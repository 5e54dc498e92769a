//! URLs as browsers read them (WHATWG), with the crate `url`.

use rquickjs::Object;
use url::{Url, quirks};

use super::define;

/// `urlParse(text, base | undefined)` and `urlSet(href, part, value)` give the parts in the order of [`parts`], or undefined.
pub(super) fn install<'js>(native: &Object<'js>) -> rquickjs::Result<()> {
    define(native, "urlParse", |text: String, base: Option<String>| {
        parse(&text, base.as_deref())
    })?;
    define(native, "urlSet", |href: String, part: String, value: String| {
        set(&href, &part, &value)
    })?;
    define(native, "domainToAscii", |domain: String| {
        quirks::domain_to_ascii(&domain)
    })?;
    define(native, "domainToUnicode", |domain: String| {
        quirks::domain_to_unicode(&domain)
    })
}

fn parse(text: &str, base: Option<&str>) -> Option<Vec<String>> {
    let base = match base {
        Some(base) => Some(Url::parse(base).ok()?),
        None => None,
    };
    Url::options()
        .base_url(base.as_ref())
        .parse(text)
        .ok()
        .map(|url| parts(&url))
}

/// A value that does not fit leaves the URL as it is, except for `href`.
fn set(href: &str, part: &str, value: &str) -> Option<Vec<String>> {
    let mut url = Url::parse(href).ok()?;
    let _unchanged = match part {
        "href" => return parse(value, None),
        "protocol" => quirks::set_protocol(&mut url, value),
        "username" => quirks::set_username(&mut url, value),
        "password" => quirks::set_password(&mut url, value),
        "host" => quirks::set_host(&mut url, value),
        "hostname" => quirks::set_hostname(&mut url, value),
        "port" => quirks::set_port(&mut url, value),
        "pathname" => {
            quirks::set_pathname(&mut url, value);
            Ok(())
        }
        "search" => {
            quirks::set_search(&mut url, value);
            Ok(())
        }
        "hash" => {
            quirks::set_hash(&mut url, value);
            Ok(())
        }
        _ => return None,
    };
    Some(parts(&url))
}

/// href, origin, protocol, username, password, host, hostname, port, pathname, search, hash.
fn parts(url: &Url) -> Vec<String> {
    vec![
        quirks::href(url).to_owned(),
        quirks::origin(url),
        quirks::protocol(url).to_owned(),
        quirks::username(url).to_owned(),
        quirks::password(url).to_owned(),
        quirks::host(url).to_owned(),
        quirks::hostname(url).to_owned(),
        quirks::port(url).to_owned(),
        quirks::pathname(url).to_owned(),
        quirks::search(url).to_owned(),
        quirks::hash(url).to_owned(),
    ]
}
