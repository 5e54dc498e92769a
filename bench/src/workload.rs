//! The requests that each scenario sends to Freshbase.

use crate::{
    client::Workload,
    dataset::{Dataset, MAX_SCORE, Rng},
    http::{RequestHeaders, percent_encode},
    scenarios::Scenario,
};

/// Objects that `query-topn` asks for.
pub(crate) const TOPN_COUNT: u64 = 20;

/// Requests of one scenario. The stream continues over rounds, so that inserts never repeat an id.
pub(crate) struct FreshbaseLoad {
    scenario: Scenario,
    data: Dataset,
    headers: RequestHeaders,
    rng: Rng,
    next_insert: u64,
    revision: u64,
    path: String,
    body: String,
}

impl FreshbaseLoad {
    /// Requests of `scenario` against a server that holds the objects of `data`.
    pub(crate) fn new(scenario: Scenario, data: Dataset, headers: RequestHeaders) -> Self {
        Self {
            scenario,
            data,
            headers,
            rng: Rng::new(data.seed ^ 0x00c0_ffee ^ ((scenario as u64) << 32)),
            next_insert: data.objects,
            revision: 0,
            path: String::with_capacity(256),
            body: String::with_capacity(512),
        }
    }

    /// Inserts the objects of `data` itself, in order; for exactly as many requests.
    pub(crate) fn filling(data: Dataset, headers: RequestHeaders) -> Self {
        Self {
            next_insert: 0,
            ..Self::new(Scenario::Insert, data, headers)
        }
    }

    /// Objects that the server must hold once all requests so far are acknowledged.
    pub(crate) fn objects_expected(&self) -> u64 {
        self.next_insert
    }

    fn random_object(&mut self) -> u64 {
        self.rng.below(self.data.objects)
    }

    fn write_get(&mut self, out: &mut Vec<u8>) {
        let number = self.random_object();
        object_path(self.data, number, &mut self.path);
        self.headers.write_get(out, &self.path);
    }

    /// Objects are in their first version until something is written.
    fn write_confirmation(&mut self, out: &mut Vec<u8>) {
        let number = self.random_object();
        object_path(self.data, number, &mut self.path);
        self.headers.write_get_with(out, &self.path, "if-none-match: \"1\"\r\n");
    }

    fn write_update(&mut self, out: &mut Vec<u8>) {
        let number = self.random_object();
        self.revision += 1;
        object_path(self.data, number, &mut self.path);
        self.body.clear();
        self.data.write_object(number, self.revision, &mut self.body);
        self.headers
            .write_json(out, "PUT", &self.path, "if-match: *\r\n", self.body.as_bytes());
    }

    fn write_partial(&mut self, out: &mut Vec<u8>) {
        let number = self.random_object();
        object_path(self.data, number, &mut self.path);
        self.headers
            .write_json(out, "POST", &self.path, "", br#"{"$inc":{"score":0.25}}"#);
    }

    fn write_insert(&mut self, out: &mut Vec<u8>) {
        self.body.clear();
        self.data.write_object(self.next_insert, 0, &mut self.body);
        self.next_insert += 1;
        self.headers
            .write_json(out, "POST", "/v1/db/Item", "", self.body.as_bytes());
    }

    fn write_query(&mut self, out: &mut Vec<u8>) {
        self.path = if self.scenario == Scenario::QueryTopn {
            topn_path(random_score(&mut self.rng))
        } else {
            group_path(
                self.rng.below(self.data.groups()),
                self.scenario == Scenario::QueryOrdered,
            )
        };
        if self.scenario == Scenario::QueryKept {
            self.path.push_str("&cached=objects");
        }
        self.headers.write_get(out, &self.path);
    }
}

impl Workload for FreshbaseLoad {
    fn write_next(&mut self, out: &mut Vec<u8>) {
        match self.scenario {
            // Idle sends nothing of its own; the health check is what its start waits for.
            // Logins and those of one's own objects have workloads of their own, see `logins`, `private`, `pages` and `kept`.
            Scenario::Idle
            | Scenario::Health
            | Scenario::Login
            | Scenario::OwnPage
            | Scenario::OwnCount
            | Scenario::Page
            | Scenario::PageConfirmed
            | Scenario::ListFiles
            | Scenario::Function
            | Scenario::FunctionNeighbour
            | Scenario::FunctionApps
            | Scenario::GetKept
            | Scenario::UpdateKept
            | Scenario::InsertHandler => self.headers.write_get(out, "/healthz"),
            Scenario::Get | Scenario::GetToken | Scenario::GetDuringLogins | Scenario::EdgeHit => self.write_get(out),
            Scenario::GetConfirmed | Scenario::EdgeConfirmed => self.write_confirmation(out),
            Scenario::Filter | Scenario::EdgeFilter => self.headers.write_get(out, "/v1/bloomfilter"),
            Scenario::QueryUnordered | Scenario::QueryOrdered | Scenario::QueryTopn | Scenario::QueryKept => {
                self.write_query(out);
            }
            Scenario::Mixed if self.rng.below(100) < 5 => self.write_update(out),
            Scenario::Mixed => self.write_get(out),
            Scenario::Update => self.write_update(out),
            Scenario::Partial => self.write_partial(out),
            Scenario::Insert => self.write_insert(out),
        }
    }

