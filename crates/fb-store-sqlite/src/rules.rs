//! The side table of read rules, `r<n>`: under which principals the objects of a class are found.
//!
//! A class has one from the first object with rules on. Until then all of its objects are public, and neither reads nor
//! writes know of it. From then on it names every object that anybody but an admin may read; whether a caller who finds
//! an object there may read it is still the rules' business, because they may deny it.

use fb_types::{Acl, PRINCIPAL_EVERYBODY, Rule};
use rusqlite::types::Type;
use rusqlite::{Connection, params};

/// The statement that makes the table for class number `id`.
pub(crate) fn create(id: i64) -> String {
    format!(
        "CREATE TABLE r{id}(principal TEXT NOT NULL, rid INTEGER NOT NULL, PRIMARY KEY(principal, rid)) WITHOUT ROWID"
    )
}

/// The statement that fills it for a class in which all objects are public.
pub(crate) fn fill(id: i64) -> String {
    format!("INSERT INTO r{id}(principal, rid) SELECT '{PRINCIPAL_EVERYBODY}', rid FROM c{id} ORDER BY rid")
}

/// The statement that drops it.
pub(crate) fn drop_statement(id: i64) -> String {
    format!("DROP TABLE IF EXISTS r{id}")
}

/// The principals that an object with these rules is found under, in order: `*` if it is for all but some, those that
/// are let through, or none if everybody is denied. Whoever passes the rules is named, or `*` is.
pub(crate) fn entries(acl: Option<&Acl>) -> Vec<&str> {
    let everybody = vec![PRINCIPAL_EVERYBODY];
    let Some(rules) = acl.map(|acl| &acl.read) else {
        return everybody;
    };
    match rules.get(PRINCIPAL_EVERYBODY) {
        Some(Rule::Deny) => return Vec::new(),
        Some(Rule::Allow) => return everybody,
        None => {}
    }
    let allowed = rules.iter().filter(|(_, rule)| *rule == Rule::Allow);
    let named: Vec<_> = allowed.map(|(principal, _)| principal).collect();
    if named.is_empty() { everybody } else { named }
}

/// Makes the entries of row `rid` in table `id` what they shall be; only the difference is written.
pub(crate) fn change(conn: &Connection, id: i64, rid: i64, old: &[&str], new: &[&str]) -> rusqlite::Result<()> {
    for principal in old.iter().filter(|p| new.binary_search(p).is_err()) {
        conn.prepare_cached(&format!("DELETE FROM r{id} WHERE principal = ?1 AND rid = ?2"))?
            .execute(params![principal, rid])?;
    }
    for principal in new.iter().filter(|p| old.binary_search(p).is_err()) {
        conn.prepare_cached(&format!("INSERT INTO r{id}(principal, rid) VALUES(?1, ?2)"))?
            .execute(params![principal, rid])?;
    }
    Ok(())
}

/// True if the entries in table `id` are those of the objects' rules. Cost: a scan of both tables.
pub(crate) fn are_right(conn: &Connection, id: i64) -> rusqlite::Result<bool> {
    let mut objects = conn.prepare(&format!("SELECT rid, acl FROM c{id}"))?;
    let mut has_entry = conn.prepare(&format!("SELECT 1 FROM r{id} WHERE principal = ?1 AND rid = ?2"))?;
    let mut rows = objects.query([])?;
    let mut n_entries = 0_i64;
    while let Some(row) = rows.next()? {
        let (rid, text): (i64, Option<String>) = (row.get(0)?, row.get(1)?);
        let acl: Option<Acl> = text
            .map(|text| serde_json::from_str(&text))
            .transpose()
            .map_err(|e| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(e)))?;
        for principal in entries(acl.as_ref()) {
            if !has_entry.exists(params![principal, rid])? {
                return Ok(false);
            }
            n_entries += 1;
        }
    }
    // All that must be there are there; any more belong to no object, or to one that is not for them.
    let n_found: i64 = conn.query_row(&format!("SELECT count(*) FROM r{id}"), [], |row| row.get(0))?;
    Ok(n_found == n_entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fb_types::RuleMap;

    #[test]
    fn objects_are_found_by_whom_they_are_for() {
        use Rule::{Allow, Deny};
        /// Read rules, and the principals.
        type Case<'a> = (&'a [(&'a str, Rule)], &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            (&[], &["*"]),
            (&[("/db/User/1", Allow)], &["/db/User/1"]),
            (
                &[("/db/User/2", Allow), ("/db/Role/9", Allow)],
                &["/db/Role/9", "/db/User/2"],
            ),
            (&[("/db/User/1", Allow), ("/db/User/2", Deny)], &["/db/User/1"]),
            (&[("/db/User/1", Deny)], &["*"]),
            (&[("*", Allow), ("/db/User/1", Allow)], &["*"]),
            (&[("*", Allow), ("/db/User/1", Deny)], &["*"]),
            (&[("*", Deny), ("/db/User/1", Allow)], &[]),
        ];
        for (rules, expected) in cases {
            let mut read = RuleMap::default();
            for (principal, rule) in *rules {
                read.insert(*principal, *rule);
            }
            let write = RuleMap::allow("/db/User/5");
            assert_eq!(entries(Some(&Acl { read, write })), *expected, "{rules:?}");
        }
        assert_eq!(entries(None), ["*"]);
    }
}
