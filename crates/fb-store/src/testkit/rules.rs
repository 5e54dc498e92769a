//! Reads under object rules: whatever a backend does to be quick, the result is that of asking the rules about each
//! object.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use fb_auth::{Grant, Operation, Principal, Roles, authorize};
use fb_query::Query;
use fb_types::{Acl, Document, ObjectKey, Rule, RuleMap, Schema, Version};
use serde_json::{Value, json};

use super::bench::{Bench, class};
use super::{query, schema_with, todo_class, user};
use crate::{Batch, Direction, Effect, Expect, IndexDef, IndexKey, ObjectWrite, RecordWrite, Rewrite, Store, Write};

/// Lives of the class per run, and steps of each.
const LIVES: u64 = 40;
const STEPS: u64 = 30;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % n
    }

    fn pick<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all[self.below(all.len() as u64) as usize]
    }
}

/// What an object ought to be.
#[derive(Debug, Clone, PartialEq)]
struct Model {
    acl: Option<Acl>,
    group: String,
    rank: i64,
}

const PRINCIPALS: &[&str] = &[
    "*",
    "/db/Role/3",
    "/db/Role/10",
    "/db/Role/11",
    "/db/User/1",
    "/db/User/2",
    "/db/User/3",
];

fn rules(random: &mut Random) -> RuleMap {
    let mut map = RuleMap::default();
    for _ in 0..random.below(4) {
        let rule = if random.below(3) == 0 { Rule::Deny } else { Rule::Allow };
        map.insert(random.pick(PRINCIPALS), rule);
    }
    map
}

fn model(random: &mut Random) -> Model {
    let acl = match random.below(6) {
        0 => None,
        1 => Some(Acl::private_to(random.pick(PRINCIPALS))),
        _ => Some(Acl {
            read: rules(random),
            write: rules(random),
        }),
    };
    Model {
        acl,
        group: format!("g{}", random.below(3)),
        rank: random.below(10) as i64,
    }
}

fn callers() -> Vec<Principal> {
    let member = |key: &str, roles: &[&str]| {
        let roles = roles.iter().map(|role| format!("/db/Role/{role}")).collect();
        Principal::user(format!("/db/User/{key}").parse().expect("an id"), Roles::new(roles))
    };
    let many: Vec<String> = (10..60).map(|i| i.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    vec![
        Principal::anonymous(),
        user("1"),
        user("4"),
        member("1", &["10"]),
        member("2", &["10", "11"]),
        member("3", &many),
    ]
}

fn put(bench: &Bench, key: &str, model: &Model) -> ObjectWrite {
    let mut document = bench.document(key, &json!({ "group": model.group, "rank": model.rank }));
    document.acl = model.acl.clone().map(Arc::new);
    let shape = bench.store().schema().class("Todo").map_or(0, |c| c.shape());
    bench.write(
        key,
        Box::new(move |before, moment| {
            let version = before.map_or(Version::FIRST, |stored| stored.version.next());
            let new = Document {
                version,
                updated_at: moment.now,
                ..document.clone()
            };
            Ok(Effect::Put(new.store(shape)))
        }),
    )
}

fn grant(bench: &Bench, caller: &Principal) -> Grant {
    let schema = bench.store().schema();
    authorize(
        caller,
        Operation::Query,
        schema.class("Todo").expect("the class exists"),
    )
    .expect("queries are allowed")
}

/// One life of the class: what is in it, and how that came about.
struct Life<'a> {
    bench: &'a mut Bench,
    random: Random,
    objects: BTreeMap<String, Model>,
    log: String,
}

