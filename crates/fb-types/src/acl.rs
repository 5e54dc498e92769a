//! Access rules as data. What they decide is `fb-auth`'s business.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ObjectId, PRINCIPAL_EVERYBODY, PRINCIPAL_SELF};

/// What a rule says about one principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rule {
    /// The principal may.
    Allow,
    /// The principal may not, whatever else is allowed.
    Deny,
}

/// Rules by principal: the id of a user or role, or `*` for everybody. An empty map allows everybody.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RuleMap(BTreeMap<String, Rule>);

/// A JSON value is not a set of access rules.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AclError(String);

impl RuleMap {
    /// Most entries one map may have.
    pub const MAX_LEN: usize = 1000;

    /// A map with one `allow`.
    pub fn allow(principal: impl Into<String>) -> Self {
        Self(BTreeMap::from([(principal.into(), Rule::Allow)]))
    }

    /// A map that denies everybody.
    pub fn deny_everybody() -> Self {
        Self(BTreeMap::from([(PRINCIPAL_EVERYBODY.to_owned(), Rule::Deny)]))
    }

    /// Adds or replaces one rule.
    pub fn insert(&mut self, principal: impl Into<String>, rule: Rule) {
        self.0.insert(principal.into(), rule);
    }

    /// True if there are no rules.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The rule for exactly this principal.
    pub fn get(&self, principal: &str) -> Option<Rule> {
        self.0.get(principal).copied()
    }

    /// All rules by principal.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Rule)> {
        self.0.iter().map(|(principal, rule)| (principal.as_str(), *rule))
    }

    /// Reads `{"<user or role id>": "allow" | "deny"}`; `null` is the empty map. `at` names the place in errors.
    pub fn from_json(value: &Value, at: &str) -> Result<Self, AclError> {
        Self::read(value, at, canonical_principal)
    }

    /// The same for rules of a field, in which `self` is a principal as well.
    pub(crate) fn field_rules_from_json(value: &Value, at: &str) -> Result<Self, AclError> {
        Self::read(value, at, |text, at| match text {
            PRINCIPAL_SELF => Ok(text.to_owned()),
            text => canonical_principal(text, at),
        })
    }

    fn read(
        value: &Value,
        at: &str,
        principal_of: impl Fn(&str, &str) -> Result<String, AclError>,
    ) -> Result<Self, AclError> {
        let members = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(members) => members,
            other => {
                return Err(AclError(format!(
                    "{at} must be an object, found {}",
                    crate::kind_of(other)
                )));
            }
        };
        if members.len() > Self::MAX_LEN {
            return Err(AclError(format!(
                "{at} has {} rules, at most {} are allowed",
                members.len(),
                Self::MAX_LEN
            )));
        }
        let mut rules = BTreeMap::new();
        for (principal, rule) in members {
            let rule = match rule.as_str() {
                Some("allow") => Rule::Allow,
                Some("deny") => Rule::Deny,
                _ => {
                    return Err(AclError(format!(
                        "{at}: the rule of `{principal}` must be \"allow\" or \"deny\""
                    )));
                }
            };
            // Two spellings of one principal may contradict each other; deny beats allow here as everywhere.
            let known = rules.entry(principal_of(principal, at)?).or_insert(rule);
            if rule == Rule::Deny {
                *known = rule;
            }
        }
        Ok(Self(rules))
    }
}

fn canonical_principal(text: &str, at: &str) -> Result<String, AclError> {
    if text == PRINCIPAL_EVERYBODY {
        return Ok(text.to_owned());
    }
    let known = text
        .parse::<ObjectId>()
        .ok()
        .filter(|id| matches!(id.class().as_str(), "User" | "Role"));
    match known {
        Some(id) => Ok(id.to_string()),
        None => Err(AclError(format!(
            "{at}: `{text}` is neither a user id, a role id nor `*`"
        ))),
    }
}

/// Who may read and who may write one object.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Acl {
    /// Rules for loading and finding the object.
    #[serde(default, skip_serializing_if = "RuleMap::is_empty")]
    pub read: RuleMap,
    /// Rules for changing and deleting the object.
    #[serde(default, skip_serializing_if = "RuleMap::is_empty")]
    pub write: RuleMap,
}

impl Acl {
    /// Read and write for one principal only.
    pub fn private_to(principal: &str) -> Self {
        Self {
            read: RuleMap::allow(principal),
            write: RuleMap::allow(principal),
        }
    }

    /// Reads `{"read": {…}, "write": {…}}`. `None` means public: `null`, or no rules at all.
    pub fn from_json(value: &Value) -> Result<Option<Self>, AclError> {
        let members = match value {
            Value::Null => return Ok(None),
            Value::Object(members) => members,
            other => {
                return Err(AclError(format!(
                    "acl must be an object or null, found {}",
                    crate::kind_of(other)
                )));
            }
        };
        let part = |name: &str, at| RuleMap::from_json(members.get(name).unwrap_or(&Value::Null), at);
        let acl = Self {
            read: part("read", "acl.read")?,
            write: part("write", "acl.write")?,
        };
        Ok(if acl.read.is_empty() && acl.write.is_empty() {
            None
        } else {
            Some(acl)
        })
    }
}
