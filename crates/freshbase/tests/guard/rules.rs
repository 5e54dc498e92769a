//! The documented evaluation of rules, written down a second time, for tests to compare with.

use std::collections::BTreeMap;

use fb_testkit::Client;

/// Somebody who asks.
pub(crate) struct Caller {
    pub(crate) name: &'static str,
    pub(crate) client: Client,
    /// Its own id and its roles'.
    pub(crate) ids: Vec<String>,
    /// What else is denied to it, with a token of one role: what is denied to the user.
    pub(crate) denied_as: Vec<String>,
    pub(crate) is_admin: bool,
}

impl Caller {
    pub(crate) fn new(name: &'static str, client: &Client, ids: &[&str]) -> Self {
        Self {
            name,
            client: client.clone(),
            ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            denied_as: Vec::new(),
            is_admin: ids.contains(&"/db/Role/1"),
        }
    }
}

pub(crate) type Rules = BTreeMap<String, &'static str>;

/// The evaluation in its four steps.
pub(crate) fn passes(rules: &Rules, caller: &Caller) -> bool {
    let says = |id: &str, what: &str| rules.get(id).is_some_and(|rule| *rule == what);
    if caller.is_admin {
        return true;
    }
    let mut denied = caller.ids.iter().chain(&caller.denied_as);
    if says("*", "deny") || denied.any(|id| says(id, "deny")) {
        return false;
    }
    if !rules.values().any(|rule| *rule == "allow") {
        return true;
    }
    says("*", "allow") || caller.ids.iter().any(|id| says(id, "allow"))
}
