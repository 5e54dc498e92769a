//! A client with a cache of its own, which it uses as `docs/caching.md` says.
//!
//! A copy is used while its lifetime lasts and the filter does not name it. A filter is fetched when it is asked for the first
//! time, and when the last one is as old as the staleness. What the filter names is asked for once per filter: an answer that was
//! asked for after the filter is newer than what the filter knows. If there is an edge, it may have that answer, but only as long as it
//! knows of every write: that is what `no-cache` asks it for.

use std::{
    collections::HashMap,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    api::{Line, Reply},
    caching,
    dataset::Rng,
    edge,
    hits::{
        filter::{self, Filter},
        plan::{MEMBERS, Operation, Plan, Resource, unit},
        trace::{Event, Way, What},
    },
};

/// How clients behave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) address: SocketAddr,
    /// Operations per second of one client.
    pub(crate) rate: f64,
    /// When clients begin, and for how long they go on.
    pub(crate) begin: Instant,
    pub(crate) duration: Duration,
    /// Age at which a filter is fetched anew.
    pub(crate) refresh: Duration,
}

/// What a client did.
pub(crate) struct Deeds {
    pub(crate) events: Vec<Event>,
    /// Filters that were fetched, and those of them that had not changed.
    pub(crate) filters: u64,
    pub(crate) same_filters: u64,
}

/// Does what is drawn from `seed` until the time is over.
pub(crate) fn run(plan: &Plan, manner: Manner, seed: u64) -> Result<Deeds> {
    let mut client = Client {
        plan,
        manner,
        line: Line::open(manner.address)?,
        common: format!("host: {}\r\n", manner.address),
        objects: HashMap::new(),
        queries: HashMap::new(),
        filter: None,
        deeds: Deeds {
            events: Vec::new(),
            filters: 0,
            same_filters: 0,
        },
    };
    let mut rng = Rng::new(seed);
    let mut due = Duration::ZERO;
    loop {
        due += Duration::from_secs_f64(-unit(&mut rng).ln() / manner.rate);
        let now = manner.begin.elapsed();
        if due.max(now) >= manner.duration {
            return Ok(client.deeds);
        }
        // Whoever is late does not wait; sleeping for less takes longer than that.
        if due > now + Duration::from_millis(1) {
            thread::sleep(due - now);
        }
        match plan.draw(&mut rng) {
            Operation::Object(object) => {
                client.read_object(object, What::Object)?;
            }
            Operation::Query(query) => client.read_query(query)?,
            Operation::Write(object) => client.write(object)?,
        }
    }
}

struct Client<'p> {
    plan: &'p Plan,
    manner: Manner,
    line: Line,
    /// Headers of all requests.
    common: String,
    objects: HashMap<u32, Copy>,
    queries: HashMap<u32, (Copy, Form)>,
    filter: Option<Fetched>,
    deeds: Deeds,
}

struct Fetched {
    filter: Filter,
    tag: Option<String>,
    /// When it was asked for, in microseconds since the begin.
    at: u32,
}

/// A copy of an answer; times in microseconds since the begin.
#[derive(Debug, Clone)]
struct Copy {
    /// When it was asked for.
    at: u32,
    /// When it ends.
    until: u64,
    tag: Option<String>,
}

/// What is in a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Objects,
    Ids([u32; MEMBERS]),
}

