//! What the stand-in has for clients with copies: objects and results that may be kept for a minute, and a filter that names
//! everything.
//!
//! `FAKE_DEFECT=empty-filter` has it name nothing.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};

/// Objects of the classes `Zipf<n>`, by id.
#[derive(Default)]
pub(crate) struct Copies {
    objects: BTreeMap<String, Value>,
}

impl Copies {
    /// Answers what concerns these classes and the filter; `None` for everything else.
    pub(crate) fn answer(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        headers: &HeaderMap,
        body: &Value,
        defect: Option<&str>,
    ) -> Result<Option<Response<Full<Bytes>>>> {
        if path == "/v1/bloomfilter" {
            let bits = if defect == Some("empty-filter") { 0 } else { 0xff };
            let bytes = [b"FBF1\0\0\0\0\0\0\0\0\x01\x08\x01".as_slice(), &[bits]].concat();
            return Ok(Some(Response::new(Full::new(Bytes::from(bytes)))));
        }
        if path.starts_with("/v1/index/Zipf") {
            return Ok(Some(keep(&Value::Null, 0, headers)?));
        }
        let Some(id) = path.strip_prefix("/v1").filter(|id| id.starts_with("/db/Zipf")) else {
            return Ok(None);
        };
        if let Some(class) = id.strip_suffix("/query") {
            let rows: Vec<&Value> = self
                .objects
                .range(format!("{class}/")..format!("{class}0"))
                .map(|(_, object)| object)
                .filter(|object| query.contains(&format!("%22{}%22", object["group"].as_str().unwrap_or_default())))
                .collect();
            let version = rows.iter().filter_map(|row| row["version"].as_i64()).sum();
            return Ok(Some(keep(&json!(rows), version, headers)?));
        }
        if *method == Method::PUT {
            let rows = body.as_array().context("an import has lines")?;
            for row in rows {
                let mut row = row.clone();
                row["version"] = json!(1);
                let id = row["id"].as_str().context("an object without id")?.to_owned();
                self.objects.insert(id, row);
            }
            return Ok(Some(keep(&json!({ "count": rows.len() }), 0, headers)?));
        }
        let object = self.objects.get_mut(id).context("an unknown object")?;
        if *method == Method::POST {
            object["version"] = json!(object["version"].as_i64().unwrap_or_default() + 1);
        }
        let version = object["version"].as_i64().unwrap_or_default();
        keep(object, version, headers).map(Some)
    }
}

/// An answer for a minute, or the word that the reader's is good.
fn keep(body: &Value, version: i64, headers: &HeaderMap) -> Result<Response<Full<Bytes>>> {
    let tag = format!("\"{version}\"");
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    if headers.get("if-none-match").is_some_and(|known| known == tag.as_str()) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        *response.body_mut() = Full::new(Bytes::new());
    }
    response.headers_mut().insert("etag", tag.parse()?);
    response
        .headers_mut()
        .insert("cache-control", "public, max-age=60".parse()?);
    Ok(response)
}
