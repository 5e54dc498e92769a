//! Copies of objects, files, results and answers of modules in browsers: protocol 07.

mod filter;
mod headers;
mod modules;
mod results;
mod writes;

use fb_sketch::{Filter, KeyHash};
use fb_testkit::{Client, Response};

/// Whether the filter that the server gives out names this id.
fn is_listed(client: &Client, id: &str) -> bool {
    filter(client).contains(KeyHash::of(id))
}

fn filter(client: &Client) -> Filter {
    let answer = client.get("/bloomfilter").expect(200);
    Filter::from_json(&answer.body).unwrap()
}

/// The lifetimes of an answer that everybody may keep: of browsers and of shared caches.
fn lifetimes(answer: &Response) -> Option<(u64, u64)> {
    let said = answer.header("cache-control")?;
    let rest = said.strip_prefix("public, max-age=")?;
    let (browser, edge) = rest.split_once(", s-maxage=")?;
    Some((browser.parse().ok()?, edge.parse().ok()?))
}
