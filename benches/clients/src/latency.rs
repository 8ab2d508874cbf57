//! How long things took, as the line of JSON in which every client tells it.

use std::time::Duration;

/// Count, the wall time of all, and the times of each by rank.
pub fn told(took: &mut [Duration], seconds: Duration) -> String {
    took.sort_unstable();
    let at = |permille: usize| {
        let last = took.len().saturating_sub(1);
        took.get(last * permille / 1000).map_or(0, Duration::as_micros)
    };
    format!(
        r#"{{"count":{},"seconds":{},"p50_us":{},"p99_us":{},"p999_us":{},"max_us":{}}}"#,
        took.len(),
        seconds.as_secs_f64(),
        at(500),
        at(990),
        at(999),
        at(1000)
    )
}