impl Life<'_> {
    fn key(&mut self) -> String {
        format!("k{:02}", self.random.below(40))
    }

    async fn step(&mut self) {
        match self.random.below(24) {
            0..=9 => {
                let (key, new) = (self.key(), model(&mut self.random));
                writeln!(self.log, "put {key} {new:?}").expect("a text takes all");
                self.bench.commit(put(self.bench, &key, &new)).await.unwrap();
                self.objects.insert(key, new);
            }
            10..=13 => self.keep_rules().await,
            14..=17 => {
                let key = self.key();
                writeln!(self.log, "delete {key}").expect("a text takes all");
                self.bench.delete(&key).await;
                self.objects.remove(&key);
            }
            18..=21 => self.batch().await,
            22 => self.rewrite().await,
            _ => {
                writeln!(self.log, "reopen").expect("a text takes all");
                self.bench.reopen().await;
            }
        }
    }

    /// An update of something else than the rules.
    async fn keep_rules(&mut self) {
        let key = self.key();
        let Some(old) = self.objects.get(&key) else { return };
        let new = Model {
            rank: old.rank + 1,
            ..old.clone()
        };
        writeln!(self.log, "touch {key}").expect("a text takes all");
        self.bench.commit(put(self.bench, &key, &new)).await.unwrap();
        self.objects.insert(key, new);
    }

    /// Several writes at once, of which one may be refused, and all with it.
    async fn batch(&mut self) {
        let mut objects = self.objects.clone();
        let mut writes = Vec::new();
        for _ in 0..=self.random.below(4) {
            let key = self.key();
            if self.random.below(4) == 0 {
                objects.remove(&key);
                writes.push(Write::Object(
                    self.bench.write(&key, Box::new(|_, _| Ok(Effect::Delete))),
                ));
            } else {
                let new = model(&mut self.random);
                writes.push(Write::Object(put(self.bench, &key, &new)));
                objects.insert(key, new);
            }
        }
        let is_refused = self.random.below(2) == 0;
        if is_refused {
            writes.push(Write::Record(RecordWrite {
                space: "test",
                key: "missing".into(),
                expect: Expect::Present,
                value: None,
                expires_at: None,
            }));
        }
        writeln!(self.log, "batch, refused: {is_refused}: {writes:?} giving {objects:?}").expect("a text takes all");
        let result = self.bench.store().commit(Batch { writes }).await;
        assert_eq!(result.is_err(), is_refused);
        if !is_refused {
            self.objects = objects;
        }
    }

    /// An alteration that changes rules.
    async fn rewrite(&mut self) {
        let (rank, new) = (self.random.below(10) as i64, model(&mut self.random).acl);
        writeln!(self.log, "rewrite rank {rank} to {new:?}").expect("a text takes all");
        let schema = schema_with(&self.bench.store().schema(), &todo_class(), &[class()]);
        let acl = new.clone().map(Arc::new);
        let apply = move |document: &mut Document| {
            let is_meant = document.fields["rank"] == json!(rank);
            if is_meant {
                document.acl.clone_from(&acl);
            }
            is_meant
        };
        let rewrite = Rewrite {
            class: class(),
            apply: Arc::new(apply),
        };
        self.bench.alter(schema, vec![rewrite]).await.unwrap();
        for object in self.objects.values_mut().filter(|object| object.rank == rank) {
            object.acl.clone_from(&new);
        }
    }

    async fn check(&mut self) {
        for caller in callers() {
            if self.random.below(2) == 0 {
                self.check_for(&caller).await;
            }
        }
    }

    async fn check_for(&mut self, caller: &Principal) {
        let grant = grant(self.bench, caller);
        let context = format!("{caller:?} after:\n{}", self.log);
        let may_see = |object: &Model| grant.scope().may_read(object.acl.as_ref());
        let seen: Vec<(&String, &Model)> = self.objects.iter().filter(|(_, object)| may_see(object)).collect();
        let schema = self.bench.store().schema();
        let (offset, limit) = (self.random.below(6), self.random.below(30));
        let group = format!("g{}", self.random.below(4));
        let store = self.bench.store();

        // Keys and scans.
        let page = |keys: &[&String]| -> Vec<String> {
            let page = keys.iter().skip(offset as usize).take(limit as usize);
            page.map(|key| (*key).clone()).collect()
        };
        let keys: Vec<&String> = seen.iter().map(|(key, _)| *key).collect();
        let found = store.keys(&grant, offset, limit).await.unwrap();
        assert_eq!(
            found.iter().map(ObjectKey::decoded).collect::<Vec<_>>(),
            page(&keys),
            "keys for {context}"
        );
        let after = format!("k{:02}", self.random.below(40));
        let key = ObjectKey::from_raw(&after).unwrap();
        let rows = store.scan(&grant, Some(&key), limit as usize).await.unwrap();
        let found: Vec<String> = rows.rows().iter().map(|row| row.key.decoded()).collect();
        let behind: Vec<&String> = keys
            .iter()
            .filter(|key| ***key > after)
            .take(limit as usize)
            .copied()
            .collect();
        assert_eq!(found.iter().collect::<Vec<_>>(), behind, "a scan for {context}");

        for filter in [
            json!({}),
            json!({ "group": group }),
            json!({ "tags": null, "rank": { "$lt": 5 } }),
        ] {
            let passes = |object: &Model| match filter.as_object().map_or(0, serde_json::Map::len) {
                0 => true,
                1 => object.group == group,
                _ => object.rank < 5,
            };
            let mut matching: Vec<(&String, &Model)> =
                seen.iter().copied().filter(|(_, object)| passes(object)).collect();
            let all = query(&schema, &filter, &json!({}), 0, 1000);
            let count = store.count(&grant, &all.filter).await.unwrap();
            assert_eq!(count, matching.len() as u64, "count of {filter} for {context}");

            let by_rank = query(&schema, &filter, &json!({ "rank": -1 }), offset, limit);
            matching.sort_by_key(|(key, object)| (-object.rank, (*key).clone()));
            let sorted: Vec<&String> = matching.iter().map(|(key, _)| *key).collect();
            assert_eq!(
                self.bench.find(&grant, &by_rank).await,
                page(&sorted),
                "{filter} for {context}"
            );

            let natural = query(&schema, &filter, &json!({}), offset, limit);
            let mut found = self.bench.find(&grant, &natural).await;
            assert_eq!(found.len(), page(&sorted).len(), "any of {filter} for {context}");
            found.sort();
            found.dedup();
            assert_eq!(found.len(), page(&sorted).len(), "any of {filter} for {context}");
            assert!(
                found.iter().all(|key| sorted.contains(&key)),
                "any of {filter} for {context}"
            );
        }
    }
}

