//! Waiting at low cost: a socket's task is woken for every message it sends, and each time everything it waits for is asked again.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::Stream;
use futures_util::task::AtomicWaker;

/// Asks a stream for its next item only if it has said that it is worth while: WebSockets that read find room for that first.
pub(super) struct Gate {
    bell: Arc<Bell>,
    waker: Waker,
}

struct Bell {
    has_rung: AtomicBool,
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl Gate {
    pub(super) fn new() -> Self {
        let bell = Arc::new(Bell {
            has_rung: AtomicBool::new(true),
            task: AtomicWaker::new(),
        });
        Self {
            waker: bell.clone().into(),
            bell,
        }
    }

    /// The next item. Always of the same stream, and cancellable.
    pub(super) async fn next<S: Stream + Unpin>(&self, stream: &mut S) -> Option<S::Item> {
        std::future::poll_fn(|cx| {
            self.bell.task.register(cx.waker());
            if !self.bell.has_rung.swap(false, Ordering::AcqRel) {
                return Poll::Pending;
            }
            let item = Pin::new(&mut *stream).poll_next(&mut Context::from_waker(&self.waker));
            if item.is_ready() {
                // There may be more.
                self.bell.has_rung.store(true, Ordering::Release);
            }
            item
        })
        .await
    }
}

/// Why something did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CutOff {
    /// It took too long.
    TooLong,
    /// What it must not outlive has come.
    Stopped,
}

/// Does something within a time, unless something else comes first. Costs nothing if it is done at once.
pub(super) async fn within<T>(
    time: Duration,
    stop: Pin<&mut (impl Future<Output = ()> + ?Sized)>,
    work: impl Future<Output = T>,
) -> Result<T, CutOff> {
    let mut work = pin!(work);
    let at_once = std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
    if let Poll::Ready(done) = at_once {
        return Ok(done);
    }
    tokio::select! {
        biased;
        done = tokio::time::timeout(time, work) => done.map_err(|_| CutOff::TooLong),
        () = stop => Err(CutOff::Stopped),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::stream::poll_fn;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_stream_is_asked_when_it_has_something_to_say() {
        let (to, mut from) = mpsc::unbounded_channel();
        let mut asked = 0;
        let gate = Gate::new();
        {
            let mut stream = poll_fn(|cx| {
                asked += 1;
                from.poll_recv(cx)
            });
            for _ in 0..10 {
                assert!(gate.next(&mut stream).now_or_never().is_none());
            }
            to.send(1).unwrap();
            to.send(2).unwrap();
            assert_eq!(gate.next(&mut stream).await, Some(1));
            assert_eq!(gate.next(&mut stream).await, Some(2));
            assert!(gate.next(&mut stream).now_or_never().is_none());
            let waiting = tokio::spawn(async move {
                tokio::task::yield_now().await;
                to.send(3).unwrap();
            });
            assert_eq!(gate.next(&mut stream).await, Some(3));
            waiting.await.unwrap();
            assert_eq!(gate.next(&mut stream).await, None);
        }
        assert!(asked <= 7, "{asked}");
    }

    #[tokio::test]
    async fn work_is_cut_off_by_time_or_by_what_comes_first() {
        let never = || std::future::pending::<()>();
        let long = Duration::from_secs(3600);
        assert_eq!(within(long, pin!(async {}), async { 7 }).await, Ok(7));
        assert_eq!(within(long, pin!(async {}), never()).await, Err(CutOff::Stopped));
        assert_eq!(
            within(Duration::ZERO, pin!(never()), never()).await,
            Err(CutOff::TooLong)
        );
        let later = async {
            tokio::task::yield_now().await;
            8
        };
        assert_eq!(within(long, pin!(never()), later).await, Ok(8));
    }
}
