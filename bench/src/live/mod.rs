//! Live queries: what it costs to tell subscribers of writes, and how soon they are told.

mod bare;
mod load;
mod report;
mod websocket;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use serde::Serialize;
use serde_json::{Value, json};

pub(crate) use self::bare::{SUBCOMMAND as BARE_SENDER, serve as send_bare};
use self::load::{Audience, Load, Objects, Writes, Yield};
pub(crate) use self::report::LiveReport;
use self::report::{Against, Figures, Memory};
use crate::{
    api::Api,
    client,
    dataset::Dataset,
    environment::Environment,
    freshbase::{self, Freshbase},
    http::RequestHeaders,
    launch,
    measure::Sample,
    run,
    scenarios::Scenario,
    server::Server,
    workload::FreshbaseLoad,
};

/// Connections that write.
const WRITERS: usize = 64;
/// After a series, for events that nobody should get.
const LISTENING: Duration = Duration::from_millis(300);
/// Objects that are imported with one request.
const IMPORTED_AT_ONCE: usize = 1_000;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Live {
    /// 1,000 subscribers of one query
    Fanout,
    /// The same, each a user of its own that may read by a role
    FanoutUsers,
    /// 500 subscribers of one query, 640 writes per second
    Pressure,
    /// 1,000 subscribers with a query of their own each
    OwnFilter,
    /// 10,000 queries on 100 sockets, 2,000 writes per second
    Many,
    /// Inserts while nobody is subscribed, beside another binary (`--baseline-server`)
    Nobody,
}

/// How a run is made.
#[derive(Debug, Clone)]
pub(crate) struct LiveSettings {
    /// The binary to measure.
    pub(crate) server: PathBuf,
    /// The one to compare inserts with.
    pub(crate) baseline: Option<PathBuf>,
    /// Further arguments of both.
    pub(crate) server_args: Vec<String>,
    /// Length of each series of writes.
    pub(crate) seconds: f64,
    /// Rounds of each.
    pub(crate) rounds: usize,
    /// Share of the subscribers, queries and writes per second, for trying out.
    pub(crate) share: f64,
    /// After so long without anything, what is missing is lost.
    pub(crate) silence: Duration,
}

/// The numbers of a scenario.
#[derive(Debug, Clone, Copy)]
struct Scale {
    subscriptions: usize,
    sockets: usize,
    /// Writes per second.
    rate: f64,
    objects: u64,
    audience: Audience,
}

impl Live {
    fn scale(self, share: f64) -> Scale {
        let (subscriptions, sockets, rate, objects, audience) = match self {
            Self::Fanout | Self::FanoutUsers => (1_000, 1_000, 20.0, 100, Audience::All),
            Self::Pressure => (500, 500, 640.0, 100, Audience::All),
            Self::OwnFilter => (1_000, 1_000, 8_000.0, 1_000, Audience::Owner),
            Self::Many => (10_000, 100, 2_000.0, 10_000, Audience::Owner),
            Self::Nobody => (0, 0, 0.0, 0, Audience::Nobody),
        };
        let scaled = |n: usize| ((n as f64 * share).ceil() as usize).max(1);
        let subscriptions = scaled(subscriptions);
        Scale {
            subscriptions,
            sockets: scaled(sockets),
            rate: if self == Self::Fanout {
                rate
            } else {
                (rate * share).max(10.0)
            },
            objects: match audience {
                Audience::Owner => subscriptions as u64,
                Audience::Nobody | Audience::All => objects,
            },
            audience,
        }
    }

    /// The filter of a subscription.
    fn filter(self, number: usize) -> Value {
        match self {
            Self::Fanout | Self::FanoutUsers | Self::Pressure | Self::Nobody => json!({ "owner": "everybody" }),
            // Each with another constant in what is left to be asked, so that no two are the same.
            Self::OwnFilter | Self::Many => {
                json!({ "owner": format!("owner {number}"), "rank": { "$gte": number % 10 } })
            }
        }
    }
}

/// Objects of class `Post`.
struct Posts {
    is_shared: bool,
    acl: Value,
}

impl Posts {
    fn key(number: u64) -> String {
        format!("p{number:06}")
    }

