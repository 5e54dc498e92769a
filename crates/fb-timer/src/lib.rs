//! Timeouts of a server's connections that cost next to nothing while they are not reached.
//!
//! Knows nothing of requests and answers; it is the clock that hyper asks, one for each connection.
//!
//! hyper begins a new timeout with each request and gives it up as soon as the request is there. With tokio's own timers each of
//! them is entered into the runtime's wheel and taken out again, under locks that all threads share. Here one of tokio's timers stays
//! entered for the whole connection, and later timeouts only look at it: it goes off once per timeout, sees that the time has moved on, and
//! is set anew.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use hyper::rt::{Sleep, Timer};

/// The timer of one connection, for one task: whoever polled one of its timeouts last is woken.
///
/// Timeouts end when they should, never earlier, and at most a millisecond or so later, like tokio's.
#[derive(Debug, Clone, Default)]
pub struct ConnectionTimer(Arc<Mutex<Alarm>>);

impl ConnectionTimer {
    /// Timeouts that are waited for begin anew; `now` as [`Timer::now`] has it.
    pub fn begin_anew(&self, now: Instant) {
        self.alarm().last_begin = Some(now.into());
    }

    /// Held for a look; nobody else wants it but this connection.
    fn alarm(&self) -> MutexGuard<'_, Alarm> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The one timer that is entered.
#[derive(Debug, Default)]
struct Alarm {
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
    /// When all timeouts began anew.
    last_begin: Option<tokio::time::Instant>,
}

impl Alarm {
    /// Has the task woken when a timeout from `begin` to `deadline` ends, or earlier. Ready if it is over.
    fn poll(&mut self, cx: &mut Context<'_>, begin: tokio::time::Instant, deadline: tokio::time::Instant) -> Poll<()> {
        let anew = self.last_begin.filter(|last| *last > begin);
        let deadline = anew.map_or(deadline, |last| last + (deadline - begin));
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            // One that went off for an earlier timeout says nothing about this one.
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// A timeout.
struct Timeout {
    timer: ConnectionTimer,
    begin: tokio::time::Instant,
    deadline: tokio::time::Instant,
}

impl Future for Timeout {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.timer.alarm().poll(cx, self.begin, self.deadline)
    }
}

impl Sleep for Timeout {}

impl Timer for ConnectionTimer {
    fn sleep(&self, duration: std::time::Duration) -> Pin<Box<dyn Sleep>> {
        self.sleep_until(self.now() + duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Timeout {
            timer: self.clone(),
            begin: tokio::time::Instant::now(),
            deadline: deadline.into(),
        })
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;
    use std::time::Duration;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A timeout, polled as hyper does: beside other work, which is done when it is over.
    async fn ends_after(timer: &ConnectionTimer, seconds: u64) -> Duration {
        let begun = timer.now();
        timer.sleep(SECOND * u32::try_from(seconds).unwrap()).await;
        timer.now() - begun
    }

    fn is_over(timeout: &mut Pin<Box<dyn Sleep>>) -> bool {
        timeout
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_ends_in_time_also_if_others_began_and_were_given_up_before_it() {
        let timer = ConnectionTimer::default();
        for _ in 0..10 {
            let mut given_up = timer.sleep(15 * SECOND);
            assert!(!is_over(&mut given_up));
            tokio::time::advance(SECOND).await;
        }
        let took = ends_after(&timer, 15).await;
        assert!(
            (15 * SECOND..15 * SECOND + Duration::from_millis(2)).contains(&took),
            "{took:?}"
        );
        // The alarm has gone off; the next timeout does not end for that.
        let took = ends_after(&timer, 20).await;
        assert!(
            (20 * SECOND..20 * SECOND + Duration::from_millis(2)).contains(&took),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_earlier_timeout_does_not_wait_for_a_later_one() {
        let timer = ConnectionTimer::default();
        let mut late = timer.sleep(60 * SECOND);
        assert!(!is_over(&mut late));
        let took = ends_after(&timer, 1).await;
        assert!(took < 2 * SECOND, "{took:?}");
        assert!(!is_over(&mut late));
        tokio::time::advance(60 * SECOND).await;
        assert!(is_over(&mut late));
        // Also one that was over before anybody looked.
        let mut past = timer.sleep(Duration::ZERO);
        assert!(is_over(&mut past));
    }

    /// While timeouts are given up, nothing is entered into the runtime's wheel but the one alarm.
    #[tokio::test(start_paused = true)]
    async fn timeouts_that_are_given_up_leave_the_alarm_alone() {
        let timer = ConnectionTimer::default();
        let mut first = timer.sleep(15 * SECOND);
        assert!(!is_over(&mut first));
        let alarm = || timer.alarm().sleep.as_ref().map(|alarm| alarm.deadline());
        let entered = alarm();
        drop(first);
        for _ in 0..5 {
            tokio::time::advance(SECOND).await;
            assert!(!is_over(&mut timer.sleep(15 * SECOND)));
        }
        assert_eq!(alarm(), entered);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timeout_that_begins_anew_lasts_as_long_as_it_would() {
        let timer = ConnectionTimer::default();
        let mut timeout = timer.sleep(15 * SECOND);
        assert!(!is_over(&mut timeout));
        tokio::time::advance(10 * SECOND).await;
        timer.begin_anew(timer.now());
        tokio::time::advance(14 * SECOND).await;
        assert!(!is_over(&mut timeout));
        tokio::time::advance(SECOND + Duration::from_millis(1)).await;
        assert!(is_over(&mut timeout));
        // Those of later are nobody's concern.
        let took = ends_after(&timer, 1).await;
        assert!(took < 2 * SECOND, "{took:?}");
    }
}
