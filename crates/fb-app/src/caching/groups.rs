//! What requests for what may be kept are counted by: here, and at edges, which get the names of groups with answers and tell what they counted.

use fb_sketch::KeyHash;
use fb_types::AppId;

use super::{Answered, Areas, Caching, Traffic};
use crate::App;

/// A class, a bucket, a query or a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group<'a> {
    /// Objects of a class.
    Class(&'a str),
    /// Files of a bucket.
    Bucket(&'a str),
    /// The result of a query on a class, by the number in [`Kept`](super::Kept).
    Query(&'a str, u64),
    /// Answers of a module.
    Module(&'a str),
}

/// Digits of a query's number.
const DIGITS: usize = 16;

impl<'a> Group<'a> {
    /// What edges know it by: at most 200 visible ASCII characters.
    ///
    /// ```text
    /// shop/db/Todo
    /// shop/file/www
    /// shop/query/Todo/00c0ffee00c0ffee
    /// shop/code/top
    /// ```
    pub fn name(self, app: &AppId) -> String {
        match self {
            Self::Class(class) => format!("{app}/db/{class}"),
            Self::Bucket(bucket) => format!("{app}/file/{bucket}"),
            Self::Query(class, number) => format!("{app}/query/{class}/{number:016x}"),
            Self::Module(module) => format!("{app}/code/{module}"),
        }
    }

    /// The app and the group that a name is of. `None` if it is none.
    pub fn parse(name: &'a str) -> Option<(&'a str, Self)> {
        let (app, rest) = name.split_once('/')?;
        let (kind, rest) = rest.split_once('/')?;
        let (rest, number) = match kind {
            "query" => rest.split_once('/')?,
            _ => (rest, ""),
        };
        if app.is_empty() || rest.is_empty() || rest.contains('/') {
            return None;
        }
        let group = match kind {
            "db" => Self::Class(rest),
            "file" => Self::Bucket(rest),
            "code" => Self::Module(rest),
            "query" if number.len() == DIGITS && number.bytes().all(|digit| digit.is_ascii_hexdigit()) => {
                Self::Query(rest, u64::from_str_radix(number, 16).ok()?)
            }
            _ => return None,
        };
        Some((app, group))
    }

    fn query(self) -> Option<KeyHash> {
        match self {
            Self::Query(_, number) => Some(KeyHash::from_bits(number)),
            Self::Class(_) | Self::Bucket(_) | Self::Module(_) => None,
        }
    }
}

impl App {
    /// Counts an answer to a request for something that may be kept. Cost: a look-up by name; for results a lock besides.
    pub fn count_answer(&self, group: Group<'_>, answered: Answered) {
        self.caching().count_answer(group, answered);
    }

    /// Enters what an edge has counted. Dropped if this server has answered no such request since the app is awake, so that an edge makes up no groups.
    pub fn count_at_edge(&self, group: Group<'_>, hits: u32, misses: u32) {
        self.caching().count_at_edge(group, hits, misses);
    }

    /// Requests for objects, files, results of queries and answers of modules, in this order, since the app is awake.
    pub fn traffic(&self) -> [Traffic; 4] {
        let caching = self.caching();
        [
            &caching.classes,
            &caching.buckets,
            &caching.results.areas,
            &caching.answers.areas,
        ]
        .map(|areas| areas.traffic())
    }
}

impl Caching {
    fn count_answer(&self, group: Group<'_>, answered: Answered) {
        let (areas, area) = self.area_of(group);
        let counted = areas.look(area, |area| area.traffic.count(answered));
        if counted.is_none() {
            // Nothing of it got a lifetime yet: it is not for everybody.
            areas.get_or_insert(area).traffic.count(answered);
        }
        if let Some(query) = group.query() {
            self.results.count_traffic(query, |traffic| traffic.count(answered));
        }
    }

    fn count_at_edge(&self, group: Group<'_>, hits: u32, misses: u32) {
        let (areas, area) = self.area_of(group);
        areas.look(area, |area| area.traffic.count_at_edge(hits, misses));
        if let Some(query) = group.query() {
            let count = |traffic: &mut Traffic| traffic.count_at_edge(hits, misses);
            self.results.count_traffic(query, count);
        }
    }

    fn area_of<'a>(&self, group: Group<'a>) -> (&Areas, &'a str) {
        match group {
            Group::Class(class) => (&self.classes, class),
            Group::Bucket(bucket) => (&self.buckets, bucket),
            Group::Query(class, _) => (&self.results.areas, class),
            Group::Module(module) => (&self.answers.areas, module),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_say_which_group_of_which_app(
            app in "[a-z][a-z0-9-]{0,38}[a-z0-9]",
            name in "[A-Za-z0-9_.-]{1,128}",
            number in any::<u64>(),
        ) {
            let app = AppId::new(&app).unwrap();
            for group in [Group::Class(&name), Group::Bucket(&name), Group::Query(&name, number), Group::Module(&name)] {
                let text = group.name(&app);
                prop_assert!(text.len() <= 200 && text.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert_eq!(Group::parse(&text), Some((app.as_str(), group)));
            }
        }

        #[test]
        fn whatever_comes_is_no_panic(name in ".{0,40}") {
            let _ = Group::parse(&name);
            let _ = Group::parse(&format!("shop/query/{name}"));
        }
    }

    #[test]
    fn other_names_are_none() {
        for name in [
            "",
            "shop",
            "shop/db",
            "shop/db/",
            "/db/Todo",
            "shop/db/Todo/1",
            "shop/user/7",
            "shop/query/Todo",
            "shop/query/Todo/1",
            "shop/query//00c0ffee00c0ffee",
            "shop/query/Todo/+0c0ffee00c0ffee",
            "shop/query/Todo/00c0ffee00c0ffee/",
            "~shop/rights",
        ] {
            assert_eq!(Group::parse(name), None, "{name}");
        }
    }
}