impl Client<'_> {
    fn now(&self) -> u32 {
        // Runs of an hour fit.
        self.manner.begin.elapsed().as_micros() as u32
    }

    /// Why a request is needed, if one is.
    fn way(&self, copy: Option<&Copy>, resource: &Resource, now: u32) -> Way {
        let Some(copy) = copy else { return Way::Absent };
        if u64::from(now) >= copy.until {
            return Way::Ended;
        }
        let names = |fetched: &Fetched| copy.at < fetched.at && fetched.filter.names(resource.hashes);
        match self.filter.as_ref().is_some_and(names) {
            true => Way::Named,
            false => Way::Copy,
        }
    }

    /// Why there was a request, and whether none went to the server.
    fn read_object(&mut self, object: u32, what: What) -> Result<(Way, bool)> {
        self.refresh_filter()?;
        let plan = self.plan;
        let resource = &plan.objects[object as usize];
        let at = self.now();
        let copy = self.objects.get(&object);
        let way = self.way(copy, resource, at);
        let (mut is_confirmed, mut is_near) = (false, true);
        if way != Way::Copy {
            let tag = copy.and_then(|copy| copy.tag.clone());
            let reply = self.get(resource, tag.as_deref())?;
            (is_confirmed, is_near) = (reply.status == 304, edge::is_hit(&reply));
            match copy_of(&reply, at, tag) {
                Some(copy) => self.objects.insert(object, copy),
                None => self.objects.remove(&object),
            };
        }
        self.note(at, object, what, way, is_confirmed, is_near);
        Ok((way, is_near))
    }

    fn read_query(&mut self, query: u32) -> Result<()> {
        self.refresh_filter()?;
        let plan = self.plan;
        let resource = &plan.queries[query as usize];
        let at = self.now();
        let held = self.queries.get(&query);
        let mut way = self.way(held.map(|(copy, _)| copy), resource, at);
        let mut form = held.map(|(_, form)| *form);
        let (mut is_confirmed, mut is_near) = (false, true);
        if way != Way::Copy {
            let tag = held.and_then(|(copy, _)| copy.tag.clone());
            let reply = self.get(resource, tag.as_deref())?;
            (is_confirmed, is_near) = (reply.status == 304, edge::is_hit(&reply));
            if !is_confirmed {
                form = Some(form_of(plan, query, reply.body())?);
            }
            match (copy_of(&reply, at, tag), form) {
                (Some(copy), Some(form)) => self.queries.insert(query, (copy, form)),
                (_, _) => self.queries.remove(&query),
            };
        }
        let what = match form.context("a result was confirmed that was not there")? {
            Form::Objects => What::Query,
            Form::Ids(members) => {
                for member in members {
                    let (of_member, is_member_near) = self.read_object(member, What::Member)?;
                    is_near &= is_member_near;
                    if way == Way::Copy && of_member != Way::Copy {
                        way = Way::Members;
                    }
                }
                What::Ids
            }
        };
        self.note(at, query, what, way, is_confirmed, is_near);
        Ok(())
    }

    /// Whoever has written asks for what was written again.
    fn write(&mut self, object: u32) -> Result<()> {
        let at = self.now();
        let body = r#"{"$inc":{"n":1}}"#;
        let path = &self.plan.objects[object as usize].path;
        let common = &self.common;
        let request = format!(
            "POST {path} HTTP/1.1\r\n{common}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let reply = self.line.exchange(request.as_bytes())?;
        ensure!(
            reply.is_success(),
            "POST {path} is answered with status {}",
            reply.status
        );
        self.objects.remove(&object);
        self.note(at, object, What::Write, Way::Absent, false, false);
        Ok(())
    }

    fn refresh_filter(&mut self) -> Result<()> {
        let at = self.now();
        let is_old = |fetched: &Fetched| Duration::from_micros(u64::from(at - fetched.at)) >= self.manner.refresh;
        if self.filter.as_ref().is_some_and(|fetched| !is_old(fetched)) {
            return Ok(());
        }
        let tag = self.filter.as_ref().and_then(|fetched| fetched.tag.clone());
        let reply = self.request("/v1/bloomfilter", tag.as_deref(), filter::TYPE, "")?;
        self.deeds.filters += 1;
        match (&mut self.filter, reply.status) {
            (Some(fetched), 304) => {
                self.deeds.same_filters += 1;
                fetched.at = at;
            }
            (filter, _) => {
                *filter = Some(Fetched {
                    filter: Filter::parse(reply.body())?,
                    tag: reply.header("etag").map(str::to_owned),
                    at,
                });
            }
        }
        Ok(())
    }

    fn get(&mut self, resource: &Resource, tag: Option<&str>) -> Result<Reply> {
        let is_named = |fetched: &Fetched| fetched.filter.names(resource.hashes);
        let extra = match self.filter.as_ref().is_some_and(is_named) {
            true => "cache-control: no-cache\r\n",
            false => "",
        };
        self.request(&resource.path, tag, "application/json", extra)
    }

    fn request(&mut self, path: &str, tag: Option<&str>, accept: &str, extra: &str) -> Result<Reply> {
        let common = &self.common;
        let condition = tag.map(|tag| format!("if-none-match: {tag}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\n{common}accept: {accept}\r\n{condition}{extra}\r\n");
        let reply = self.line.exchange(request.as_bytes())?;
        ensure!(
            reply.is_success() || reply.status == 304 && tag.is_some(),
            "GET {path} is answered with status {}",
            reply.status
        );
        Ok(reply)
    }

    fn note(&mut self, at: u32, key: u32, what: What, way: Way, is_confirmed: bool, is_near: bool) {
        let done = self.now();
        self.deeds.events.push(Event {
            at,
            done,
            key,
            what,
            way,
            is_confirmed,
            is_near,
        });
    }
}

/// The copy that an answer is good for, if it may be kept.
fn copy_of(reply: &Reply, at: u32, old_tag: Option<String>) -> Option<Copy> {
    let age: u64 = reply.header("age").and_then(|age| age.parse().ok()).unwrap_or_default();
    let seconds = caching::max_age(reply)?.saturating_sub(age);
    (seconds > 0).then(|| Copy {
        at,
        until: u64::from(at) + seconds * 1_000_000,
        tag: reply.header("etag").map(str::to_owned).or(old_tag),
    })
}

/// What an answer consists of; an error if it is not the result of this query.
fn form_of(plan: &Plan, query: u32, body: &[u8]) -> Result<Form> {
    let rows: Vec<serde_json::Value> = serde_json::from_slice(body).context("reading a result")?;
    let id = |row: &serde_json::Value| plan.object_of(row.as_str().or_else(|| row["id"].as_str())?);
    let found: Option<Vec<u32>> = rows.iter().map(id).collect();
    let mut found = found.context("a result with something else than objects or ids")?;
    found.sort_unstable();
    let mut expected = plan.members[query as usize];
    expected.sort_unstable();
    ensure!(
        found == expected,
        "query {query} finds {found:?} instead of {expected:?}"
    );
    Ok(match rows.iter().all(serde_json::Value::is_string) {
        true => Form::Ids(expected),
        false => Form::Objects,
    })
}
