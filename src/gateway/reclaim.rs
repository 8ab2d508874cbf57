//! Gives memory back to the system behind a peak of connections.
//!
//! What is free again lies between what is in use, and glibc keeps it for good: a lesson's start would cost its memory until
//! the next restart. `malloc_trim` gives such pages back; it holds up whoever allocates meanwhile, for some milliseconds,
//! and so waits until a good part of the clients has gone.

use std::{fs, time::Duration};

use tokio::{task::spawn_blocking, time::sleep};
use tracing::debug;

use crate::places::Places;

/// The time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// Less growth than this since the last time is not worth the work.
const WORTH_KIB: u64 = 16 * 1024;

/// Looks for as long as the gateway runs.
pub(super) async fn behind_peaks(places: Places) {
    let mut peak = Peak {
        most: 0,
        least_kib: resident_kib(),
    };
    loop {
        sleep(LOOK_EVERY).await;
        let Some(resident) = resident_kib() else { return };
        let open = places.taken();
        if !peak.is_over(open, resident) {
            continue;
        }
        spawn_blocking(give_back).await.ok();
        let left = resident_kib().unwrap_or(resident);
        debug!(before_kib = resident, after_kib = left, "Gave memory back");
        peak = Peak {
            most: open,
            least_kib: Some(left),
        };
    }
}

/// What was seen since memory was given back the last time.
#[derive(Default)]
struct Peak {
    /// The most connections.
    most: usize,
    least_kib: Option<u64>,
}

impl Peak {
    /// Has a quarter of the clients gone, and has memory grown?
    fn is_over(&mut self, open: usize, resident_kib: u64) -> bool {
        self.most = self.most.max(open);
        let least = self
            .least_kib
            .map_or(resident_kib, |least| least.min(resident_kib));
        self.least_kib = Some(least);
        open <= self.most / 4 * 3 && resident_kib >= least + WORTH_KIB
    }
}

/// proc(5), statm: the second number is resident pages.
fn resident_kib() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64 / 1024)
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "no library offers this call as a safe one")]
fn give_back() {
    // SAFETY: the call takes a number and no pointer, malloc_trim(3) says that it is safe among threads, and it moves or frees
    // nothing that is in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// musl keeps little, and has no such call.
#[cfg(not(target_env = "gnu"))]
fn give_back() {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peak_is_over_when_clients_have_gone_and_memory_has_grown() {
        let mut peak = Peak::default();
        for (open, mib, over) in [
            (0, 20, false),
            (400, 60, false),
            // They are still there.
            (350, 60, false),
            (300, 60, true),
            (10, 60, true),
            // The allocator gave back enough by itself.
            (10, 35, false),
        ] {
            assert_eq!(peak.is_over(open, mib * 1024), over, "{open} {mib}");
        }
        let mut peak = Peak {
            most: 10,
            least_kib: Some(22 * 1024),
        };
        assert!(!peak.is_over(10, 60 * 1024), "nobody has gone");
    }

    #[cfg(target_env = "gnu")]
    #[test]
    fn what_is_free_between_what_is_in_use_goes_back() {
        let mut blocks: Vec<Option<Vec<u8>>> = (0..64 * 1024).map(|_| Some(vec![1; 4096 - 64])).collect();
        for (nth, block) in blocks.iter_mut().enumerate() {
            if nth % 64 != 0 {
                *block = None;
            }
        }
        let before = resident_kib().unwrap();
        give_back();
        let after = resident_kib().unwrap();
        assert!(after + 128 * 1024 < before, "{before} KiB, then {after} KiB");
        assert_eq!(blocks.iter().flatten().count(), 1024);
    }
}
