//! Copies that others have: lifetimes, what the server knows of copies, and objects that the filter names.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::{
    api::{Api, Reply},
    dataset::Dataset,
    workload,
};

/// Objects in the filter when it is measured.
pub(crate) const IN_FILTER: u64 = 2_000;
/// Lifetime of copies that must not end by themselves while something is measured, in seconds.
const LONG: u64 = 3_600;
/// Lifetimes are short until they are written down, which is done about once a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// Has copies live for an hour, as soon as they are written down.
pub(crate) fn lengthen_lifetimes(admin: &Api) -> Result<()> {
    let settings = json!({ "caching": { "minLifetime": LONG, "maxLifetime": LONG } });
    admin.put_text("/v1/config", &settings.to_string())?;
    Ok(())
}

/// Switches lifetimes off.
pub(crate) fn switch_off(admin: &Api) -> Result<()> {
    let settings = json!({ "caching": { "enabled": false } });
    admin.put_text("/v1/config", &settings.to_string())?;
    Ok(())
}

/// For how many seconds the reader may keep an answer.
pub(crate) fn max_age(reply: &Reply) -> Option<u64> {
    let control = reply.header("cache-control")?;
    let value = control
        .split(',')
        .find_map(|part| part.trim().strip_prefix("max-age="))?;
    value.parse().ok()
}

/// What a server knows of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Books {
    /// Objects of which somebody may have a copy.
    pub(crate) keys: u64,
    /// Writes of objects of which somebody may have had one.
    pub(crate) stale_writes: u64,
}

/// What the server knows of copies now.
pub(crate) fn books(admin: &Api) -> Result<Books> {
    let figures = admin.get("/v1/caching")?.json()?;
    let figure = |name: &str| {
        figures[name]
            .as_u64()
            .with_context(|| format!("no {name} in {figures}"))
    };
    Ok(Books {
        keys: figure("keys")?,
        stale_writes: figure("staleWrites")?,
    })
}

/// Reads the first objects as copies with long lives, and writes them.
pub(crate) fn fill_filter(admin: &Api, data: Dataset) -> Result<()> {
    lengthen_lifetimes(admin)?;
    let paths = (0..IN_FILTER.min(data.objects)).map(|number| {
        let mut path = String::new();
        workload::object_path(data, number, &mut path);
        path
    });
    let paths: Vec<String> = paths.collect();
    let is_long = |path: &String| -> Result<bool> { Ok(max_age(&admin.get(path)?) > Some(1_000)) };
    let write = |path: &String| admin.post(path, &json!({ "$inc": { "score": 0.25 } }));
    for path in &paths {
        // What was read before goes on with the lifetime that it has, until it is written.
        write(path)?;
        is_long(path)?;
    }
    for path in &paths {
        let began = Instant::now();
        while !is_long(path)? {
            ensure!(began.elapsed() < PATIENCE, "{path} gets no long lifetime");
            thread::sleep(Duration::from_millis(50));
        }
        write(path)?;
    }
    Ok(())
}

/// Checks that the filter names something: one that is empty costs nothing to send.
pub(crate) fn verify_filter(api: &Api) -> Result<()> {
    let filter = api.get("/v1/bloomfilter")?.json()?;
    let bits = filter["b"].as_str().context("a filter without bits")?;
    ensure!(
        bits.bytes().any(|byte| byte != b'A' && byte != b'='),
        "the filter is empty"
    );
    Ok(())
}
