//! The real server behind a real Varnish with the shipped VCL, and beside imitations of CDNs.

#![expect(
    clippy::unwrap_used,
    reason = "what is unexpected fails the test, in its helpers as well"
)]

mod coherence;
mod others;
mod walls;

use fb_testkit::{Client, Response, Server, ServerBuilder, Varnish, free_port, root, wait_for};
use serde_json::{Value, json};

const BINARY: &str = env!("CARGO_BIN_EXE_freshbase");

/// A server that Varnish is in front of.
struct Site {
    varnish: Varnish,
    builder: ServerBuilder,
    server: Server,
    /// Past Varnish.
    admin: Client,
    /// Through it, not logged in.
    anybody: Client,
    _dir: tempfile::TempDir,
}

impl Site {
    /// With a class `Doc` and a bucket `data` that everybody may read, whose answers shared caches may keep for a minute.
    fn start() -> Self {
        Self::with(|builder, _| builder)
    }

    fn with(more: impl Fn(ServerBuilder, &Varnish) -> ServerBuilder) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let varnish = Varnish::start(&address);
        let builder = ServerBuilder::new(BINARY)
            .baqend()
            .data_dir(dir.path())
            .listen(&address)
            .arg("--purge-varnish")
            .arg(format!("http://{}", varnish.address()))
            .arg("--trusted-proxies")
            .arg("127.0.0.1")
            .env("FRESHBASE_PURGE_VARNISH_SECRET", Varnish::SECRET);
        let builder = more(builder, &varnish);
        let server = builder.start();
        let admin = root(&server);
        let caching = json!({ "staleness": 120, "edgeStaleness": 60, "minLifetime": 60, "maxLifetime": 60 });
        admin.put("/config", &json!({ "caching": caching })).expect(200);
        open_class(&admin, "Doc");
        admin
            .put("/file/data", &json!({ "load": { "*": "allow" } }))
            .expect(204);
        let site = Self {
            anybody: Client::new(&varnish.address(), "/v1"),
            varnish,
            builder,
            server,
            admin,
            _dir: dir,
        };
        site.settle();
        site
    }

    /// Waits until all that was changed so far is purged, and will not be purged once more.
    fn settle(&self) {
        let mark = "/db/Doc/mark";
        let n = put(&self.admin, mark, 0)["version"].as_i64().unwrap();
        self.hit(mark);
        // Purges come in order: when this one has arrived, the others are at least on their way.
        put(&self.admin, mark, n);
        wait_for("the purge of the mark", || {
            (self.anybody.get(mark).expect(200).json()["n"] == n).then_some(())
        });
        wait_for("repetitions", || {
            let names = ["queued", "under_way", "repeating", "failing"];
            let all_zero = |name: &&str| self.figure(&format!("freshbase_purge_{name}")) == 0.0;
            names.iter().all(all_zero).then_some(())
        });
    }

    /// One of the metrics about Varnish.
    fn figure(&self, name: &str) -> f64 {
        let metrics = Client::new(self.server.address(), "").get("/metrics").expect(200);
        let text = String::from_utf8(metrics.body).unwrap();
        let mut lines = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{target=\"varnish ")));
        let line = lines.next().unwrap_or_else(|| panic!("{name} is measured"));
        line.rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    /// Reads until Varnish has it in memory, and gives what it has.
    fn hit(&self, path: &str) -> Response {
        wait_for("a copy in Varnish", || {
            let answer = self.anybody.get(path).expect(200);
            is_hit(&answer).then_some(answer)
        })
    }
}

fn open_class(admin: &Client, name: &str) {
    let class = json!({ "fields": { "n": { "type": "/db/Integer" } }, "acl": { "load": { "*": "allow" } } });
    admin.put(&format!("/schema/{name}"), &class).expect(200);
}

#[track_caller]
fn is_hit(answer: &Response) -> bool {
    match answer.header("x-cache") {
        Some("HIT") => true,
        Some("MISS") => false,
        other => panic!("not through Varnish: {other:?}"),
    }
}

fn put(admin: &Client, id: &str, n: i64) -> Value {
    admin.put(id, &json!({ "n": n })).expect(200).json()
}
