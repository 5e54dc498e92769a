//! Delivery of push messages in the background: queued in memory, by turns for the apps, tried again where that may help.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fb_auth::AttemptLimit;
use fb_push::{Message, Push, PushError, Subscription};
use fb_types::schema::DEVICE;
use fb_types::{AppId, ObjectKey};
use serde_json::json;
use tokio::sync::Notify;

use super::queue::{Bounds, Queue};
use super::{Platform, Registration};
use crate::app_log::Level;
use crate::{App, AppError};

const BOUNDS: Bounds = Bounds {
    held_per_app: 20_000,
    held: 100_000,
    running_per_app: 8,
    running: 32,
};

/// Pauses before a message is tried again, unless the service names another one.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(2),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(1800),
];

/// How long what is ready to be sent may take when the server stops.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// Failures of one app that go into its log, at most; a provider that is down would fill it.
const LOGGED: AttemptLimit = AttemptLimit {
    attempts: 60,
    seconds: 60,
};

/// What became of the messages of one app.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PushCounts {
    /// Taken by the push service.
    pub delivered: u64,
    /// The device was not registered any more, and removed.
    pub gone: u64,
    /// Given up.
    pub failed: u64,
    /// Attempts that will be made again.
    pub retried: u64,
    /// Messages that wait, rest between attempts, or are being sent.
    pub waiting: u64,
}

struct Job {
    app: Arc<App>,
    device: ObjectKey,
    message: Arc<Message>,
    /// Attempts that failed.
    failed: usize,
}

/// Push messages of all apps on their way.
pub(crate) struct Deliveries {
    push: Push,
    /// Std: held for moments.
    state: Mutex<State>,
    /// Told when jobs end.
    ended: Notify,
}

struct State {
    queue: Queue<Job>,
    counts: BTreeMap<AppId, PushCounts>,
    is_closing: bool,
}

/// What is done about a job after an attempt.
enum Next {
    /// Nothing.
    Done,
    /// Another attempt after a pause.
    Again(Job, Duration),
}

