//! What caches in front of the server are told of writes: the names of what is no longer as it was.
//!
//! Answers carry the same names ([`tags`]), so whoever keeps answers by them knows which ones a purge concerns. Where the names go to is
//! the business of a [`PurgeSink`].
//!
//! Names that begin with [`PRIVATE`] are for edges of this server alone: of answers that are not for everybody, since edges
//! decide themselves who may see them, and of those that only edges keep until they are purged. For other caches these names say nothing.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use fb_sketch::{KeyHash, Kind, Moment, Past, Settings as SketchSettings, Sketch};
use fb_store::Committed;
use fb_types::{AppId, ChangeKind, Subject};

use super::{LatePurges, element};

/// What names begin with that are for edges of this server alone.
pub const PRIVATE: char = '~';

/// Longest life of an answer that is not for everybody in an edge.
pub const LONGEST_PRIVATE: Duration = Duration::from_secs(300);

/// Keys in the books of private answers of one app; further ones are not kept.
const MAX_PRIVATE: usize = 100_000;

/// Takes what is purged. Called on the thread that writes, so it must not wait for anything.
pub trait PurgeSink: fmt::Debug + Send + Sync + 'static {
    /// Answers with one of these names are not as they were. The names are visible ASCII without spaces, at most 4 KiB each.
    fn purge(&self, names: Vec<String>);

    /// No answer of any app is known to be as it was.
    fn purge_all(&self);

    /// An app is about to make the first answers since it is awake whose purges come late, that is after the acknowledgement of what they are for.
    fn expect(&self, late: Weak<LatePurges>);
}

/// Names of what answers are made of.
///
/// ```text
/// shop                    everything of the app
/// shop/class/Todo         objects of a class
/// shop/db/Todo/42         an object
/// shop/query/00c0ffee…    the result of a query, by a number
/// shop/code               answers of modules
/// shop/code/00c0ffee…     one of them, by a number
/// shop/bucket/www         files of a bucket
/// shop/file/www/a%20b     a file
/// ~shop/rights            who is who: roles, sessions, keys of tokens
/// ~shop/user/7            a user: whether it is active
/// ~shop/results           results of queries, and answers of modules
/// ```
pub mod tags {
    use fb_types::{AppId, FileId, ObjectKey, encode_component};

    /// Everything of an app.
    pub fn app(app: &AppId) -> String {
        app.to_string()
    }

    /// The objects of a class.
    pub fn class(app: &AppId, class: &str) -> String {
        format!("{app}/class/{class}")
    }

    /// An object.
    pub fn object(app: &AppId, class: &str, key: &ObjectKey) -> String {
        format!("{app}/db/{class}/{key}")
    }

    /// The result of a query.
    pub fn query(app: &AppId, number: u64) -> String {
        format!("{app}/query/{number:016x}")
    }

    /// The answers of modules.
    pub fn code(app: &AppId) -> String {
        format!("{app}/code")
    }

    /// An answer of a module.
    pub fn answer(app: &AppId, number: u64) -> String {
        format!("{app}/code/{number:016x}")
    }

    /// The files of a bucket.
    pub fn bucket(app: &AppId, bucket: &str) -> String {
        format!("{app}/bucket/{}", encode_component(bucket))
    }

    /// A file.
    pub fn file(app: &AppId, id: &FileId) -> String {
        let path: Vec<String> = id.path().as_str().split('/').map(encode_component).collect();
        format!(
            "{app}/file/{}/{}",
            encode_component(id.bucket().as_str()),
            path.join("/")
        )
    }

    /// What is known of tokens: roles, sessions, keys.
    pub fn rights(app: &AppId) -> String {
        private(format!("{app}/rights"))
    }

    /// A user, as far as its sessions are concerned.
    pub fn user(app: &AppId, key: &ObjectKey) -> String {
        private(format!("{app}/user/{key}"))
    }

    /// What is purged late: results of queries, and answers of modules.
    pub fn results(app: &AppId) -> String {
        private(format!("{app}/results"))
    }

    /// The same for edges alone.
    pub fn private(name: String) -> String {
        format!("{}{name}", super::PRIVATE)
    }
}

/// Tells the sink about one app.
#[derive(Debug)]
pub(crate) struct Purges {
    app: AppId,
    sink: Option<Arc<dyn PurgeSink>>,
    /// Which private answers edges have. Apart from the app's sketch, whose filter everybody can read.
    private: OnceLock<Sketch>,
    /// These books have ended; the app goes on with others, if it does.
    is_stopped: AtomicBool,
}

impl Purges {
    pub(crate) fn new(app: AppId, sink: Option<Arc<dyn PurgeSink>>) -> Self {
        Self {
            app,
            sink,
            private: OnceLock::new(),
            is_stopped: AtomicBool::new(false),
        }
    }

