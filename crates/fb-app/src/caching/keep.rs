//! Reads whose answers may be kept, and the filter.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use fb_auth::{Principal, authorize_admin};
use fb_sketch::{KeyHash, Snapshot, Standing};
use fb_types::schema::predefined;
use fb_types::{FileId, ObjectKey};

use super::areas::Areas;
use super::{Caching, CachingSettings, Lifetime, element};
use crate::files::OpenFile;
use crate::objects::Seen;
use crate::{App, AppError};

impl App {
    /// The object like [`Self::load`], and how long the answer may be kept by whoever gets it; `None` unless everybody may read
    /// it.
    pub async fn load_to_keep(
        &self,
        caller: &Principal,
        bucket: &str,
        key: &ObjectKey,
    ) -> Result<(Seen, Option<Lifetime>), AppError> {
        if !is_kept(bucket) {
            return Ok((self.load(caller, bucket, key).await?, None));
        }
        let wanted = Wanted {
            areas: &self.caching().classes,
            area: bucket,
            element: element::of_object(bucket, key),
        };
        let load = || self.load(caller, bucket, key);
        self.keep(wanted, Seen::is_public, load).await
    }

    /// The file like [`Self::open_file`], and how long the answer may be kept; `None` unless everybody may read it, and if its own headers
    /// say what caches may do.
    pub async fn open_file_to_keep(
        &self,
        caller: &Principal,
        id: &FileId,
    ) -> Result<(OpenFile, Option<Lifetime>), AppError> {
        let wanted = Wanted {
            areas: &self.caching().buckets,
            area: id.bucket().as_str(),
            element: element::of_file(id),
        };
        let load = || self.open_file(caller, id);
        self.keep(wanted, may_keep, load).await
    }

    async fn keep<T, F: Future<Output = Result<T, AppError>>>(
        &self,
        wanted: Wanted<'_>,
        may_keep: impl Fn(&T) -> bool,
        load: impl Fn() -> F,
    ) -> Result<(T, Option<Lifetime>), AppError> {
        let settings = self.settings();
        if !settings.caching.enabled {
            return Ok((load().await?, None));
        }
        let begin = self.caching().begin(self.store());
        self.caching()
            .keep(&settings.caching, wanted, may_keep, begin, load)
            .await
    }

    /// Which copies are out of date, by everything that was acknowledged before this call. While results of queries are watched it waits
    /// for the matcher; if that takes half a second, it contains everything.
    ///
    /// Cost: two locks; after a change also a copy of the bits.
    pub async fn filter(&self) -> Arc<Snapshot> {
        let caching = self.caching();
        // Before: what is acknowledged meanwhile need not be in it.
        let now = caching.now();
        if caching.late.has_watches() && !self.matched().await {
            caching.books().sketch.doubt(now, now + BLIND);
        }
        caching.books().sketch.snapshot(now)
    }

    /// Makes all clients ask about all their copies, until the last one has ended. The filter cannot be emptied otherwise: the copies
    /// that it names are out there.
    pub async fn distrust_copies(&self, caller: &Principal) -> Result<(), AppError> {
        authorize_admin(caller, "flush the filter")?;
        let caching = self.caching();
        let last = caching.books().sketch.last_expiry();
        caching.doubt_until(last);
        caching.purges.app();
        self.tend_caching().await
    }
}

/// How long everything is asked about when the matcher lags behind.
const BLIND: Duration = Duration::from_secs(2);

/// What is to be kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted<'a> {
    areas: &'a Areas,
    area: &'a str,
    element: KeyHash,
}

impl Caching {
    /// What `load` gives, with a lifetime if it may be kept.
    ///
    /// It is looked at first to see whether it is for everybody, so that nobody can fill the books with, or find out about, what is not.
    /// If nothing is registered of it yet, it is entered in the books then, and looked at again if anything changed meanwhile: what
    /// changes between the books and that look is seen by the look; what changes behind it finds the copy in the books.
    ///
    /// `begin` says whether copies may be handed out at all by now.
    async fn keep<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        settings: &CachingSettings,
        wanted: Wanted<'_>,
        may_keep: impl Fn(&T) -> bool,
        begin: impl Future<Output = bool>,
        load: impl Fn() -> F,
    ) -> Result<(T, Option<Lifetime>), E> {
        let Wanted { areas, area, element } = wanted;
        let stillness = self.stillness();
        let standing = self.standing(element);
        let loaded = load().await?;
        if !may_keep(&loaded) {
            return Ok((loaded, None));
        }
        let others = match standing {
            Standing::Until(until) => {
                let lifetime = areas.look(area, |area| self.lifetime(area, until, settings));
                return Ok((loaded, lifetime.flatten()));
            }
            Standing::Ask(others) => others,
        };
        if !begin.await {
            return Ok((loaded, None));
        }
        let area = areas.get_or_insert(area);
        let until = self.promise(&area, element, settings, others);
        let loaded = match self.is_still(stillness) {
            true => loaded,
            false => load().await?,
        };
        let lifetime = match may_keep(&loaded) {
            true => self.lifetime(&area, until, settings),
            false => None,
        };
        Ok((loaded, lifetime))
    }
}

fn may_keep(file: &OpenFile) -> bool {
    file.is_public() && !says_itself(file)
}

/// Whether a file's own headers say what caches may do.
pub(super) fn says_itself(file: &OpenFile) -> bool {
    let is_for_caches = |name: &str| name == "cache-control" || name == "expires" || name == "pragma";
    let mut names = file.entry().headers.keys();
    names.any(|name| is_for_caches(name) || fb_files::headers::is_for_shared_caches(name))
}

