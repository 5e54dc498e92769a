//! Files: a page of a website, its confirmation, pages of a long list.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};

use crate::{
    api::Api,
    client::{self, Limit, Target, Workload},
    dataset::Rng,
    http::RequestHeaders,
    measure::Sample,
    scenarios::Scenario,
};

/// Bytes of the page.
pub(crate) const PAGE_BYTES: usize = 20_480;
/// Where it is.
const PAGE_PATH: &str = "/page.html";
/// Files in the bucket that is listed.
const LISTED: u64 = 100_000;
/// Entries of one page of the list.
const ENTRIES: u64 = 100;

/// Requests for files.
pub(crate) struct FileLoad {
    scenario: Scenario,
    headers: RequestHeaders,
    /// Further header lines.
    extra: String,
    rng: Rng,
    is_first_page: bool,
}

impl FileLoad {
    /// Uploads the page and prepares `scenario`, which is one of pages.
    pub(crate) fn pages(api: &Api, address: SocketAddr, scenario: Scenario, seed: u64) -> Result<Self> {
        let text = page();
        api.put_text("/v1/file/www/page.html", &text)
            .context("uploading the page")?;
        let reply = Api::new(address).get(PAGE_PATH)?;
        ensure!(reply.body() == text.as_bytes(), "the page is not what was uploaded");
        let etag = reply.header("etag").context("the page has no tag")?.to_owned();
        let extra = match scenario {
            Scenario::PageConfirmed => format!("if-none-match: {etag}\r\n"),
            _ => String::new(),
        };
        Ok(Self::new(scenario, address, None, extra, seed))
    }

    /// Requests for pages of the list of many files, which are uploaded first: random ones, or always the first.
    pub(crate) fn lists(api: &Api, address: SocketAddr, token: &str, seed: u64) -> Result<[Self; 2]> {
        let headers = RequestHeaders::new(&address.to_string(), Some(token));
        let target = Target {
            address,
            pid: std::process::id(),
            connections: 64,
        };
        let mut filling = Filling { headers, next: 0 };
        client::drive(target, Limit::Requests(LISTED), &mut filling).context("uploading the files")?;
        let last = api.get(&list_path(LISTED - ENTRIES))?.json()?;
        let n_last = last.as_array().map_or(0, Vec::len) as u64;
        ensure!(n_last == ENTRIES - 1, "the last page of the list has {n_last} entries");
        let load = |is_first_page| Self {
            is_first_page,
            ..Self::new(Scenario::ListFiles, address, Some(token), String::new(), seed)
        };
        Ok([load(false), load(true)])
    }

    fn new(scenario: Scenario, address: SocketAddr, token: Option<&str>, extra: String, seed: u64) -> Self {
        Self {
            scenario,
            headers: RequestHeaders::new(&address.to_string(), token),
            extra,
            rng: Rng::new(seed ^ 0x000f_11e5),
            is_first_page: false,
        }
    }

    /// One round.
    pub(crate) fn round(&mut self, target: Target, limit: Limit) -> Result<Sample> {
        client::drive(target, limit, self)
    }
}

impl Workload for FileLoad {
    fn write_next(&mut self, out: &mut Vec<u8>) {
        match self.scenario {
            Scenario::ListFiles => {
                let start = match self.is_first_page {
                    true => 0,
                    false => self.rng.below(LISTED - 2 * ENTRIES),
                };
                self.headers.write_get(out, &list_path(start));
            }
            _ => self.headers.write_get_with(out, PAGE_PATH, &self.extra),
        }
    }

    fn min_body(&self) -> usize {
        match self.scenario {
            Scenario::Page => PAGE_BYTES,
            Scenario::ListFiles => 2_000,
            _ => 0,
        }
    }
}

/// Uploads the files of the list.
struct Filling {
    headers: RequestHeaders,
    next: u64,
}

impl Workload for Filling {
    fn write_next(&mut self, out: &mut Vec<u8>) {
        let path = format!("/v1/file/many/{}", name(self.next));
        self.next += 1;
        self.headers.write_json(out, "PUT", &path, "", b"{}");
    }

    fn min_body(&self) -> usize {
        100
    }
}

fn name(number: u64) -> String {
    format!("f{number:06}.json")
}

/// The piece of the list behind file number `start`.
fn list_path(start: u64) -> String {
    format!("/v1/file/many/ids?path=&start={}&count={ENTRIES}", name(start))
}

/// HTML of exactly [`PAGE_BYTES`] bytes.
fn page() -> String {
    let mut text = "<!doctype html><title>A page</title><p>".to_owned();
    let mut rng = Rng::new(7);
    while text.len() < PAGE_BYTES {
        text.push_str(&format!("{:x} ", rng.below(1 << 30)));
    }
    text.truncate(PAGE_BYTES);
    text
}