    /// The names of what was written, to be given to [`Self::send`]: those of private answers at once, the others by [`Self::add`].
    pub(super) fn begin(&self, changes: &[Committed], now: Moment) -> Vec<String> {
        let mut names = Vec::new();
        let (Some(_), Some(private)) = (&self.sink, self.private.get()) else {
            return names;
        };
        for Committed { change, .. } in changes {
            match &change.subject {
                Subject::Object(id) if id.class().as_str() == fb_types::schema::USER => {
                    if private.report_write(user(id.key().as_str()), now).is_some() {
                        names.push(tags::user(&self.app, id.key()));
                    }
                }
                Subject::Object(id) if change.kind != ChangeKind::Insert => {
                    let key = element::of_object(id.class().as_str(), id.key());
                    if private.report_write(key, now).is_some() {
                        names.push(tags::private(tags::object(&self.app, id.class().as_str(), id.key())));
                    }
                }
                Subject::File(id) if change.kind != ChangeKind::Insert => {
                    if private.report_write(element::of_file(id), now).is_some() {
                        names.push(tags::private(tags::file(&self.app, id)));
                    }
                }
                Subject::Bucket(name) => names.push(tags::private(tags::bucket(&self.app, name.as_str()))),
                Subject::Object(_) | Subject::File(_) => {}
            }
        }
        names
    }

    /// Adds the name of something of which caches may have answers for everybody.
    pub(super) fn add(&self, names: &mut Vec<String>, subject: &Subject) {
        if self.sink.is_none() {
            return;
        }
        names.push(match subject {
            Subject::Object(id) => tags::object(&self.app, id.class().as_str(), id.key()),
            Subject::File(id) => tags::file(&self.app, id),
            Subject::Bucket(name) => tags::bucket(&self.app, name.as_str()),
        });
    }

    /// A result that caches may have is not as it was.
    pub(super) fn query(&self, key: KeyHash) {
        if self.sink.is_some() {
            self.send(vec![tags::query(&self.app, key.to_bits())]);
        }
    }

    /// The name of an answer of a module that caches may have, to be given to [`Self::send`].
    pub(super) fn answer(&self, key: KeyHash) -> Option<String> {
        self.sink.is_some().then(|| tags::answer(&self.app, key.to_bits()))
    }

    /// No answer of a module is known to be as it was.
    pub(super) fn code(&self) {
        if self.sink.is_some() {
            self.send(vec![tags::code(&self.app)]);
        }
    }

    pub(super) fn send(&self, names: Vec<String>) {
        if let Some(sink) = &self.sink
            && !names.is_empty()
        {
            sink.purge(names);
        }
    }

    /// Objects of these classes may be other ones, or for others.
    pub(super) fn classes<'c>(&self, classes: impl Iterator<Item = &'c str>) {
        if self.sink.is_some() {
            let names = classes.map(|class| tags::class(&self.app, class));
            self.send(names.flat_map(|name| [tags::private(name.clone()), name]).collect());
        }
    }

    /// Nothing of the app is known to be as it was.
    pub(crate) fn app(&self) {
        self.send(vec![tags::app(&self.app), tags::private(tags::app(&self.app))]);
    }

    /// Who is who is to be found out anew.
    pub(crate) fn rights(&self) {
        // With the one in `promise`: either whoever promises sees the new rights, or this sees the promise.
        fence(Ordering::SeqCst);
        if self.private.get().is_some() {
            self.send(vec![tags::rights(&self.app)]);
        }
    }

    /// The books of private answers end, and so do these.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.private.get().is_some() {
            self.send(vec![tags::private(tags::app(&self.app))]);
        }
    }

    /// Enters that an edge is about to get something that is not for everybody, to be said before it is read for good. `None` if it must
    /// not be kept, else for how long it may be.
    pub(super) fn promise(&self, key: KeyHash, now: Moment, seed: u64) -> Option<Duration> {
        self.sink.as_ref()?;
        let private = self.private.get_or_init(|| {
            let settings = SketchSettings {
                longest: LONGEST_PRIVATE,
                max_keys: MAX_PRIVATE,
                n_shards: 16,
                seed,
                ..SketchSettings::default()
            };
            Sketch::new(settings, now, 1, Past::Blank)
        });
        let until = private.report_read(key, Kind::Object, now, LONGEST_PRIVATE);
        fence(Ordering::SeqCst);
        // Behind the entry: what is entered earlier is purged by `stop`.
        let is_good = !self.is_stopped.load(Ordering::SeqCst);
        Some(until.since(now)).filter(|left| is_good && *left >= Duration::from_secs(1))
    }

    /// Drops what has ended. Called about once a second.
    pub(super) fn tick(&self, now: Moment) {
        if let Some(private) = self.private.get() {
            private.tick(now);
        }
    }
}

/// A user's sessions, in the books of private answers.
pub(super) fn user(key: &str) -> KeyHash {
    KeyHash::of(&format!("user/{key}"))
}