/// The server's own classes (users, roles, devices, logs) are nobody's to keep.
pub(super) fn is_kept(bucket: &str) -> bool {
    static OWN: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let references = predefined().into_iter().map(|def| def.class);
        references
            .filter_map(|reference| Some(reference.strip_prefix("/db/")?.to_owned()))
            .collect()
    });
    !bucket.starts_with("logs.") && !OWN.contains(bucket)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;
    use std::future::ready;

    use fb_store::Committed;
    use fb_types::{AppId, Change, ChangeKind, Clock, ObjectId, Seq, Subject, Timestamp, Version};

    use super::super::{LatePurges, Purges};
    use super::*;

    /// Time stands still.
    struct Still;

    impl Clock for Still {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_000_000)
        }

        fn steady_micros(&self) -> u64 {
            1_000_000_000
        }
    }

    /// One object, which everybody may read while it is positive.
    struct World {
        caching: Caching,
        value: Cell<i32>,
        settings: CachingSettings,
    }

    impl World {
        fn new() -> Self {
            let app = AppId::new("main").unwrap();
            let purges = Purges::new(app.clone(), None);
            let feed = Arc::new(crate::live::Feed::new(Arc::new(Still)));
            let late = Arc::new(LatePurges::new(app, None, feed));
            Self {
                caching: Caching::new(Arc::new(Still), Timestamp::from_millis(0), purges, late),
                value: Cell::new(1),
                settings: CachingSettings::default(),
            }
        }

        fn write(&self, value: i32) {
            self.caching.changing();
            self.value.set(value);
            let id: ObjectId = "/db/Todo/a".parse().unwrap();
            let change = Change {
                seq: Seq(1),
                subject: Subject::Object(id),
                version: Version(2),
                kind: ChangeKind::Update,
                stamp: 0,
                origin: 0,
                at: Timestamp::from_millis(0),
                body: None,
            };
            self.caching.committed(&[Committed { change, after: None }]);
            self.caching.changed();
        }

        fn is_listed(&self) -> bool {
            let books = self.caching.books();
            let filter = books.sketch.snapshot(self.caching.now());
            filter.filter().contains(KeyHash::of("/db/Todo/a"))
        }

        /// Reads it; the numbers are written behind each look, before its result is used.
        async fn read(&self, writes: &[i32]) -> (i32, Option<Lifetime>, usize) {
            let n_looks = Cell::new(0);
            let load = || async {
                let value = self.value.get();
                if let Some(&next) = writes.get(n_looks.replace(n_looks.get() + 1)) {
                    self.write(next);
                }
                Ok::<i32, Infallible>(value)
            };
            let wanted = Wanted {
                areas: &self.caching.classes,
                area: "Todo",
                element: KeyHash::of("/db/Todo/a"),
            };
            let kept = self
                .caching
                .keep(&self.settings, wanted, |&value| value > 0, ready(true), load);
            let (value, lifetime) = kept.await.unwrap();
            (value, lifetime, n_looks.get())
        }
    }

    #[tokio::test]
    async fn one_look_is_enough_if_nothing_changes() {
        let world = World::new();
        for _ in 0..3 {
            let (value, lifetime, n_looks) = world.read(&[]).await;
            assert!(value == 1 && lifetime.is_some() && n_looks == 1);
        }
        assert!(!world.is_listed());
    }

    #[tokio::test]
    async fn a_change_between_look_and_books_is_looked_at() {
        let world = World::new();
        let (value, lifetime, n_looks) = world.read(&[2]).await;
        assert!(value == 2 && lifetime.is_some() && n_looks == 2);
    }

    #[tokio::test]
    async fn a_change_behind_the_books_finds_the_copy() {
        let world = World::new();
        let (value, lifetime, n_looks) = world.read(&[2, 3]).await;
        assert!(value == 2 && lifetime.is_some() && n_looks == 2);
        assert!(world.is_listed(), "the copy is out of date");

        // Likewise behind what is registered already.
        let world = World::new();
        world.read(&[]).await;
        let (value, lifetime, n_looks) = world.read(&[2]).await;
        assert!(value == 1 && lifetime.is_some() && n_looks == 1);
        assert!(world.is_listed());
    }

    #[tokio::test]
    async fn what_ceases_to_be_public_meanwhile_gets_no_lifetime() {
        let world = World::new();
        assert_eq!(world.read(&[-1]).await, (-1, None, 2));
    }

    #[tokio::test]
    async fn what_is_registered_while_it_is_looked_at_is_no_lifetime_for_that_look() {
        let world = World::new();
        let n_looks = Cell::new(0);
        let load = || async {
            let value = world.value.get();
            if n_looks.replace(n_looks.get() + 1) == 0 {
                // Somebody else's write, and then somebody else's copy of the new state.
                world.write(2);
                assert!(world.read(&[]).await.1.is_some());
            }
            Ok::<i32, Infallible>(value)
        };
        let wanted = Wanted {
            areas: &world.caching.classes,
            area: "Todo",
            element: KeyHash::of("/db/Todo/a"),
        };
        let kept = world.caching.keep(&world.settings, wanted, |_| true, ready(true), load);
        assert_eq!(kept.await.unwrap().0, 2);
    }

    #[tokio::test]
    async fn while_something_is_changing_there_is_a_second_look() {
        let world = World::new();
        world.caching.changing();
        assert_eq!(world.read(&[]).await.2, 2);
        world.caching.changed();
        world.write(2);
        assert_eq!(world.read(&[]).await.2, 1);
    }
}