/// Random rules, changes, callers and reads; the verdict on each object is the rules' own.
pub async fn restricted_reads_agree_with_the_rules(mut bench: Bench) {
    for seed in 0..LIVES {
        let mut random = Random(seed << 32);
        if random.below(2) == 0 {
            let indexes = [vec!["group", "rank"], vec!["rank"], vec!["group"]];
            let some = indexes.into_iter().skip(random.below(3) as usize);
            let admin = bench.admin();
            bench
                .store()
                .set_indexes(&admin, &class(), some.map(index).collect())
                .await
                .unwrap();
        }
        let mut life = Life {
            bench: &mut bench,
            random,
            objects: BTreeMap::new(),
            log: format!("seed {seed}\n"),
        };
        for _ in 0..STEPS {
            life.step().await;
            life.check().await;
        }
        if seed % 8 == 0 {
            // Whoever restores a copy looks at all of it.
            let copy = copied(&bench, &format!("copy{seed}")).await;
            copy.close().await;
        }
        drop_class(&bench).await;
        bench.add_class(&todo_class()).await;
    }
    copied(&bench, "last").await.close().await;
}

/// A new app, from a backup of the bench's.
async fn copied(bench: &Bench, name: &str) -> Arc<dyn Store> {
    let dir = std::env::temp_dir().join(format!("fb-rules-{}-{:p}", std::process::id(), &raw const *bench));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("backup");
    bench.node().backup(&bench.app_record("app").id, &file).await.unwrap();
    let restored = bench.node().restore(&bench.app_record(name), &file).await;
    std::fs::remove_dir_all(&dir).unwrap();
    restored.unwrap();
    bench.open_app(name).await
}

