//! Freshbase under test: set up its schema, fill it, verify what it answers.

use std::{
    net::SocketAddr,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use crate::{
    api::Api,
    caching,
    client::{self, Limit, Target},
    dataset::{Dataset, GROUP_SIZE, Rng},
    functions::{self, ConstantLoad, InsertLoad},
    http::RequestHeaders,
    launch::{self, ADMIN, ADMIN_PASSWORD, HEALTH_PATH},
    logins::{self, LoginLoad},
    measure::Sample,
    pages::FileLoad,
    private::{self, OwnLoad, Place},
    scenarios::Scenario,
    server::Server,
    workload::{self, FreshbaseLoad, TOPN_COUNT},
};

/// The header that logins answer with.
pub(crate) const TOKEN_HEADER: &str = "baqend-authorization-token";

/// Answers of each kind that are compared with what they must be.
const VERIFIED: u64 = 20;

/// A Freshbase that holds the benchmark's objects.
pub(crate) struct Freshbase {
    server: Server,
    data: Dataset,
    user: Option<User>,
    /// Whether the private objects are loaded.
    has_private: bool,
    /// Those who log in, once they are registered.
    logins: Option<LoginLoad>,
}

/// An ordinary user.
pub(crate) struct User {
    /// The full id.
    pub(crate) id: String,
    /// A session's token.
    pub(crate) token: String,
}

impl Freshbase {
    /// Starts `binary` on an empty directory inside `dir` and creates class and indexes.
    pub(crate) fn start(binary: &Path, dir: &Path, data: Dataset) -> Result<Self> {
        Self::start_as(binary, dir, "freshbase", data, &[])
    }

    /// The same with a directory of its own by `name`, and with environment variables.
    pub(crate) fn start_as(
        binary: &Path,
        dir: &Path,
        name: &str,
        data: Dataset,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let mut command = launch::command(binary, &dir.join(format!("{name}-data")))?;
        command.envs(environment.iter().copied());
        let server = Server::start(&mut command, &dir.join(format!("{name}.log")))?;
        server.wait_until_healthy(HEALTH_PATH)?;
        let freshbase = Self {
            server,
            data,
            user: None,
            has_private: false,
            logins: None,
        };
        freshbase.create_class_and_indexes().context("setting up the schema")?;
        Ok(freshbase)
    }

    /// Loads all objects by concurrent POST requests; the figures of the loading.
    pub(crate) fn fill(&self, connections: usize) -> Result<Sample> {
        let mut load = FreshbaseLoad::filling(self.data, self.headers(None));
        client::drive(self.target(connections), Limit::Requests(self.data.objects), &mut load)
    }

    /// Checks that reads and queries answer what they must, so that speed is not bought with
    /// wrong answers.
    pub(crate) fn verify(&self) -> Result<()> {
        self.verify_count(self.data.objects)?;
        let api = Api::new(self.server.address());
        let mut rng = Rng::new(self.data.seed);
        for _ in 0..VERIFIED {
            self.verify_object(&api, rng.below(self.data.objects))
                .context("reading by id")?;
            let group = rng.below(self.data.groups());
            verify_group(&api, group, false).context("querying without order")?;
            verify_group(&api, group, true).context("querying with order")?;
            verify_topn(&api, workload::random_score(&mut rng)).context("querying a range")?;
        }
        Ok(())
    }

    /// Checks that the server holds as many objects as it has acknowledged.
    pub(crate) fn verify_count(&self, acknowledged: u64) -> Result<()> {
        let answer = Api::new(self.server.address())
            .get("/v1/db/Item/count?q=%7B%7D")?
            .json()?;
        ensure!(
            answer["count"] == acknowledged,
            "{acknowledged} objects were acknowledged, the server counts {answer}"
        );
        Ok(())
    }

    /// Requests of `scenario`; registers a user first if it needs one.
    pub(crate) fn workload(&mut self, scenario: Scenario) -> Result<FreshbaseLoad> {
        let token = match scenario {
            Scenario::GetToken => Some(self.user()?.token.clone()),
            _ => None,
        };
        if scenario == Scenario::Filter {
            caching::fill_filter(&self.admin()?, self.data).context("getting objects into the filter")?;
        }
        Ok(FreshbaseLoad::new(scenario, self.data, self.headers(token.as_deref())))
    }

    /// Requests of a user for its own objects among `objects` private ones, which are loaded first, and for the same
    /// objects where they lie alone.
    pub(crate) fn own_workloads(&mut self, scenario: Scenario, objects: u64) -> Result<[OwnLoad; 2]> {
        let address = self.server.address();
        let User { id, token } = self.user()?;
        let (id, token) = (id.clone(), token.clone());
        if !self.has_private {
            let admin = Api::with_token(address, &self.log_in().context("logging in as admin")?);
            private::load(&admin, &id, objects, self.data.seed).context("loading the private objects")?;
            self.has_private = true;
        }
        private::verify(&Api::with_token(address, &token), &id).context("verifying the private objects")?;
        let load = |place| OwnLoad::new(scenario, place, self.headers(Some(&token)));
        Ok([load(Place::Shared), load(Place::Alone)])
    }

    /// Requests for a page of a website, which is uploaded first.
    pub(crate) fn page_load(&self, scenario: Scenario) -> Result<FileLoad> {
        let address = self.server.address();
        let admin = Api::with_token(address, &self.log_in().context("logging in as admin")?);
        FileLoad::pages(&admin, address, scenario, self.data.seed)
    }

    /// Requests for pages of a long list of files, which are uploaded first: anywhere, and the first.
    pub(crate) fn list_loads(&self) -> Result<[FileLoad; 2]> {
        let (address, token) = (self.server.address(), self.log_in().context("logging in as admin")?);
        FileLoad::lists(&Api::with_token(address, &token), address, &token, self.data.seed)
    }

    /// Calls of a module, which is uploaded first.
    pub(crate) fn constant_load(&self) -> Result<ConstantLoad> {
        functions::prepare_constant(&self.admin()?, "/v1")?;
        Ok(ConstantLoad::new(self.server.address()))
    }

    /// Inserts into a class with a handler before them, and into one without.
    pub(crate) fn insert_loads(&self) -> Result<[InsertLoad; 2]> {
        InsertLoad::prepare(&self.admin()?, self.server.address())
    }

    /// Creates an app whose code runs without end.
    pub(crate) fn prepare_runaway(&self) -> Result<()> {
        functions::prepare_runaway(self.server.address(), ADMIN, ADMIN_PASSWORD)
    }

    /// Calls as the administrator of the default app.
    pub(crate) fn admin(&self) -> Result<Api> {
        let token = self.log_in().context("logging in as admin")?;
        Ok(Api::with_token(self.server.address(), &token))
    }

    /// Logins of many users, who are registered first. From then on neither requests nor wrong passwords are limited.
    pub(crate) fn logins(&mut self) -> Result<LoginLoad> {
        if self.logins.is_none() {
            let admin = Api::with_token(self.server.address(), &self.log_in().context("logging in as admin")?);
            let no_limits = json!({
                "rateLimit": { "requests": 0, "seconds": 1 }, "lockout": { "attempts": 0, "seconds": 1 },
            });
            admin
                .put_text("/v1/config", &no_limits.to_string())
                .context("switching the limits off")?;
            let (address, headers) = (self.server.address(), self.headers(None));
            self.logins = Some(logins::prepare(address, headers, self.data.seed, |name, password| {
                Ok(self.register_user(name, password)?.id)
            })?);
        }
        self.logins.clone().context("there are users now")
    }

    fn user(&mut self) -> Result<&User> {
        if self.user.is_none() {
            let user = self.register_user("reader", "only-reads-42");
            self.user = Some(user.context("registering a user")?);
        }
        self.user.as_ref().context("there is a user now")
    }

    /// Where the load goes.
    pub(crate) fn target(&self, connections: usize) -> Target {
        Target {
            address: self.server.address(),
            pid: self.server.pid(),
            connections,
        }
    }

    /// Resident memory now, in MB.
    pub(crate) fn memory_mb(&self) -> Result<f64> {
        launch::memory_mb(&self.server)
    }

    /// Ends the server as an operator would.
    pub(crate) fn stop(self) -> Result<()> {
        self.server.stop()
    }

    fn headers(&self, token: Option<&str>) -> RequestHeaders {
        RequestHeaders::new(&self.server.address().to_string(), token)
    }

    fn create_class_and_indexes(&self) -> Result<()> {
        let token = self.log_in().context("logging in as admin")?;
        let api = Api::with_token(self.server.address(), &token);
        api.post("/v1/schema", &json!([item_class()]))?;
        for keys in indexes() {
            api.post(
                "/v1/index/Item",
                &json!({ "unique": false, "keys": keys, "drop": false }),
            )?;
        }
        // Creating is asynchronous by contract; the class is empty, so this takes no time.
        let asked_at = Instant::now();
        let expected = indexes().len() + 1;
        loop {
            let reported = api.get("/v1/index/Item")?.json()?;
            if reported.as_array().map(Vec::len) == Some(expected) {
                return Ok(());
            }
            ensure!(
                asked_at.elapsed() < Duration::from_secs(10),
                "expected {expected} indexes, got {reported}"
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn log_in(&self) -> Result<String> {
        log_in(self.server.address())
    }

    fn register_user(&self, name: &str, password: &str) -> Result<User> {
        register_user(self.server.address(), name, password)
    }

    fn verify_object(&self, api: &Api, number: u64) -> Result<()> {
        let mut path = String::new();
        workload::object_path(self.data, number, &mut path);
        let found = api.get(&path)?.json()?;
        let mut expected = String::new();
        self.data.write_object(number, 0, &mut expected);
        let expected: Value = serde_json::from_str(&expected).context("reading our own object")?;
        for field in ["id", "name", "group", "rank", "score", "active", "tags", "createdOn"] {
            ensure!(
                found[field] == expected[field],
                "{field} of {path} is {}, not {}",
                found[field],
                expected[field]
            );
        }
        Ok(())
    }
}

/// A token of the administrator of the default app.
pub(crate) fn log_in(address: SocketAddr) -> Result<String> {
    let reply = Api::new(address).post(
        "/v1/db/User/login",
        &json!({ "username": ADMIN, "password": ADMIN_PASSWORD }),
    )?;
    Ok(reply
        .header(TOKEN_HEADER)
        .context("the answer carries no token")?
        .to_owned())
}

/// Registers a user of the default app.
pub(crate) fn register_user(address: SocketAddr, name: &str, password: &str) -> Result<User> {
    let user = json!({ "acl": { "read": {}, "write": {} }, "username": name });
    let reply = Api::new(address).post(
        "/v1/db/User/register",
        &json!({ "user": user, "password": password, "login": true }),
    )?;
    let token = reply
        .header(TOKEN_HEADER)
        .context("the answer carries no token")?
        .to_owned();
    let answer = reply.json()?;
    let id = answer["id"]
        .as_str()
        .or_else(|| answer["user"]["id"].as_str())
        .context("the answer names no user")?
        .to_owned();
    Ok(User { id, token })
}

fn item_class() -> Value {
    let fields: serde_json::Map<String, Value> = [
        ("name", "/db/String"),
        ("group", "/db/String"),
        ("rank", "/db/Integer"),
        ("score", "/db/Double"),
        ("active", "/db/Boolean"),
        ("tags", "/db/collection.List[/db/String]"),
        ("createdOn", "/db/DateTime"),
    ]
    .into_iter()
    .enumerate()
    .map(|(order, (name, r#type))| (name.to_owned(), json!({ "name": name, "type": r#type, "order": order })))
    .collect();
    json!({ "class": "/db/Item", "superClass": "/db/Object", "acl": {}, "metadata": {}, "fields": fields })
}

/// Keys of the indexes: by group, by group and rank, by score.
fn indexes() -> [Value; 3] {
    [
        json!([{ "group": "asc" }]),
        json!([{ "group": "asc" }, { "rank": "asc" }]),
        json!([{ "score": "asc" }]),
    ]
}

fn verify_group(api: &Api, group: u64, ordered: bool) -> Result<()> {
    let rows = rows(api, &workload::group_path(group, ordered))?;
    let mut name = String::new();
    Dataset::write_group(group, &mut name);
    ensure!(
        rows.len() as u64 == GROUP_SIZE,
        "{} objects instead of {GROUP_SIZE}",
        rows.len()
    );
    ensure!(
        rows.iter().all(|row| row["group"] == name.as_str()),
        "objects of other groups than {name}"
    );
    let ranks: Vec<i64> = rows.iter().filter_map(|row| row["rank"].as_i64()).collect();
    ensure!(
        ranks.len() == rows.len() && (!ordered || ranks.is_sorted()),
        "ranks of {name} are {ranks:?}"
    );
    Ok(())
}

fn verify_topn(api: &Api, from: u64) -> Result<()> {
    let rows = rows(api, &workload::topn_path(from))?;
    ensure!(
        rows.len() as u64 == TOPN_COUNT,
        "{} objects instead of {TOPN_COUNT}",
        rows.len()
    );
    let scores: Vec<f64> = rows.iter().filter_map(|row| row["score"].as_f64()).collect();
    let in_range = scores.len() == rows.len() && scores.iter().all(|score| *score >= from as f64);
    ensure!(in_range && scores.is_sorted(), "scores from {from} on are {scores:?}");
    Ok(())
}

fn rows(api: &Api, path: &str) -> Result<Vec<Value>> {
    match api.get(path)?.json()? {
        Value::Array(rows) => Ok(rows),
        other => bail!("{path} answers {other} instead of an array"),
    }
}