    fn body(&self, number: u64, stamp: u64) -> String {
        let owner = if self.is_shared {
            "everybody".to_owned()
        } else {
            format!("owner {number}")
        };
        let (key, acl, rank) = (Self::key(number), &self.acl, 10 + stamp % 90);
        format!(
            r#"{{"id":"/db/Post/{key}","acl":{acl},"owner":"{owner}","rank":{rank},"title":"Post number {number} as of write {stamp}","text":"Some words, as many as people write when they have not much to say.","done":false,"stamp":{stamp}}}"#
        )
    }
}

impl Objects for Posts {
    fn write(&self, headers: &RequestHeaders, number: u64, stamp: u64, out: &mut Vec<u8>) {
        let path = format!("/v1/db/Post/{}", Self::key(number));
        headers.write_json(
            out,
            "PUT",
            &path,
            "if-match: *\r\n",
            self.body(number, stamp).as_bytes(),
        );
    }
}

/// Measures `scenarios`, each on a server of its own, inside a directory of its own in `work_dir`.
pub(crate) fn run(settings: &LiveSettings, work_dir: &Path, scenarios: &[Live]) -> Result<LiveReport> {
    let dir = run::scratch_dir(work_dir)?;
    let mut report = LiveReport::new(Environment::probe(dir.path())?, settings);
    for scenario in scenarios {
        let name = scenario
            .to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned());
        if *scenario == Live::Nobody {
            if let Some(baseline) = &settings.baseline {
                report.nobody = Some(nobody(settings, baseline, dir.path()).context(name)?);
            } else {
                run::progress("nobody: left out, there is no --baseline-server");
            }
            continue;
        }
        for round in 1..=settings.rounds {
            run::progress(&format!("{name}: round {round} of {}", settings.rounds));
            let place = dir.path().join(format!("{name}-{round}"));
            let figures = measure(*scenario, settings, &place).with_context(|| name.clone())?;
            report.rounds.push(figures);
        }
    }
    report.judge()?;
    Ok(report)
}

fn measure(scenario: Live, settings: &LiveSettings, dir: &Path) -> Result<Figures> {
    std::fs::create_dir_all(dir).context("creating a directory")?;
    let args: Vec<&str> = settings.server_args.iter().map(String::as_str).collect();
    let server = launch::launch_with(&settings.server, &dir.join("data"), &dir.join("log"), &args)?;
    server.wait_until_healthy(launch::HEALTH_PATH)?;
    let scale = scenario.scale(settings.share);
    let figures = drive(scenario, scale, settings, &server);
    let (figures, event_bytes) =
        figures.with_context(|| format!("the server's log ends with\n{}", crate::server::tail(&dir.join("log"))))?;
    server.stop()?;
    if !matches!(scenario, Live::Fanout | Live::FanoutUsers) {
        return Ok(figures);
    }
    let bare = bare(scale, settings, event_bytes, dir).context("measuring the bare sender")?;
    Ok(figures.beside(&bare))
}

/// The same events to the same sockets from a server that does nothing else.
fn bare(scale: Scale, settings: &LiveSettings, event_bytes: usize, dir: &Path) -> Result<Yield> {
    let server = Server::start(&mut bare::command(event_bytes)?, &dir.join("bare.log"))?;
    let posts = Posts {
        is_shared: true,
        acl: Value::Null,
    };
    let mut load = Load::open(server.address(), server.pid(), scale.sockets, WRITERS, None)?;
    load.silence = settings.silence;
    load.subscribe(scale.subscriptions, &|number| {
        json!({ "id": format!("sub-{number}") }).to_string()
    })?;
    let count = ((scale.rate * settings.seconds) as u64).max(10);
    let mut series = |base, count| {
        let writes = Writes {
            count,
            rate: scale.rate,
            objects: scale.objects,
            audience: scale.audience,
        };
        load.write(&posts, base, writes)
    };
    let warm_up = (count / 4).max(1);
    series(1, warm_up).context("warming up")?;
    let yielded = series(1 + warm_up, count)?;
    server.stop()?;
    Ok(yielded)
}

