//! Tells a service manager how the gateway is: one datagram a message, to the socket that it has named.
//!
//! Without one, and where it does not listen, nothing is told; no gateway depends on it.
//!
//! Source: `sd_notify(3)`, `sd_watchdog_enabled(3)`.

use std::{
    ffi::OsStr,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
    time::Duration,
};

/// The way to the service manager; nothing, without one.
#[derive(Debug, Default)]
pub struct Notify(Option<(UnixDatagram, SocketAddr)>);

impl Notify {
    /// To the socket in `NOTIFY_SOCKET`: a path, or with `@` a name of the abstract kind.
    pub fn to(socket: Option<&OsStr>) -> Self {
        let way = || {
            let name = socket?.as_bytes();
            let addr = match name.strip_prefix(b"@") {
                Some(name) => SocketAddr::from_abstract_name(name).ok()?,
                None => SocketAddr::from_pathname(OsStr::from_bytes(name)).ok()?,
            };
            let datagrams = UnixDatagram::unbound().ok()?;
            // A manager that does not read holds nobody up.
            datagrams.set_nonblocking(true).ok()?;
            Some((datagrams, addr))
        };
        Self(way())
    }

    /// This process serves; it is the one to watch, if an older one was so far.
    pub fn ready(&self) {
        self.say(&format!("READY=1\nMAINPID={}\nSTATUS=Serving", process::id()));
    }

    pub fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=Draining");
    }

    /// It reads its configuration again; `ready` ends it.
    pub fn reloading(&self) {
        self.say("RELOADING=1");
    }

    /// Every worker has answered within its time: `WATCHDOG=1`.
    pub fn alive(&self) {
        self.say("WATCHDOG=1");
    }

    /// Words for `systemctl status`.
    pub fn status(&self, status: &str) {
        self.say(&format!("STATUS={status}"));
    }

    fn say(&self, message: &str) {
        if let Some((datagrams, addr)) = &self.0 {
            datagrams.send_to_addr(message.as_bytes(), addr).ok();
        }
    }
}

/// How often to say that all is well: half of what the manager allows, if it asks this process for it. `micros` and
/// `process` are `WATCHDOG_USEC` and `WATCHDOG_PID`.
pub fn watchdog(micros: Option<&OsStr>, process: Option<&OsStr>) -> Option<Duration> {
    let whose = process.map(|process| process.to_str().and_then(|process| process.parse().ok()));
    if whose.is_some_and(|whose| whose != Some(process::id())) {
        return None;
    }
    let micros = micros?.to_str()?.parse().ok().filter(|micros| *micros > 0)?;
    Some(Duration::from_micros(micros) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut message = [0; 256];
        let bytes = socket.recv(&mut message).unwrap();
        String::from_utf8(message[..bytes].to_vec()).unwrap()
    }

    #[test]
    fn a_message_is_a_datagram_to_the_named_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let abstract_name = format!("plugnmeet-gateway-test-{}", process::id());
        let by_name = SocketAddr::from_abstract_name(&abstract_name).unwrap();
        for (socket, named) in [
            (
                UnixDatagram::bind(&path).unwrap(),
                path.to_str().unwrap().to_owned(),
            ),
            (
                UnixDatagram::bind_addr(&by_name).unwrap(),
                format!("@{abstract_name}"),
            ),
        ] {
            let notify = Notify::to(Some(OsStr::new(&named)));
            notify.ready();
            let ready = format!("READY=1\nMAINPID={}\nSTATUS=Serving", process::id());
            assert_eq!(heard(&socket), ready);
            notify.stopping();
            assert_eq!(heard(&socket), "STOPPING=1\nSTATUS=Draining");
            notify.alive();
            assert_eq!(heard(&socket), "WATCHDOG=1");
            notify.reloading();
            assert_eq!(heard(&socket), "RELOADING=1");
        }
    }

    #[test]
    fn without_a_manager_nothing_is_told() {
        for socket in [
            None,
            Some(OsStr::new("")),
            Some(OsStr::new("/nonexistent/notify")),
        ] {
            Notify::to(socket).ready();
        }
    }

    #[test]
    fn a_watchdog_is_fed_at_half_of_its_time_by_whom_it_is_meant_for() {
        let own = process::id().to_string();
        let asked =
            |micros: &str, process: Option<&str>| watchdog(Some(OsStr::new(micros)), process.map(OsStr::new));
        assert_eq!(asked("3000000", None), Some(Duration::from_millis(1500)));
        assert_eq!(asked("3000000", Some(&own)), Some(Duration::from_millis(1500)));
        for (micros, process) in [
            ("3000000", Some("1")),
            ("3000000", Some("")),
            ("0", None),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(asked(micros, process), None, "{micros} {process:?}");
        }
        assert_eq!(watchdog(None, None), None);
    }
}
