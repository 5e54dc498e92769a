//! What the kernel tells about a process: CPU time used and memory resident.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};
use rustix::{
    param::clock_ticks_per_second,
    time::{ClockId, clock_gettime},
};

/// CPU time (user and system) that process `pid` has used so far, all threads, also ended ones.
///
/// Unit: the kernel reports clock ticks, usually 10 ms; take differences over seconds only.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    let ticks = cpu_ticks(&stat).with_context(|| format!("understanding {path}"))?;
    Ok(Duration::from_secs_f64(ticks as f64 / clock_ticks_per_second() as f64))
}

/// Bytes of memory that process `pid` holds resident (`VmRSS`).
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
    resident_kib(&status)
        .map(|kib| kib * 1024)
        .with_context(|| format!("no VmRSS in {path}"))
}

/// CPU time of the calling thread.
pub(crate) fn own_thread_cpu_time() -> Duration {
    own_clock(ClockId::ThreadCPUTime)
}

/// CPU time of this process, all threads.
pub(crate) fn own_process_cpu_time() -> Duration {
    own_clock(ClockId::ProcessCPUTime)
}

fn own_clock(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(
        u64::try_from(time.tv_sec).expect("CPU time is not negative"),
        u32::try_from(time.tv_nsec).expect("nanoseconds fit in 32 bits"),
    )
}

/// utime + stime, the fields 14 and 15. The name in field 2 may hold blanks and parentheses, so
/// counting starts after its closing one.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn resident_kib(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_an_odd_process_name() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 100 0 0 0 31 11 0 0 20 0 5 0 99 0 0";
        assert_eq!(cpu_ticks(stat), Some(42));
    }

    #[test]
    fn resident_memory_is_read_from_status() {
        assert_eq!(resident_kib("Name:\tx\nVmRSS:\t   5120 kB\nThreads:\t3\n"), Some(5120));
    }

    #[test]
    fn own_process_is_readable() {
        assert!(cpu_time(std::process::id()).is_ok());
        assert!(resident_bytes(std::process::id()).unwrap() > 0);
    }
}