impl Deliveries {
    pub(crate) fn new(push: Push) -> Arc<Self> {
        Arc::new(Self {
            push,
            state: Mutex::new(State {
                queue: Queue::new(BOUNDS),
                counts: BTreeMap::new(),
                is_closing: false,
            }),
            ended: Notify::new(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn add(
        self: &Arc<Self>,
        app: &Arc<App>,
        devices: Vec<ObjectKey>,
        message: Message,
    ) -> Result<(), AppError> {
        let message = Arc::new(message);
        let jobs = devices.into_iter().map(|device| Job {
            app: app.clone(),
            device,
            message: message.clone(),
            failed: 0,
        });
        let jobs = jobs.collect();
        {
            let mut state = self.state();
            let is_closing = state.is_closing;
            if is_closing || state.queue.add(app.id(), jobs).is_err() {
                return Err(AppError::Busy { retry_after: 10 });
            }
        }
        self.start();
        Ok(())
    }

    /// Starts what may run. Each job is a task of its own, as many as the queue lets run.
    fn start(self: &Arc<Self>) {
        loop {
            let next = self.state().queue.next();
            let Some((app, job)) = next else { return };
            let place = Place {
                deliveries: self.clone(),
                app,
                has: Has::Running,
            };
            tokio::spawn(place.run(job));
        }
    }

    pub(crate) fn counts(&self) -> Vec<(AppId, PushCounts)> {
        let state = self.state();
        let counted = state.counts.iter().map(|(app, counts)| {
            let waiting = state.queue.held_of(app) as u64;
            (app.clone(), PushCounts { waiting, ..*counts })
        });
        counted.collect()
    }

    fn count(&self, app: &AppId, count: impl FnOnce(&mut PushCounts)) {
        count(self.state().counts.entry(app.clone()).or_default());
    }

    /// An app was deleted.
    pub(crate) fn forget(&self, app: &AppId) {
        let mut state = self.state();
        state.queue.clear(app);
        state.counts.remove(app);
    }

    /// Takes nothing any more, and waits a little for what is ready. The rest is lost, as is what rests between attempts.
    pub(crate) async fn close(&self) {
        self.state().is_closing = true;
        let idle = async {
            loop {
                let mut ended = std::pin::pin!(self.ended.notified());
                // From here on it hears of ends, also before it waits.
                ended.as_mut().enable();
                if !self.state().queue.is_busy() {
                    return;
                }
                ended.await;
            }
        };
        let _ = tokio::time::timeout(CLOSING_TIME, idle).await;
        let lost = self.state().queue.held();
        if lost > 0 {
            tracing::warn!(
                lost,
                "{lost} push messages were not delivered before the server stopped"
            );
        }
    }

    async fn attempt(&self, mut job: Job) -> Next {
        let app = job.app.clone();
        let Err((error, platform)) = self.deliver(&job).await else {
            return Next::Done;
        };
        let data = json!({
            "device": format!("/db/{DEVICE}/{}", job.device),
            "deviceOs": platform.map(Platform::as_str),
            "attempts": job.failed + 1,
        });
        let error = match error {
            Failure::Push(PushError::Later { reason, retry_after }) => {
                if let Some(pause) = PAUSES.get(job.failed) {
                    job.failed += 1;
                    self.count(app.id(), |counts| counts.retried += 1);
                    return Next::Again(job, retry_after.unwrap_or(*pause));
                }
                format!("gave up, the push service is not available: {reason}")
            }
            Failure::Push(error) => error.to_string(),
            Failure::App(error) => {
                tracing::warn!(app = %app.id(), error = %error, "a push message could not be delivered");
                "the server failed; its own log says more".to_owned()
            }
        };
        self.count(app.id(), |counts| counts.failed += 1);
        let key = format!("{} push log", app.id());
        let may_log = app.shared().attempts.begin(&key, LOGGED, app.clock().now()).is_ok();
        let message = format!("push message not delivered: {error}");
        if may_log {
            app.log_line(Level::Error, &message, data, None);
        }
        Next::Done
    }

    /// One attempt; on failure also whose service it was, as far as that is known.
    async fn deliver(&self, job: &Job) -> Result<(), (Failure, Option<Platform>)> {
        let app = &job.app;
        let found = app.registration(&job.device).await;
        let Some((stored, registration)) = found.map_err(|e| (Failure::App(e), None))? else {
            // It was deleted since somebody asked for it.
            return Ok(());
        };
        let failed = |failure| (failure, Some(registration.platform));
        match self.send(job, &registration).await {
            Ok(()) => {
                self.count(app.id(), |counts| counts.delivered += 1);
                Ok(())
            }
            Err(Failure::Push(PushError::Gone)) => {
                let removed = app.remove_device(&job.device, stored).await;
                match removed {
                    // Contended: it has registered anew meanwhile.
                    Ok(()) | Err(AppError::Contended) => {
                        self.count(app.id(), |counts| counts.gone += 1);
                        Ok(())
                    }
                    Err(error) => Err(failed(Failure::App(error))),
                }
            }
            Err(failure) => Err(failed(failure)),
        }
    }

    async fn send(&self, job: &Job, registration: &Registration) -> Result<(), Failure> {
        let (app, message) = (&job.app, &*job.message);
        match registration.platform {
            Platform::WebPush => {
                let keys = app.vapid_keys().await?.ok_or(missing("VAPIDKeys"))?;
                let subscription = Subscription::from_json(&registration.subscription);
                let subscription = subscription.map_err(|e| AppError::internal("reading a subscription", e))?;
                self.push
                    .web(&keys, &app.push_contact(), &subscription, message)
                    .await?;
            }
            Platform::Android => {
                let account = app.fcm_account().await?.ok_or(missing("GCMKey"))?;
                let account = account.map_err(|error| {
                    Failure::Push(PushError::Misconfigured {
                        reason: error.to_string(),
                    })
                })?;
                self.push.fcm(&account, registration.token(), message).await?;
            }
            Platform::Ios => {
                let key = app.apns_key().await?.ok_or(missing("APNSCert"))?;
                self.push.apns(&key, registration.token(), message).await?;
            }
        }
        Ok(())
    }
}

fn missing(key: &str) -> Failure {
    Failure::Push(PushError::Misconfigured {
        reason: format!("there is no key; an administrator sets it with POST /config/{key}"),
    })
}

enum Failure {
    Push(PushError),
    App(AppError),
}

impl From<PushError> for Failure {
    fn from(error: PushError) -> Self {
        Self::Push(error)
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Self::App(error)
    }
}

/// What a job has of the queue; given back however the job ends.
struct Place {
    deliveries: Arc<Deliveries>,
    app: AppId,
    has: Has,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Has {
    /// A place among those that run.
    Running,
    /// None of those, but it is held.
    Resting,
    /// It waits in the queue.
    Nothing,
}

impl Place {
    async fn run(mut self, job: Job) {
        let Next::Again(job, pause) = self.deliveries.attempt(job).await else {
            return;
        };
        // The place is for others during the pause.
        self.has = Has::Resting;
        self.deliveries.state().queue.rest(&self.app);
        self.deliveries.start();
        self.deliveries.ended.notify_waiters();
        tokio::time::sleep(pause).await;
        self.has = Has::Nothing;
        self.deliveries.state().queue.again(&self.app, job);
        self.deliveries.start();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.has == Has::Nothing {
            return;
        }
        {
            let mut state = self.deliveries.state();
            if self.has == Has::Running {
                state.queue.rest(&self.app);
            }
            state.queue.finish(&self.app);
        }
        // Not while the runtime is being taken down.
        if tokio::runtime::Handle::try_current().is_ok() {
            self.deliveries.start();
        }
        self.deliveries.ended.notify_waiters();
    }
}