fn index(paths: Vec<&str>) -> IndexDef {
    let key = |path: &str| IndexKey {
        path: path.to_owned(),
        direction: Direction::Asc,
    };
    IndexDef {
        unique: false,
        keys: paths.into_iter().map(key).collect(),
    }
}

async fn drop_class(bench: &Bench) {
    let previous = bench.store().schema();
    let defs = previous.defs().into_iter().filter(|d| d.class != "/db/Todo").collect();
    let without = Schema::build(defs, previous.rev() + 1, Some(&previous), &[]).unwrap();
    bench.alter(without, Vec::new()).await.unwrap();
}

async fn found_by(bench: &Bench, caller: &Principal) -> Vec<String> {
    let query: Query = query(&bench.store().schema(), &json!({}), &json!({ "id": 1 }), 0, 100);
    bench.find(&grant(bench, caller), &query).await
}

/// The first object with rules may come when many public ones are there, in a batch that is refused, and after the
/// class was dropped; and admins see what nobody may.
pub async fn the_first_rules_of_a_class(bench: Bench) {
    for round in 0..2 {
        bench.insert("a", json!({ "rank": 1 })).await;
        assert_eq!(found_by(&bench, &user("1")).await, ["a"], "{round}");
        let private = |key| {
            let acl = Some(Acl::private_to("/db/User/1"));
            let (group, rank) = (String::new(), 2);
            Write::Object(put(&bench, key, &Model { acl, group, rank }))
        };
        let refused = vec![private("b"), Write::Object(bench.inserting("a", &json!({})))];
        bench.store().commit(Batch { writes: refused }).await.unwrap_err();
        assert_eq!(found_by(&bench, &user("1")).await, ["a"], "{round}");
        bench.insert("c", json!({ "rank": 1 })).await;
        assert_eq!(found_by(&bench, &user("1")).await, ["a", "c"], "{round}");
        bench
            .store()
            .commit(Batch {
                writes: vec![private("b")],
            })
            .await
            .unwrap();
        bench.insert("d", json!({ "rank": 1 })).await;
        assert_eq!(found_by(&bench, &user("1")).await, ["a", "b", "c", "d"], "{round}");
        assert_eq!(found_by(&bench, &user("2")).await, ["a", "c", "d"], "{round}");
        assert_eq!(
            found_by(&bench, &Principal::anonymous()).await,
            ["a", "c", "d"],
            "{round}"
        );
        let nobody = Acl {
            read: RuleMap::deny_everybody(),
            write: RuleMap::default(),
        };
        bench.insert_with_acl("e", json!({}), nobody).await;
        assert_eq!(found_by(&bench, &user("1")).await, ["a", "b", "c", "d"], "{round}");
        let admin = Principal::user(
            "/db/User/9".parse().unwrap(),
            Roles::new(vec![fb_types::schema::ADMIN_ROLE.to_owned()]),
        );
        assert_eq!(found_by(&bench, &admin).await, ["a", "b", "c", "d", "e"], "{round}");
        drop_class(&bench).await;
        bench.add_class(&todo_class()).await;
    }
}

/// A copy of an app is read as the app is.
pub async fn rules_are_in_force_after_a_restore(bench: Bench) {
    bench.insert("a", json!({})).await;
    bench
        .insert_with_acl("b", json!({}), Acl::private_to("/db/User/1"))
        .await;
    bench
        .insert_with_acl("c", json!({}), Acl::private_to("/db/User/2"))
        .await;
    let copy = copied(&bench, "copy").await;
    let schema = copy.schema();
    let sorted = query(&schema, &json!({}), &json!({ "id": 1 }), 0, 100);
    for (key, expected) in [("1", ["a", "b"]), ("2", ["a", "c"])] {
        let rows = copy.query(&grant(&bench, &user(key)), &sorted).await.unwrap();
        let found: Vec<Value> = serde_json::from_slice(&rows.into_json()).unwrap();
        let ids: Vec<_> = found
            .iter()
            .map(|object| object["id"].as_str().unwrap_or_default())
            .collect();
        assert_eq!(ids, expected.map(|key| format!("/db/Todo/{key}")));
    }
    copy.close().await;
}
