//! The table of scenarios: what each one does, what it is compared with, and what it must reach.

use clap::ValueEnum;
use serde::Serialize;

use crate::{
    plain::Page,
    sqlite_baseline::Operation,
    targets::{self, Target},
};

/// One thing that is measured. The order is that of the run: reads first, because writes grow
/// the collection that they read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// Start time and memory of a server without load, five starts
    Idle,
    /// GET /healthz
    Health,
    /// Read one random object by its id, anonymously
    Get,
    /// The same with the token of an ordinary user
    GetToken,
    /// Confirm a copy of a random object by its tag: 304
    GetConfirmed,
    /// The filter of what changed in caches, with 2,000 objects in it
    Filter,
    /// query-unordered as what everybody may keep (cached=objects)
    QueryKept,
    /// Query by an indexed field, 10 objects in any order
    QueryUnordered,
    /// Query by an indexed field, 10 objects sorted by another field of the index
    QueryOrdered,
    /// Range on an indexed number, sorted by it, the first 20 objects
    QueryTopn,
    /// 95 % get, 5 % update
    Mixed,
    /// Replace a random object (PUT, If-Match: *)
    Update,
    /// Increment a number of a random object (partial update)
    Partial,
    /// A page of a website, 20 KB
    Page,
    /// The same, confirmed by its tag: 304
    PageConfirmed,
    /// A page of 100 of the list of 100,000 files, anywhere in it
    ListFiles,
    /// Call a module that answers a constant (GET)
    Function,
    /// The same while another app calls code that loops without end, 8 connections
    FunctionNeighbour,
    /// Insert an object with a new id (POST)
    Insert,
    /// Insert an object of a class with a handler before inserts
    InsertHandler,
    /// Log in as one of 50 users, 8 connections
    Login,
    /// get while 16 more connections log in, more than the password hasher takes
    GetDuringLogins,
    /// A page of one's own objects among private ones of 10,000 owners, 20 by rank
    OwnPage,
    /// How many objects of one's own there are among private ones of 10,000 owners
    OwnCount,
    /// Read a random one of 1,000 objects through an edge that has them in memory
    EdgeHit,
    /// Confirm a copy of one of them by its tag through the edge: 304
    EdgeConfirmed,
    /// The filter of what changed in caches, 2,000 objects, through the edge
    EdgeFilter,
    /// get with caching, and in a server without
    GetKept,
    /// Replace objects that somebody has copies of, and the same in a server without caching
    UpdateKept,
    /// 1,000 apps with one module each: memory, and calls of one app after the other, none of which finds an instance
    FunctionApps,
}

/// What a scenario is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Yardstick {
    /// The plain server with answers of about the same size.
    Plain(Page),
    /// The in-process SQLite writer.
    Sqlite(Operation),
    /// Verifying passwords on every core, in process.
    Argon2,
    /// Freshbase itself: the same request while nobody logs in.
    Quiet,
    /// Freshbase itself: the same request to a class that holds nothing else.
    Alone,
    /// Freshbase itself: the first page of the same list.
    FirstPage,
    /// Freshbase itself: the same while no other app does anything.
    Undisturbed,
    /// Freshbase itself: a class without a handler.
    NoHandler,
    /// Freshbase itself: a second server with `caching.enabled` off.
    Unkept,
}

/// What a scenario needs to have running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Servers that it starts by itself.
    Own,
    /// The server that holds all objects.
    Server,
    /// An edge with a server behind it.
    Edge,
    /// A server with caching and one without.
    TwoServers,
}

impl Yardstick {
    /// Every yardstick that is another program than Freshbase, for measuring them alone.
    pub(crate) const ALL: [Self; 8] = [
        Self::Plain(Page::File),
        Self::Plain(Page::Confirmed),
        Self::Plain(Page::Object),
        Self::Plain(Page::List10),
        Self::Plain(Page::List20),
        Self::Sqlite(Operation::Update),
        Self::Sqlite(Operation::Insert),
        Self::Argon2,
    ];

    /// Name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain(Page::Object) => "plain, 250 B",
            Self::Plain(Page::List10) => "plain, 2.6 KB",
            Self::Plain(Page::List20) => "plain, 5.2 KB",
            Self::Plain(Page::File) => "plain, 20 KB",
            Self::Plain(Page::Confirmed) => "plain, 304",
            Self::Sqlite(Operation::Insert) => "SQLite insert",
            Self::Sqlite(Operation::Update) => "SQLite update",
            Self::Argon2 => "Argon2id alone",
            Self::Quiet => "freshbase, quiet",
            Self::Alone => "freshbase, alone",
            Self::FirstPage => "freshbase, first page",
            Self::Undisturbed => "freshbase, undisturbed",
            Self::NoHandler => "freshbase, no handler",
            Self::Unkept => "freshbase, no caching",
        }
    }
}

