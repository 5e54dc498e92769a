//! Which hosts certificates are ordered for.

use std::collections::BTreeSet;
use std::net::IpAddr;

use fb_store::AppRecord;

/// The hosts of all apps, and `domain` where the default app answers to it. Not `<app>.<domain>`: each of them would
/// count against the authority's limit for the domain, and one wildcard certificate serves them all. Never what a client
/// asks for: anybody could make the server order without end.
pub(super) fn wanted(apps: &[AppRecord], domain: &str) -> BTreeSet<String> {
    let of_default = apps.iter().any(|app| app.is_default).then(|| domain.to_owned());
    let of_apps = apps.iter().flat_map(|app| app.hosts.iter().cloned());
    of_apps.chain(of_default).filter(|host| can_have_one(host)).collect()
}

/// False for what no authority certifies: addresses, names of this machine, and what is no DNS name.
fn can_have_one(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_local = host == "localhost" || host.ends_with(".localhost");
    host.len() <= 253 && host.split('.').all(is_label) && !is_local && host.parse::<IpAddr>().is_err()
}

#[cfg(test)]
mod tests {
    use fb_types::{AppId, Timestamp};

    use super::*;

    fn app(id: &str, hosts: &[&str], is_default: bool) -> AppRecord {
        AppRecord {
            id: AppId::new(id).unwrap(),
            hosts: hosts.iter().map(|&host| host.to_owned()).collect(),
            is_default,
            created_at: Timestamp::from_millis(0),
        }
    }

    #[test]
    fn hosts_of_apps_and_the_domain_of_the_default_app_are_wanted_and_nothing_else() {
        let shop = app(
            "shop",
            &["shop.example", "localhost", "192.0.2.7", "a.localhost", "backend"],
            false,
        );
        let main = app("main", &[], true);
        let found = |apps: &[AppRecord], domain: &str| wanted(apps, domain).into_iter().collect::<Vec<_>>();
        assert_eq!(
            found(std::slice::from_ref(&shop), "example.org"),
            ["backend", "shop.example"]
        );
        assert_eq!(
            found(&[shop, main.clone()], "example.org"),
            ["backend", "example.org", "shop.example"]
        );
        assert_eq!(found(&[main], "localhost"), [""; 0]);
    }

    #[test]
    fn what_is_no_name_is_not_ordered() {
        let long = format!("{}.test", "a".repeat(64));
        for bad in ["", ".", "a..b", ".a.b", "a.b.", "-a.b", "a-.b", "::1", "1.2.3.4", &long] {
            assert!(!can_have_one(bad), "{bad}");
        }
    }
}