/// Gives the bytes of an event, too.
fn drive(scenario: Live, scale: Scale, settings: &LiveSettings, server: &Server) -> Result<(Figures, usize)> {
    let token = freshbase::log_in(server.address()).context("logging in as admin")?;
    let admin = Api::with_token(server.address(), &token);
    let readers = match scenario {
        Live::FanoutUsers => Some(Readers::register(server.address(), &admin, scale.subscriptions)?),
        Live::Fanout | Live::Pressure | Live::OwnFilter | Live::Many | Live::Nobody => None,
    };
    let posts = Posts {
        is_shared: scale.audience == Audience::All,
        acl: readers.as_ref().map_or(Value::Null, |readers| readers.acl.clone()),
    };
    prepare(&admin, &posts, scale.objects)?;

    let memory_before = launch::memory_mb(server)?;
    let mut load = Load::open(server.address(), server.pid(), scale.sockets, WRITERS, Some(&token))?;
    load.silence = settings.silence;
    thread::sleep(launch::SETTLE);
    let memory_connected = launch::memory_mb(server)?;

    // The same writes while nobody is subscribed, and first some that warm up.
    let count = ((scale.rate * settings.seconds) as u64).max(10);
    let mut next = 1;
    let mut series = |load: &mut Load, count: u64, audience| -> Result<_> {
        let writes = Writes {
            count,
            rate: scale.rate,
            objects: scale.objects,
            audience,
        };
        // Objects are taken in turn from the first one: a stamp says whose it is by its distance from the base.
        let yielded = load.write(&posts, next, writes)?;
        load.listen(LISTENING)?;
        next += count;
        Ok(yielded)
    };
    series(&mut load, (count / 4).max(1), Audience::Nobody).context("warming up")?;
    let alone = series(&mut load, count, Audience::Nobody).context("writing while nobody is subscribed")?;

    // What was used for writing goes back first.
    thread::sleep(launch::SETTLE);
    let memory_unsubscribed = launch::memory_mb(server)?;
    let since = Instant::now();
    load.subscribe(scale.subscriptions, &|number| {
        let token = readers.as_ref().map(|readers| readers.tokens[number].as_str());
        let message = json!({
            "type": "subscribe", "id": format!("sub-{number}"), "token": token,
            "bucket": "Post", "query": scenario.filter(number).to_string(),
            "initial": true, "matchTypes": ["all"], "operations": ["any"], "reconnects": 0,
        });
        message.to_string()
    })?;
    let subscribing = since.elapsed();
    thread::sleep(launch::SETTLE);
    let memory_subscribed = launch::memory_mb(server)?;

    series(&mut load, (count / 4).max(1), scale.audience).context("warming up subscribers")?;
    let told = series(&mut load, count, scale.audience).context("telling subscribers")?;
    let figures = Figures::new(
        scenario,
        scale.subscriptions,
        scale.sockets,
        scale.rate,
        &alone,
        &told,
        subscribing,
        Memory {
            all_sockets: memory_connected - memory_before,
            all_subscriptions: memory_subscribed - memory_unsubscribed,
            at_end: launch::memory_mb(server)?,
        },
    );
    Ok((figures, (told.bytes / told.events.max(1)) as usize))
}

/// Users who may read by a role, and nobody else may.
struct Readers {
    tokens: Vec<String>,
    acl: Value,
}

