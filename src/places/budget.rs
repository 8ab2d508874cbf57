//! What the process' file descriptors are for.

/// For listeners, the log, the admin listener's connections, Redis, DNS, and files that are being read.
const OWN: usize = 32;

/// Descriptors of each thread's event loop.
const OWN_OF_A_THREAD: usize = 4;

/// Connections of clients that are served at a time, if descriptors are no limit.
const MAX_CLIENTS: usize = 65_536;

/// Descriptors by their purpose. A connection of a client needs at most one to an upstream, if it speaks HTTP/1 or has become
/// a WebSocket; so either side has as many as the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// For connections of clients, and WebSockets that came over them.
    pub clients: usize,
    /// Descriptors for connections to all upstreams together.
    pub upstreams: usize,
}

impl Budget {
    /// As many of `OWN` are for the operator's connections.
    pub const ADMIN: usize = 8;

    /// Of so many descriptors, with so many threads that have an event loop.
    pub fn of(open_files: u64, threads: usize) -> Self {
        let all = usize::try_from(open_files).unwrap_or(usize::MAX);
        let own = threads.saturating_mul(OWN_OF_A_THREAD).saturating_add(OWN);
        let rest = all - own.min(all / 2);
        let clients = (rest / 2).clamp(1, MAX_CLIENTS);
        Self {
            clients,
            upstreams: rest.saturating_sub(clients).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_never_have_the_last_descriptor() {
        let budget = |files, threads| {
            let Budget { clients, upstreams } = Budget::of(files, threads);
            (clients, upstreams)
        };
        assert_eq!(budget(128, 4), (40, 40));
        assert_eq!(budget(512, 4), (232, 232));
        assert_eq!(budget(20_000, 4), (9976, 9976));
        assert_eq!(budget(524_288, 66), (65_536, 458_456));
        // Too few for the threads alone: what there is has two sides all the same.
        assert_eq!(budget(128, 200), (32, 32));
        assert_eq!(budget(0, 1), (1, 1));
        assert_eq!(Budget::of(u64::MAX, 4).clients, 65_536);
    }
}
