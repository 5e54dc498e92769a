//! A browser: a cache of its own that goes by lifetimes alone, and the client's rules about the filter (protocol 07, section 4).

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use fb_sketch::{Filter, KeyHash};
use fb_testkit::{Client, Response};

/// What a browser does wrong on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// It never looks at the filter.
    IgnoresFilter,
}

pub(crate) struct Browser {
    client: Client,
    fault: Fault,
    /// How old its filter may be.
    refresh: Duration,
    filter: Option<(Filter, Instant)>,
    /// What was asked about since that filter came.
    checked: HashSet<String>,
    copies: HashMap<String, Copy>,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

struct Copy {
    body: Vec<u8>,
    tag: Option<String>,
    /// Counted from sending the request.
    good_until: Instant,
}

/// What was read, and when at the latest it had to be current.
pub(crate) struct Read {
    pub(crate) body: Vec<u8>,
    pub(crate) at: Instant,
}

impl Browser {
    pub(crate) fn new(client: Client, refresh: Duration, fault: Fault) -> Self {
        Self {
            client,
            fault,
            refresh,
            filter: None,
            checked: HashSet::new(),
            copies: HashMap::new(),
            hits: 0,
            misses: 0,
        }
    }

    /// Reads what has this URL, which is in the filter under this name.
    pub(crate) fn read(&mut self, url: &str, element: &str) -> Read {
        self.refresh_filter();
        let at = Instant::now();
        let is_old = |(_, asked): &(Filter, Instant)| at - *asked >= self.refresh;
        let must = match &self.filter {
            Some(known) if is_old(known) => self.fault == Fault::None,
            Some((filter, _)) => {
                let is_listed = filter.contains(KeyHash::of(element)) && !self.checked.contains(element);
                is_listed && self.fault == Fault::None
            }
            None => true,
        };
        if !must && let Some(copy) = self.copies.get(url).filter(|copy| at < copy.good_until) {
            self.hits += 1;
            let body = copy.body.clone();
            return Read { body, at };
        }
        self.misses += 1;
        let read = self.fetch(url, must);
        if must {
            self.checked.insert(element.to_owned());
        }
        read
    }

    fn refresh_filter(&mut self) {
        let is_fresh = |(_, asked): &(Filter, Instant)| asked.elapsed() < self.refresh;
        if self.filter.as_ref().is_some_and(is_fresh) {
            return;
        }
        let asked = Instant::now();
        let headers = [("cache-control", "max-age=0, no-cache")];
        let answer = self.client.request("GET", "/bloomfilter", &headers, b"").expect(200);
        self.filter = Some((Filter::from_json(&answer.body).unwrap(), asked));
        self.checked.clear();
    }

    fn fetch(&mut self, url: &str, must: bool) -> Read {
        let at = Instant::now();
        let mut headers = Vec::new();
        if must {
            headers.push(("cache-control", "max-age=0, no-cache"));
        }
        let known = self.copies.get(url);
        if let Some(tag) = known.and_then(|copy| copy.tag.as_deref()) {
            headers.push(("if-none-match", tag));
        }
        let answer = self.client.request("GET", url, &headers, b"");
        let body = match (answer.status, known) {
            (304, Some(copy)) => copy.body.clone(),
            (200, _) => answer.body.clone(),
            (status, _) => panic!("{url}: {status}"),
        };
        match lifetime(&answer) {
            Some(lifetime) => {
                let copy = Copy {
                    body: body.clone(),
                    tag: answer.header("etag").map(str::to_owned),
                    good_until: at + lifetime,
                };
                self.copies.insert(url.to_owned(), copy);
            }
            None => drop(self.copies.remove(url)),
        }
        Read { body, at }
    }
}

/// How long this browser may keep an answer: `max-age` less `Age`.
fn lifetime(answer: &Response) -> Option<Duration> {
    let control = answer.header("cache-control")?;
    let seconds = control
        .split(',')
        .find_map(|part| part.trim().strip_prefix("max-age="))?;
    let age = answer.header("age").map_or(0, |age| age.parse().unwrap());
    let left = seconds.parse::<u64>().unwrap().saturating_sub(age);
    (left > 0).then(|| Duration::from_secs(left))
}