impl Readers {
    fn register(address: SocketAddr, admin: &Api, count: usize) -> Result<Self> {
        run::progress(&format!("registering {count} users"));
        admin
            .put_text("/v1/config", r#"{"rateLimit":{"requests":0,"seconds":1}}"#)
            .context("switching the limit of registrations off")?;
        let (mut tokens, mut users) = (Vec::new(), Vec::new());
        for number in 0..count {
            let user = freshbase::register_user(address, &format!("reader{number}"), "reads what others write")?;
            tokens.push(user.token);
            users.push(user.id);
        }
        let role = json!({ "name": "readers", "users": users });
        let role = admin.post("/v1/db/Role", &role).context("creating the role")?.json()?;
        let id = role["id"].as_str().context("the role has no id")?;
        let acl = json!({ "read": { id: "allow" }, "write": {} });
        Ok(Self { tokens, acl })
    }
}

/// Creates class, index and objects.
fn prepare(admin: &Api, posts: &Posts, objects: u64) -> Result<()> {
    let fields: serde_json::Map<String, Value> = [
        ("owner", "/db/String"),
        ("rank", "/db/Integer"),
        ("title", "/db/String"),
        ("text", "/db/String"),
        ("done", "/db/Boolean"),
        ("stamp", "/db/Integer"),
    ]
    .into_iter()
    .enumerate()
    .map(|(order, (name, r#type))| (name.to_owned(), json!({ "name": name, "type": r#type, "order": order })))
    .collect();
    let class = json!({ "class": "/db/Post", "superClass": "/db/Object", "acl": {}, "metadata": {}, "fields": fields });
    admin
        .post("/v1/schema", &json!([class]))
        .context("creating the class")?;
    admin
        .post(
            "/v1/index/Post",
            &json!({ "unique": false, "keys": [{ "owner": "asc" }], "drop": false }),
        )
        .context("creating the index")?;
    let numbers: Vec<u64> = (0..objects).collect();
    for some in numbers.chunks(IMPORTED_AT_ONCE) {
        let mut lines = String::new();
        for number in some {
            lines.push_str(&posts.body(*number, 0));
            lines.push('\n');
        }
        let reply = admin.put_text("/v1/db/Post", &lines).context("importing objects")?;
        ensure!(reply.is_success(), "importing answers {}", reply.status);
    }
    let counted = admin.get("/v1/db/Post/count?q=%7B%7D")?.json()?;
    ensure!(
        counted["count"] == objects,
        "{objects} objects were imported, the server counts {counted}"
    );
    Ok(())
}

/// Inserts with both binaries in turn.
fn nobody(settings: &LiveSettings, baseline: &Path, dir: &Path) -> Result<Against> {
    let data = Dataset { seed: 1, objects: 10 };
    let start = |binary: &Path, name: &str| -> Result<_> {
        let dir = dir.join(name);
        std::fs::create_dir_all(&dir).context("creating a directory")?;
        let mut freshbase = Freshbase::start(binary, &dir, data)?;
        freshbase.fill(WRITERS)?;
        let load = freshbase.workload(Scenario::Insert)?;
        Ok((freshbase, load))
    };
    let (mut own, mut other) = (start(&settings.server, "own")?, start(baseline, "other")?);
    let limit = client::Limit::Time {
        warm_up: Duration::from_secs_f64(settings.seconds / 5.0),
        measured: Duration::from_secs_f64(settings.seconds),
    };
    let round = |side: &mut (Freshbase, FreshbaseLoad)| client::drive(side.0.target(WRITERS), limit, &mut side.1);
    let mut rounds: [Vec<Sample>; 2] = Default::default();
    // An even number, each side first as often as second.
    for number in 0..settings.rounds.max(1) * 2 {
        run::progress(&format!(
            "nobody: round {} of {}",
            number + 1,
            settings.rounds.max(1) * 2
        ));
        if number % 2 == 0 {
            rounds[0].push(round(&mut own)?);
            rounds[1].push(round(&mut other)?);
        } else {
            rounds[1].push(round(&mut other)?);
            rounds[0].push(round(&mut own)?);
        }
    }
    for (freshbase, load) in [own, other] {
        freshbase
            .verify_count(load.objects_expected())
            .context("counting what was inserted")?;
        freshbase.stop()?;
    }
    let [own, other] = rounds;
    Against::new(own, other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_different_subscriptions_differ_and_their_objects_pass() {
        assert_eq!(Live::Fanout.filter(1), Live::Fanout.filter(2));
        assert_ne!(Live::Many.filter(1), Live::Many.filter(2));
        let posts = Posts {
            is_shared: false,
            acl: Value::Null,
        };
        for stamp in 0..200 {
            let body: Value = serde_json::from_str(&posts.body(7, stamp)).unwrap();
            assert_eq!(body["owner"], Live::Many.filter(7)["owner"]);
            assert!(body["rank"].as_u64() >= Live::Many.filter(7)["rank"]["$gte"].as_u64());
            assert_eq!(body["stamp"], stamp);
        }
    }
}
