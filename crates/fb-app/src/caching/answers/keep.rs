//! Calls of modules whose answers may be kept.

use std::sync::Arc;

use fb_auth::Principal;
use fb_functions::HttpResponse;
use fb_sketch::{KeyHash, Moment};

use super::super::{Lifetime, keep::is_kept};
use super::{Entered, Named};
use crate::functions::{ModuleCall, Read, Reads};
use crate::{App, AppError, QueryRequest, Settings};

/// An answer of a module that said that it may be kept.
#[derive(Debug, Clone)]
pub struct KeptAnswer {
    /// How long.
    pub lifetime: Option<Lifetime>,
    /// What [`tags::answer`](super::super::tags::answer) makes a name of, if it has a lifetime.
    pub number: u64,
    /// Whether edges of this server may keep it until then, because they know of its purge in time.
    pub is_purged: bool,
}

impl App {
    /// Answers a GET request with a module, like [`Self::call_module`], and says how long that may be kept by whoever gets it under this
    /// URL, which begins with `/code/`; `None` if the module did not say that the answer is for everybody, or it cannot be.
    pub async fn call_module_to_keep(
        self: &Arc<Self>,
        caller: &Principal,
        call: ModuleCall<'_>,
        url: &str,
    ) -> Result<(HttpResponse, Option<KeptAnswer>), AppError> {
        let settings = self.settings();
        let caching = self.caching();
        let named = Named {
            module: call.name,
            element: KeyHash::of(url),
        };
        let stillness = caching.stillness();
        let before = match settings.caching.enabled && caching.knows_answer(named.element) {
            true => self.enter_answer(named, None, &settings).await,
            false => None,
        };
        let reads = Arc::new(Reads::default());
        let answer = self.call_module_and_note(caller, call, Some(reads.clone())).await?;
        let Some(read) = reads.all().filter(|_| may_keep(&answer)) else {
            return Ok((answer, None));
        };
        let mut kept = KeptAnswer {
            lifetime: None,
            number: named.element.to_bits(),
            is_purged: false,
        };
        if !settings.caching.enabled || !read.iter().all(|read| is_kept(read.bucket())) {
            return Ok((answer, Some(kept)));
        }
        let is_new = before.as_ref().is_some_and(|before| !before.covers(&read));
        let entered = match before.filter(|before| before.covers(&read)) {
            Some(before) => Some(before),
            // Entered behind the call: as good as before it if nothing changed meanwhile.
            None => {
                let entered = self.enter_answer(named, Some(&read), &settings).await;
                entered.filter(|_| caching.is_still(stillness))
            }
        };
        let is_good = caching.answer_made(named, entered.as_ref(), is_new);
        let entered = entered.filter(|_| is_good);
        kept.is_purged = entered.as_ref().is_some_and(|entered| entered.is_purged);
        kept.lifetime = entered.and_then(|entered| caching.lifetime(&entered.area, entered.until, &settings.caching));
        Ok((answer, Some(kept)))
    }

    /// Enters a copy that is about to be made. `None` if it must not be kept.
    async fn enter_answer(
        self: &Arc<Self>,
        named: Named<'_>,
        reads: Option<&[Read]>,
        settings: &Settings,
    ) -> Option<Entered> {
        let caching = self.caching();
        if !caching.begin(self.store()).await {
            return None;
        }
        let mut entered = caching.enter_answer(named, reads, &settings.caching)?;
        let all = entered.reads.clone();
        for read in all.values() {
            let until = match read {
                Read::Object(..) => continue,
                Read::Query(bucket, query) => self.watch_for_answer(named.element, bucket, query, false).await,
                Read::Count(bucket, filter) => {
                    let query = QueryRequest::all_that_pass(filter.clone());
                    self.watch_for_answer(named.element, bucket, &query, true).await
                }
            };
            entered.until = entered.until.min(until?);
        }
        Some(entered)
    }

    /// Has a query watched that an answer is made of. `None` if it cannot be, else until when a copy may live.
    async fn watch_for_answer(
        self: &Arc<Self>,
        element: KeyHash,
        bucket: &str,
        query: &QueryRequest,
        is_counted: bool,
    ) -> Option<Moment> {
        match self.try_to_watch_for_answer(element, bucket, query, is_counted).await {
            Ok(until) => until,
            Err(error) => {
                tracing::debug!(app = %self.id(), error = %error, "an answer of code gets no lifetime");
                None
            }
        }
    }
}

/// Whether an answer is one that all may have, by what it says of itself.
fn may_keep(answer: &HttpResponse) -> bool {
    let is_for_caches_or_one = |name: &str| {
        let name = name.to_ascii_lowercase();
        matches!(
            name.as_str(),
            "cache-control" | "expires" | "pragma" | "vary" | "age" | "set-cookie" | "set-cookie2" | "www-authenticate"
        ) || fb_files::headers::is_for_shared_caches(&name)
    };
    answer.status == 200 && !answer.headers.iter().any(|(name, _)| is_for_caches_or_one(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_say_otherwise_are_not_kept() {
        let answer = |status, name: &str| HttpResponse {
            status,
            headers: vec![(name.to_owned(), "x".to_owned())],
            body: bytes::Bytes::new(),
        };
        assert!(may_keep(&answer(200, "content-type")));
        assert!(!may_keep(&answer(203, "content-type")) && !may_keep(&answer(404, "content-type")));
        for name in [
            "Cache-Control",
            "Set-Cookie",
            "vary",
            "Expires",
            "Surrogate-Control",
            "CDN-Cache-Control",
        ] {
            assert!(!may_keep(&answer(200, name)), "{name}");
        }
    }
}
