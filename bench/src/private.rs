//! Private objects: what one user sees of them in a class where they lie among those of 10,000 owners, and in a class
//! that holds them alone.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    api::Api,
    client::Workload,
    dataset::Rng,
    http::{RequestHeaders, percent_encode},
    scenarios::Scenario,
};

/// Objects that each owner has.
pub(crate) const PER_OWNER: u64 = 100;
/// Objects of a page.
const PAGE: usize = 20;
/// Objects per request of the import.
const CHUNK: u64 = 5_000;

/// The class in which the objects of all owners lie.
const SHARED: &str = "Note";
/// The class in which those of one owner lie alone.
const ALONE: &str = "OwnNote";

/// Where a user's objects are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Among those of all the others.
    Shared,
    /// In a class of their own.
    Alone,
}

impl Place {
    fn class(self) -> &'static str {
        match self {
            Self::Shared => SHARED,
            Self::Alone => ALONE,
        }
    }
}

/// Loads `objects` private objects, [`PER_OWNER`] of them `owner`'s, and these once more alone. No index is declared.
pub(crate) fn load(api: &Api, owner: &str, objects: u64, seed: u64) -> Result<()> {
    for class in [SHARED, ALONE] {
        api.post("/v1/schema", &json!([definition(class)]))?;
    }
    let owners = objects / PER_OWNER;
    let mut rng = Rng::new(seed);
    let mut body = String::new();
    for first in (0..objects).step_by(CHUNK as usize) {
        let numbers = first..objects.min(first + CHUNK);
        body.clear();
        for number in numbers.clone() {
            // Owners write in turn, so that nobody's objects lie together.
            let whose = match number % owners {
                0 => owner.to_owned(),
                other => format!("/db/User/owner{other}"),
            };
            write_object(SHARED, number, &whose, &mut rng, &mut body);
        }
        import(api, SHARED, &body, numbers.end - numbers.start)?;
    }
    body.clear();
    for number in 0..PER_OWNER {
        write_object(ALONE, number, owner, &mut rng, &mut body);
    }
    import(api, ALONE, &body, PER_OWNER)
}

fn import(api: &Api, class: &str, lines: &str, expected: u64) -> Result<()> {
    let path = format!("/v1/db/{class}");
    let answer = api.put_text(&path, lines)?.json()?;
    ensure!(
        answer["count"] == expected,
        "{expected} objects were sent to {path}, the server answers {answer}"
    );
    Ok(())
}

fn definition(class: &str) -> Value {
    let fields: serde_json::Map<String, Value> =
        [("text", "/db/String"), ("rank", "/db/Integer"), ("done", "/db/Boolean")]
            .into_iter()
            .enumerate()
            .map(|(order, (name, r#type))| (name.to_owned(), json!({ "name": name, "type": r#type, "order": order })))
            .collect();
    json!({
        "class": format!("/db/{class}"), "superClass": "/db/Object", "acl": {}, "metadata": {}, "fields": fields,
    })
}

/// Appends a line with one object that only `owner` may read and write. The key has no order.
fn write_object(class: &str, number: u64, owner: &str, rng: &mut Rng, out: &mut String) {
    writeln!(
        out,
        "{{\"id\":\"/db/{class}/{:08x}{number:08}\",\"acl\":{{\"read\":{{\"{owner}\":\"allow\"}},\
         \"write\":{{\"{owner}\":\"allow\"}}}},\"text\":\"Note {number}, as long as such things are\",\
         \"rank\":{},\"done\":{}}}",
        rng.below(1 << 32),
        rng.below(1_000_000),
        rng.below(2) == 0,
    )
    .expect("writing to a String does not fail");
}

/// The same request over and over, as one user.
pub(crate) struct OwnLoad {
    headers: RequestHeaders,
    path: String,
    min_body: usize,
}

impl OwnLoad {
    /// What `scenario` asks for, in `place`.
    pub(crate) fn new(scenario: Scenario, place: Place, headers: RequestHeaders) -> Self {
        let is_count = scenario == Scenario::OwnCount;
        Self {
            headers,
            path: if is_count { count_path(place) } else { page_path(place) },
            min_body: if is_count { 10 } else { 3_000 },
        }
    }
}

impl Workload for OwnLoad {
    fn write_next(&mut self, out: &mut Vec<u8>) {
        self.headers.write_get(out, &self.path);
    }

    fn min_body(&self) -> usize {
        self.min_body
    }
}

fn page_path(place: Place) -> String {
    let sort = percent_encode(r#"{"rank":1}"#);
    format!(
        "/v1/db/{}/query?q=%7B%7D&start=0&count={PAGE}&sort={sort}",
        place.class()
    )
}

fn count_path(place: Place) -> String {
    format!("/v1/db/{}/count?q=%7B%7D", place.class())
}

/// Checks that the user whose calls these are sees its own objects in both places, in order, and no others.
pub(crate) fn verify(api: &Api, owner: &str) -> Result<()> {
    for place in [Place::Shared, Place::Alone] {
        let count = api.get(&count_path(place))?.json()?;
        ensure!(
            count["count"] == PER_OWNER,
            "{place:?}: {count} instead of {PER_OWNER} objects"
        );
        let rows = api.get(&page_path(place))?.json()?;
        let rows = rows.as_array().context("a query answers an array")?;
        let ranks: Vec<i64> = rows.iter().filter_map(|row| row["rank"].as_i64()).collect();
        ensure!(
            rows.len() == PAGE && ranks.len() == PAGE && ranks.is_sorted(),
            "{place:?}: the page has the ranks {ranks:?}"
        );
        ensure!(
            rows.iter().all(|row| row["acl"]["read"][owner] == "allow"),
            "{place:?}: objects of other owners"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_their_owners() {
        let mut text = String::new();
        write_object(SHARED, 7, "/db/User/3", &mut Rng::new(1), &mut text);
        let object: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(object["acl"]["read"], json!({ "/db/User/3": "allow" }));
        assert!(object["id"].as_str().unwrap().starts_with("/db/Note/"));
    }
}
