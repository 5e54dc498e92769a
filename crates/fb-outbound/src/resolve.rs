//! Looking up names.

use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::Semaphore;

/// The addresses of a name, to come.
pub type Resolving<'a> = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>>;

/// Looks up names. The answer is checked by the caller, so that an implementation may return anything.
pub trait Resolve: Send + Sync + 'static {
    /// All addresses of `host`, in the order in which they should be tried.
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a>;
}

/// Lookups under way at once. One that hangs occupies a thread of the runtime's blocking pool until the system gives up,
/// however early its request ended, and that pool serves others as well.
const MAX_LOOKUPS: usize = 32;

/// Lookups under way at once for one of many who share a client.
const MAX_LOOKUPS_OF_ONE: usize = 4;

/// The system's resolver, `/etc/hosts` included. It looks up 32 names at once; further ones wait.
#[derive(Debug, Clone)]
pub struct SystemResolver {
    lookups: Arc<Semaphore>,
}

impl Default for SystemResolver {
    fn default() -> Self {
        Self {
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS)),
        }
    }
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let permit = Arc::clone(&self.lookups).acquire_owned().await;
            let permit = permit.map_err(io::Error::other)?;
            let host = host.to_owned();
            let lookup = move || {
                // Given back when the system is done, not when the caller stops waiting.
                let _permit = permit;
                // The port is not looked up, but the interface wants one.
                let addresses = (host.as_str(), 0).to_socket_addrs()?;
                io::Result::Ok(addresses.map(|address| address.ip()).collect())
            };
            tokio::task::spawn_blocking(lookup).await.map_err(io::Error::other)?
        })
    }
}

/// A part of another resolver, so that whoever looks up names that hang cannot take all of it.
pub(crate) struct Share {
    whole: Arc<dyn Resolve>,
    lookups: Arc<Semaphore>,
}

impl Share {
    pub(crate) fn of(whole: Arc<dyn Resolve>) -> Self {
        Self {
            whole,
            lookups: Arc::new(Semaphore::new(MAX_LOOKUPS_OF_ONE)),
        }
    }
}

impl Resolve for Share {
    fn resolve<'a>(&'a self, host: &'a str) -> Resolving<'a> {
        Box::pin(async move {
            let permit = Arc::clone(&self.lookups).acquire_owned().await;
            let permit = permit.map_err(io::Error::other)?;
            let (whole, host) = (Arc::clone(&self.whole), host.to_owned());
            // A task of its own: a lookup that nobody waits for any more still counts until it is done.
            let lookup = tokio::spawn(async move {
                let _permit = permit;
                whole.resolve(&host).await
            });
            lookup.await.map_err(io::Error::other)?
        })
    }
}