impl Scenario {
    /// Name on the command line and in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Health => "health",
            Self::Get => "get",
            Self::GetToken => "get-token",
            Self::GetConfirmed => "get-confirmed",
            Self::Filter => "filter",
            Self::QueryKept => "query-kept",
            Self::QueryUnordered => "query-unordered",
            Self::QueryOrdered => "query-ordered",
            Self::QueryTopn => "query-topn",
            Self::Mixed => "mixed",
            Self::Update => "update",
            Self::Partial => "partial",
            Self::Page => "page",
            Self::PageConfirmed => "page-confirmed",
            Self::ListFiles => "list-files",
            Self::Function => "function",
            Self::FunctionNeighbour => "function-neighbour",
            Self::FunctionApps => "function-apps",
            Self::InsertHandler => "insert-handler",
            Self::Insert => "insert",
            Self::Login => "login",
            Self::GetDuringLogins => "get-during-logins",
            Self::OwnPage => "own-page",
            Self::OwnCount => "own-count",
            Self::EdgeHit => "edge-hit",
            Self::EdgeConfirmed => "edge-confirmed",
            Self::EdgeFilter => "edge-filter",
            Self::GetKept => "get-kept",
            Self::UpdateKept => "update-kept",
        }
    }

    /// What it is compared with; `None` if it puts no load on the server.
    pub(crate) fn yardstick(self) -> Option<Yardstick> {
        match self {
            Self::Idle | Self::FunctionApps => None,
            Self::FunctionNeighbour => Some(Yardstick::Undisturbed),
            Self::InsertHandler => Some(Yardstick::NoHandler),
            Self::Function | Self::Health | Self::Get | Self::GetToken | Self::Mixed | Self::EdgeHit => {
                Some(Yardstick::Plain(Page::Object))
            }
            Self::QueryUnordered | Self::QueryOrdered | Self::QueryKept | Self::Filter | Self::EdgeFilter => {
                Some(Yardstick::Plain(Page::List10))
            }
            Self::GetConfirmed | Self::EdgeConfirmed => Some(Yardstick::Plain(Page::Confirmed)),
            Self::GetKept | Self::UpdateKept => Some(Yardstick::Unkept),
            Self::QueryTopn => Some(Yardstick::Plain(Page::List20)),
            Self::Update | Self::Partial => Some(Yardstick::Sqlite(Operation::Update)),
            Self::Insert => Some(Yardstick::Sqlite(Operation::Insert)),
            Self::Login => Some(Yardstick::Argon2),
            Self::GetDuringLogins => Some(Yardstick::Quiet),
            Self::OwnPage | Self::OwnCount => Some(Yardstick::Alone),
            Self::Page => Some(Yardstick::Plain(Page::File)),
            Self::PageConfirmed => Some(Yardstick::Plain(Page::Confirmed)),
            Self::ListFiles => Some(Yardstick::FirstPage),
        }
    }

    /// What it needs to have running.
    pub(crate) fn place(self) -> Place {
        match self {
            Self::Idle | Self::FunctionApps => Place::Own,
            Self::EdgeHit | Self::EdgeConfirmed | Self::EdgeFilter => Place::Edge,
            Self::GetKept | Self::UpdateKept => Place::TwoServers,
            Self::Health
            | Self::Get
            | Self::GetToken
            | Self::GetConfirmed
            | Self::Filter
            | Self::QueryKept
            | Self::QueryUnordered
            | Self::QueryOrdered
            | Self::QueryTopn
            | Self::Mixed
            | Self::Update
            | Self::Partial
            | Self::Page
            | Self::PageConfirmed
            | Self::ListFiles
            | Self::Function
            | Self::FunctionNeighbour
            | Self::Insert
            | Self::InsertHandler
            | Self::Login
            | Self::GetDuringLogins
            | Self::OwnPage
            | Self::OwnCount => Place::Server,
        }
    }

    /// What its comparison must reach.
    pub(crate) fn targets(self) -> &'static [Target] {
        match self {
            Self::Get => targets::GET,
            Self::Function => targets::FUNCTION,
            Self::FunctionNeighbour => targets::NEIGHBOUR,
            Self::QueryUnordered | Self::QueryOrdered | Self::QueryKept => targets::QUERY,
            Self::GetConfirmed | Self::EdgeConfirmed => targets::COPY_CONFIRMED,
            Self::Filter | Self::EdgeFilter => targets::FILTER,
            Self::EdgeHit => targets::EDGE_HIT,
            Self::GetKept | Self::UpdateKept => targets::KEPT,
            Self::Update => targets::UPDATE,
            Self::Insert => targets::INSERT,
            Self::Login => targets::LOGIN,
            Self::OwnPage | Self::OwnCount => targets::OWN,
            Self::Page => targets::PAGE,
            Self::PageConfirmed => targets::CONFIRMED,
            Self::ListFiles => targets::LIST,
            // Judged by IDLE_MEMORY, START_TIME and COLD, they have no comparison.
            Self::Idle
            | Self::FunctionApps
            | Self::InsertHandler
            | Self::Health
            | Self::GetToken
            | Self::QueryTopn
            | Self::Mixed
            | Self::Partial
            | Self::GetDuringLogins => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_command_line() {
        for scenario in Scenario::value_variants() {
            assert_eq!(scenario.to_possible_value().unwrap().get_name(), scenario.name());
        }
    }
}
