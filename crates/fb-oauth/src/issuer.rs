//! Who may have issued a token.

use serde_json::{Map, Value};

const TENANT: &str = "{tenant}";
/// How Microsoft writes the place of the tenant in what it publishes for several tenants.
const PUBLISHED_TENANT: &str = "{tenantid}";
/// The directory of personal accounts.
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// Which issuers an id token may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum IssuerRule {
    /// Exactly this one.
    Exact(String),
    /// Microsoft for several tenants: the issuer of the tenant that `tid` names.
    Tenants {
        prefix: String,
        suffix: String,
        has_consumers: bool,
    },
}

impl IssuerRule {
    /// Could `issuer` be one of those, as far as can be told without a token?
    pub(crate) fn admits(&self, issuer: &str) -> bool {
        match self {
            Self::Exact(exact) => exact == issuer,
            Self::Tenants {
                prefix,
                suffix,
                has_consumers,
            } => between(issuer, prefix, suffix)
                .is_some_and(|tenant| is_guid(tenant) && (*has_consumers || tenant != CONSUMERS)),
        }
    }

    /// Is `iss` of these claims permitted, and does it fit to `tid`?
    pub(crate) fn admits_claims(&self, claims: &Map<String, Value>) -> bool {
        let Some(issuer) = claims.get("iss").and_then(Value::as_str) else {
            return false;
        };
        let fits_tenant = match self {
            Self::Exact(_) => true,
            Self::Tenants { prefix, suffix, .. } => {
                let tenant = between(issuer, prefix, suffix);
                tenant.is_some() && tenant == claims.get("tid").and_then(Value::as_str)
            }
        };
        self.admits(issuer) && fits_tenant
    }

    /// May a key that is published for `key_issuer` sign for `issuer`? Source: Microsoft's rules for validating tokens.
    pub(crate) fn key_fits(&self, key_issuer: Option<&str>, issuer: &str) -> bool {
        match (self, key_issuer) {
            (Self::Tenants { prefix, suffix, .. }, Some(key_issuer)) => {
                key_issuer == issuer || key_issuer == format!("{prefix}{PUBLISHED_TENANT}{suffix}")
            }
            (Self::Exact(_), _) | (Self::Tenants { .. }, None) => true,
        }
    }
}

/// The issuer of the settings: a URL, or a template with `{tenant}` and the tenant that goes into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Issuer {
    template: String,
    tenant: Option<String>,
}

impl Issuer {
    pub(crate) fn new(template: String, tenant: Option<String>) -> Self {
        Self { template, tenant }
    }

    /// Where discovery begins, and the key of the caches.
    pub(crate) fn address(&self) -> String {
        match &self.tenant {
            Some(tenant) => self.template.replace(TENANT, tenant),
            None => self.template.clone(),
        }
    }

    /// The rule for tokens, if the discovery document's `issuer` is the one that was configured.
    pub(crate) fn rule_for(&self, published: &str) -> Option<IssuerRule> {
        let Some(tenant) = &self.tenant else {
            return (published == self.template).then(|| IssuerRule::Exact(self.template.clone()));
        };
        let (prefix, suffix) = self.template.split_once(TENANT)?;
        let named = between(published, prefix, suffix)?;
        match tenant.as_str() {
            "common" | "organizations" => (named == PUBLISHED_TENANT).then(|| IssuerRule::Tenants {
                prefix: prefix.to_owned(),
                suffix: suffix.to_owned(),
                has_consumers: tenant == "common",
            }),
            "consumers" => (named == CONSUMERS).then(|| IssuerRule::Exact(published.to_owned())),
            // A domain stands for one directory, which the document names by its id.
            id => (is_guid(named) && (!is_guid(id) || named.eq_ignore_ascii_case(id)))
                .then(|| IssuerRule::Exact(published.to_owned())),
        }
    }
}

/// Does the tenant leave open who runs the directory?
pub(crate) fn is_any_tenant(tenant: &str) -> bool {
    matches!(tenant, "common" | "organizations")
}

fn between<'a>(text: &'a str, prefix: &str, suffix: &str) -> Option<&'a str> {
    text.strip_prefix(prefix)?.strip_suffix(suffix)
}

fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, b)| match i {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TID: &str = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee";
    const OTHER: &str = "11111111-2222-3333-4444-555555555555";

    fn microsoft(tenant: &str) -> Issuer {
        Issuer::new("https://ms.test/{tenant}/v2.0".to_owned(), Some(tenant.to_owned()))
    }

    fn published(tenant: &str) -> String {
        format!("https://ms.test/{tenant}/v2.0")
    }

    #[test]
    fn s22_a_discovery_document_speaks_for_its_own_issuer_only() {
        let plain = Issuer::new("https://idp.test".to_owned(), None);
        assert!(plain.rule_for("https://idp.test").is_some());
        for other in [
            "https://idp.test/",
            "https://IDP.test",
            "http://idp.test",
            "https://evil.test",
            "",
        ] {
            assert_eq!(plain.rule_for(other), None, "{other}");
        }
        for (tenant, named) in [
            ("common", PUBLISHED_TENANT),
            ("organizations", PUBLISHED_TENANT),
            ("consumers", CONSUMERS),
            (TID, TID),
            ("contoso.onmicrosoft.com", TID),
        ] {
            assert!(microsoft(tenant).rule_for(&published(named)).is_some(), "{tenant}");
        }
        for (tenant, named) in [
            ("common", TID),
            ("organizations", CONSUMERS),
            ("consumers", TID),
            (TID, OTHER),
            (TID, PUBLISHED_TENANT),
            ("contoso.onmicrosoft.com", PUBLISHED_TENANT),
            ("contoso.onmicrosoft.com", "x/aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"),
        ] {
            assert_eq!(microsoft(tenant).rule_for(&published(named)), None, "{tenant} {named}");
        }
    }

    #[test]
    fn s22_microsofts_issuer_has_to_fit_to_the_tenant() {
        let claims = |issuer: &str, tid: Value| json!({ "iss": published(issuer), "tid": tid });
        let admits = |rule: &IssuerRule, claims: &Value| rule.admits_claims(claims.as_object().unwrap());
        let common = microsoft("common").rule_for(&published(PUBLISHED_TENANT)).unwrap();
        assert!(admits(&common, &claims(TID, json!(TID))));
        assert!(admits(&common, &claims(CONSUMERS, json!(CONSUMERS))));
        for (issuer, tid) in [
            (TID, json!(OTHER)),
            (TID, json!(null)),
            (PUBLISHED_TENANT, json!(PUBLISHED_TENANT)),
            ("", json!("")),
            ("common", json!("common")),
            (
                "evil/../aaaaaaaa-bbbb-cccc-dddd-eeee",
                json!("evil/../aaaaaaaa-bbbb-cccc-dddd-eeee"),
            ),
        ] {
            assert!(!admits(&common, &claims(issuer, tid)), "{issuer}");
        }
        let companies = microsoft("organizations")
            .rule_for(&published(PUBLISHED_TENANT))
            .unwrap();
        assert!(!admits(&companies, &claims(CONSUMERS, json!(CONSUMERS))));
        let one = microsoft(TID).rule_for(&published(TID)).unwrap();
        assert!(admits(&one, &claims(TID, json!(TID))));
        assert!(!admits(&one, &claims(OTHER, json!(OTHER))));

        assert!(common.key_fits(Some(&published(PUBLISHED_TENANT)), &published(TID)));
        assert!(common.key_fits(Some(&published(TID)), &published(TID)));
        assert!(!common.key_fits(Some(&published(CONSUMERS)), &published(TID)));
    }
}
