//! The rows of `conformance/*.toml`: what SPEC.md says, as examples that every evaluator of filters must agree with.
//!
//! All rows are about the class `Thing` of [`schema`]. Objects in the rows leave out what does not matter; here they are
//! complete and in normal form, as a store would return them.

use std::sync::{Arc, LazyLock};

use fb_types::schema::predefined;
use fb_types::{Class, ClassDef, Schema, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A filter and an object that passes it or not.
#[derive(Debug, Clone)]
pub struct Case {
    /// The rule of SPEC.md that decides.
    pub rule: String,
    /// The filter as JSON.
    pub filter: Value,
    /// A complete object of class `Thing`.
    pub object: Value,
    /// Whether it passes.
    pub matches: bool,
}

/// Objects in the order that a sort order, or a filter with `$near`, must bring them into.
#[derive(Debug, Clone)]
pub struct Sort {
    /// The rule of SPEC.md that decides.
    pub rule: String,
    /// The filter as JSON, `{}` if only the sort order matters. All objects pass it.
    pub filter: Value,
    /// The sort order as JSON, `null` if it comes from the filter.
    pub sort: Value,
    /// Complete objects of class `Thing` with different ids.
    pub objects: Vec<Value>,
}

/// A filter or sort order that is refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// The rule of SPEC.md that decides.
    pub rule: String,
    /// The filter as JSON, if it is what is refused.
    pub filter: Option<Value>,
    /// The sort order as JSON, if it is what is refused.
    pub sort: Option<Value>,
    /// Name of the variant of [`QueryError`](crate::QueryError).
    pub error: String,
}

/// A partial update and what it does.
#[derive(Debug, Clone)]
pub struct UpdateCase {
    /// The rule of SPEC.md that decides.
    pub rule: String,
    /// The update as JSON.
    pub update: Value,
    /// User fields of a `Thing` in normal form.
    pub before: Map<String, Value>,
    /// The fields afterwards, or the text of the error. The clock stands at [`NOW`].
    pub after: Result<Map<String, Value>, String>,
}

/// What `$currentDate` writes in the rows.
pub const NOW: &str = "2024-11-20T22:16:00.12Z";

/// The schema of the rows: the predefined classes, and a class `Thing` with fields of every type.
pub fn schema() -> Arc<Schema> {
    static SCHEMA: LazyLock<Arc<Schema>> = LazyLock::new(|| {
        let classes: Vec<Value> = parse(include_str!("../conformance/schema.json"));
        let own = classes
            .iter()
            .map(|class| ClassDef::from_json(class).expect("the file is right"));
        let defs = predefined().into_iter().chain(own).collect();
        Arc::new(Schema::build(defs, 1, None, &[]).expect("the file is right"))
    });
    SCHEMA.clone()
}

/// The class that all rows are about.
pub fn class() -> Arc<Class> {
    schema().class("Thing").expect("it is in the file").clone()
}

/// All rows on filters.
pub fn cases() -> Vec<Case> {
    let rows = FILES.iter().flat_map(|file| file.case.iter().enumerate());
    let case = |(number, row): (usize, &CaseRow)| Case {
        rule: row.rule.clone(),
        filter: parse(&row.filter),
        object: complete(&row.object, number),
        matches: row.matches,
    };
    rows.map(case).collect()
}

/// All rows on orders.
pub fn sorts() -> Vec<Sort> {
    let sort = |row: &SortRow| Sort {
        rule: row.rule.clone(),
        filter: row.filter.as_deref().map_or(json!({}), parse),
        sort: row.sort.as_deref().map_or(Value::Null, parse),
        objects: row
            .objects
            .iter()
            .enumerate()
            .map(|(n, object)| complete(object, 100 - n))
            .collect(),
    };
    FILES.iter().flat_map(|file| &file.sort).map(sort).collect()
}

/// All rows on refused filters and sort orders.
pub fn refusals() -> Vec<Refusal> {
    let refusal = |row: &ErrorRow| Refusal {
        rule: row.rule.clone(),
        filter: row.filter.as_deref().map(parse),
        sort: row.sort.as_deref().map(parse),
        error: row.error.clone(),
    };
    FILES.iter().flat_map(|file| &file.error).map(refusal).collect()
}

/// All rows on updates.
pub fn updates() -> Vec<UpdateCase> {
    let update = |row: &UpdateRow| UpdateCase {
        rule: row.rule.clone(),
        update: parse(&row.update),
        before: fields(&parse(&row.before)),
        after: match (&row.after, &row.error) {
            (Some(after), None) => Ok(fields(&parse(after))),
            (None, Some(error)) => Err(error.clone()),
            _ => panic!("a row on an update has either `after` or `error`: {}", row.update),
        },
    };
    FILES.iter().flat_map(|file| &file.update).map(update).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<CaseRow>,
    #[serde(default)]
    sort: Vec<SortRow>,
    #[serde(default)]
    error: Vec<ErrorRow>,
    #[serde(default)]
    update: Vec<UpdateRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseRow {
    rule: String,
    filter: String,
    object: String,
    #[serde(rename = "match")]
    matches: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SortRow {
    rule: String,
    filter: Option<String>,
    sort: Option<String>,
    objects: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorRow {
    rule: String,
    filter: Option<String>,
    sort: Option<String>,
    error: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UpdateRow {
    rule: String,
    update: String,
    before: String,
    after: Option<String>,
    error: Option<String>,
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let texts = [
        include_str!("../conformance/equality.toml"),
        include_str!("../conformance/comparison.toml"),
        include_str!("../conformance/arrays.toml"),
        include_str!("../conformance/time.toml"),
        include_str!("../conformance/text.toml"),
        include_str!("../conformance/geo.toml"),
        include_str!("../conformance/logic.toml"),
        include_str!("../conformance/sort.toml"),
        include_str!("../conformance/updates.toml"),
    ];
    texts
        .iter()
        .map(|text| toml::from_str(text).unwrap_or_else(|e| panic!("{e}")))
        .collect()
});

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn fields(given: &Map<String, Value>) -> Map<String, Value> {
    let checked = schema().check_fields(&class(), given, Some(given));
    checked.unwrap_or_else(|error| panic!("{error} in {given:?}"))
}

/// The object with all its fields; metadata that is not given comes from `number`.
fn complete(text: &str, number: usize) -> Value {
    let given: Map<String, Value> = parse(text);
    let created = Timestamp::from_millis(1_700_000_000_000).to_string();
    let mut object = Map::new();
    for (name, default) in [
        ("id", json!(format!("/db/Thing/{number:03}"))),
        ("version", json!(1)),
        ("acl", Value::Null),
        ("createdAt", json!(created)),
        ("updatedAt", json!(created)),
    ] {
        object.insert(name.to_owned(), given.get(name).cloned().unwrap_or(default));
    }
    object.extend(fields(&given));
    Value::Object(object)
}

#[cfg(test)]
mod tests;