    fn min_body(&self) -> usize {
        match self.scenario {
            Scenario::Get | Scenario::GetToken | Scenario::GetDuringLogins | Scenario::EdgeHit => 200,
            Scenario::QueryUnordered
            | Scenario::QueryOrdered
            | Scenario::QueryKept
            | Scenario::Filter
            | Scenario::EdgeFilter => 2_000,
            Scenario::QueryTopn => 4_000,
            // Answers to writes may be as short as the server likes.
            Scenario::Idle
            | Scenario::Health
            | Scenario::GetConfirmed
            | Scenario::EdgeConfirmed
            | Scenario::GetKept
            | Scenario::UpdateKept
            | Scenario::Mixed
            | Scenario::Update
            | Scenario::Partial
            | Scenario::Insert
            | Scenario::Login
            | Scenario::OwnPage
            | Scenario::OwnCount
            | Scenario::Page
            | Scenario::PageConfirmed
            | Scenario::ListFiles
            | Scenario::Function
            | Scenario::FunctionNeighbour
            | Scenario::FunctionApps
            | Scenario::InsertHandler => 0,
        }
    }
}

/// Sets `path` to the URL path of object `number`.
pub(crate) fn object_path(data: Dataset, number: u64, path: &mut String) {
    path.clear();
    path.push_str("/v1");
    data.write_id(number, path);
}

/// URL path of the query for the members of a group, sorted by rank if `ordered`.
pub(crate) fn group_path(group: u64, ordered: bool) -> String {
    let mut name = String::with_capacity(8);
    Dataset::write_group(group, &mut name);
    let filter = percent_encode(&format!(r#"{{"group":"{name}"}}"#));
    let sort = if ordered {
        format!("&sort={}", percent_encode(r#"{"rank":1}"#))
    } else {
        String::new()
    };
    format!("/v1/db/Item/query?q={filter}&start=0&count=10{sort}")
}

/// URL path of the query for the objects with the lowest scores from `score` on.
pub(crate) fn topn_path(score: u64) -> String {
    let filter = percent_encode(&format!(r#"{{"score":{{"$gte":{score}}}}}"#));
    let sort = percent_encode(r#"{"score":1}"#);
    format!("/v1/db/Item/query?q={filter}&start=0&count={TOPN_COUNT}&sort={sort}")
}

/// A lower bound for scores that leaves enough objects above it.
pub(crate) fn random_score(rng: &mut Rng) -> u64 {
    rng.below(MAX_SCORE * 9 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::parse_answer;

    const DATA: Dataset = Dataset { seed: 1, objects: 1000 };

    fn request(scenario: Scenario) -> String {
        let mut out = Vec::new();
        FreshbaseLoad::new(scenario, DATA, RequestHeaders::new("h", None)).write_next(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_query_carries_filter_limit_and_order() {
        let text = request(Scenario::QueryOrdered);
        assert!(
            text.starts_with("GET /v1/db/Item/query?q=%7B%22group%22%3A%22g000"),
            "{text}"
        );
        assert!(
            text.contains("&start=0&count=10&sort=%7B%22rank%22%3A1%7D HTTP/1.1\r\n"),
            "{text}"
        );
    }

    #[test]
    fn an_update_has_a_condition_and_a_body_of_the_stated_length() {
        let text = request(Scenario::Update);
        assert!(
            text.starts_with("PUT /v1/db/Item/") && text.contains("\r\nif-match: *\r\n"),
            "{text}"
        );
        let as_answer = format!("HTTP/1.1 200 OK\r\n{}", text.split_once("\r\n").unwrap().1);
        let answer = parse_answer(as_answer.as_bytes()).unwrap().unwrap();
        assert_eq!(answer.total_len, as_answer.len());
    }

    #[test]
    fn mixed_is_mostly_reading() {
        let mut load = FreshbaseLoad::new(Scenario::Mixed, DATA, RequestHeaders::new("h", None));
        let updates = (0..10_000)
            .filter(|_| {
                let mut out = Vec::new();
                load.write_next(&mut out);
                out.starts_with(b"PUT")
            })
            .count();
        assert!((400..600).contains(&updates), "{updates}");
    }
}
