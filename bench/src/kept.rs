//! What it costs to keep account of copies: the same requests to a server with caching, and to one without.
//!
//! Both are the same binary with the same objects. With caching every answer is entered in the books, and every write of an object
//! that somebody has a copy of gets into the filter.

use std::{path::Path, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};

use crate::{
    api::Api,
    caching::{self, Books},
    client::{self, Limit, Workload},
    dataset::Dataset,
    freshbase::Freshbase,
    http::RequestHeaders,
    measure::Sample,
    report::Comparison,
    run::{Settings, progress},
    scenarios::{Scenario, Yardstick},
    workload,
};

/// Until what was read is written down: that is done about once a second, and belongs to the reading.
const WRITTEN_DOWN: Duration = Duration::from_secs(2);
/// Share of the objects that must be known, as copies get into the books one by one.
const KNOWN: f64 = 0.99;

/// Measures `scenarios` at two servers of `binary`.
pub(crate) fn compare(
    binary: &Path,
    dir: &Path,
    scenarios: &[Scenario],
    settings: Settings,
) -> Result<Vec<Comparison>> {
    let mut sides = [
        Side::start(binary, dir, false, settings)?,
        Side::start(binary, dir, true, settings)?,
    ];
    let mut compared = Vec::new();
    for scenario in scenarios {
        let [unkept, kept] = &mut sides;
        let (mut reference_rounds, mut freshbase_rounds) = (Vec::new(), Vec::new());
        for round in 1..=settings.rounds {
            progress(&format!("{}: round {round} of {}", scenario.name(), settings.rounds));
            let name = || format!("scenario {}", scenario.name());
            reference_rounds.push(unkept.round(*scenario, settings).with_context(name)?);
            freshbase_rounds.push(kept.round(*scenario, settings).with_context(name)?);
        }
        compared.push(Comparison::new(
            Some(*scenario),
            Yardstick::Unkept,
            reference_rounds,
            freshbase_rounds,
        )?);
    }
    for side in sides {
        side.freshbase.stop()?;
    }
    Ok(compared)
}

struct Side {
    freshbase: Freshbase,
    admin: Api,
    data: Dataset,
    is_kept: bool,
    gets: Turns,
    updates: Turns,
}

impl Side {
    fn start(binary: &Path, dir: &Path, is_kept: bool, settings: Settings) -> Result<Self> {
        let name = if is_kept { "kept" } else { "unkept" };
        progress(&format!("loading objects into the server “{name}”"));
        let data = settings.data();
        let freshbase = Freshbase::start_as(binary, dir, name, data, &[]).context("starting Freshbase")?;
        freshbase.fill(settings.connections).context("loading the objects")?;
        let admin = freshbase.admin()?;
        match is_kept {
            true => caching::lengthen_lifetimes(&admin)?,
            false => caching::switch_off(&admin)?,
        }
        let address = freshbase.target(1).address;
        let turns = |what| Turns::new(what, data, RequestHeaders::new(&address.to_string(), None));
        let (gets, updates) = (turns(What::Read), turns(What::Replace));
        Ok(Self {
            freshbase,
            admin,
            data,
            is_kept,
            gets,
            updates,
        })
    }

    fn round(&mut self, scenario: Scenario, settings: Settings) -> Result<Sample> {
        let target = self.freshbase.target(settings.connections);
        // Copies of everything: once for their short lives, until they are written down, and once more.
        for _ in 0..2 {
            client::drive(target, Limit::Requests(self.data.objects), &mut self.gets)?;
            thread::sleep(WRITTEN_DOWN);
        }
        let before = self.verify()?;
        let load = match scenario {
            Scenario::UpdateKept => &mut self.updates,
            _ => &mut self.gets,
        };
        let sent_before = load.sent;
        let sample = client::drive(target, settings.limit(), load)?;
        let written = (load.sent - sent_before).min(self.data.objects);
        let stale = caching::books(&self.admin)?.stale_writes - before.stale_writes;
        if scenario == Scenario::UpdateKept {
            let expected = if self.is_kept { KNOWN * written as f64 } else { 0.0 };
            ensure!(
                stale as f64 >= expected && (self.is_kept || stale == 0),
                "{stale} of {written} objects that were written had copies that the server knew of"
            );
        }
        Ok(sample)
    }

    /// Checks that everything is in the books, or nothing.
    fn verify(&self) -> Result<Books> {
        let mut path = String::new();
        workload::object_path(self.data, 0, &mut path);
        let max_age = caching::max_age(&Api::new(self.freshbase.target(1).address).get(&path)?);
        let books = caching::books(&self.admin)?;
        let (is_all, is_none) = (books.keys as f64 >= KNOWN * self.data.objects as f64, books.keys == 0);
        ensure!(
            if self.is_kept {
                is_all && max_age.is_some()
            } else {
                is_none && max_age.is_none()
            },
            "{} of {} objects are known to have copies, and an answer may be kept for {} s",
            books.keys,
            self.data.objects,
            max_age.unwrap_or_default()
        );
        Ok(books)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Read,
    Replace,
}

/// Each object in turn, in no order of their keys or groups, so that none is met twice before all are met once.
struct Turns {
    what: What,
    data: Dataset,
    headers: RequestHeaders,
    sent: u64,
    path: String,
    body: String,
}

/// A prime: every number of objects that is no multiple of it is gone through completely.
const STRIDE: u64 = 1_000_003;

impl Turns {
    fn new(what: What, data: Dataset, headers: RequestHeaders) -> Self {
        let (path, body) = (String::with_capacity(64), String::with_capacity(512));
        Self {
            what,
            data,
            headers,
            sent: 0,
            path,
            body,
        }
    }

    fn next_object(&mut self) -> u64 {
        self.sent += 1;
        self.sent.wrapping_mul(STRIDE) % self.data.objects
    }
}

impl Workload for Turns {
    fn write_next(&mut self, out: &mut Vec<u8>) {
        let number = self.next_object();
        workload::object_path(self.data, number, &mut self.path);
        match self.what {
            What::Read => self.headers.write_get(out, &self.path),
            What::Replace => {
                self.body.clear();
                self.data.write_object(number, self.sent, &mut self.body);
                self.headers
                    .write_json(out, "PUT", &self.path, "if-match: *\r\n", self.body.as_bytes());
            }
        }
    }

    fn min_body(&self) -> usize {
        match self.what {
            What::Read => 200,
            What::Replace => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_object_has_its_turn_before_any_has_another_one() {
        let data = Dataset {
            seed: 1,
            objects: 1_000,
        };
        let mut turns = Turns::new(What::Read, data, RequestHeaders::new("h", None));
        for _ in 0..2 {
            let met: HashSet<u64> = (0..data.objects).map(|_| turns.next_object()).collect();
            assert_eq!(met.len() as u64, data.objects);
        }
    }
}
