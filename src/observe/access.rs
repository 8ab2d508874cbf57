//! The access record of each request, written when the last byte of its answer has been sent.
//!
//! Because every request has a record, its JSON is written by hand, straight into the log's buffer. Text, which is for
//! people, goes through tracing as all other lines do.

use std::{
    error::Error,
    fmt::Write as _,
    sync::Arc,
    time::{Duration, SystemTime},
};

use hyper::{Method, StatusCode, Version};
use tokio::time::Instant;
use tracing::info;

use super::{AuditLog, Buffer, Metrics, json_line::JsonLine, redacted};
use crate::{addr::ClientAddr, clock::Clock, request_id::RequestId};

/// The status under which metrics count requests that ended without an answer.
const UNANSWERED: u16 = 0;

/// The target of access records.
pub(super) const ACCESS: &str = "access";

/// Where access records and audit lines are written, and whether access records are. Audit lines are always written.
#[derive(Clone, Default)]
pub struct Records {
    /// The buffer for lines of JSON that are written by hand. Without it the lines go through tracing.
    pub json: Option<Arc<Buffer>>,
    /// Is an access record written for each request?
    pub access: bool,
}

/// Counts requests, and writes an access record for each if these are on.
pub struct AccessLog {
    records: Records,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl AccessLog {
    /// Requests are counted even if no records are written.
    pub fn new(records: Records, metrics: Arc<Metrics>, clock: Clock) -> Self {
        Self {
            records,
            metrics,
            clock,
        }
    }

    /// As this one; `access` says whether records are written.
    #[must_use]
    pub fn again(&self, access: bool) -> Self {
        Self {
            records: Records {
                access,
                ..self.records.clone()
            },
            metrics: Arc::clone(&self.metrics),
            clock: self.clock.clone(),
        }
    }

    /// The audit log that writes to the same place.
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(
            self.records.json.clone(),
            Arc::clone(&self.metrics),
            self.clock.clone(),
        )
    }
}

/// The record of one request. It is written when this is dropped.
pub struct AccessRecord {
    id: RequestId,
    started: Instant,
    client: ClientAddr,
    method: Method,
    path: String,
    version: Version,
    /// The name of the row in the URL space that answered.
    route: &'static str,
    /// The status of the answer. None: the request ended before there was one.
    status: Option<StatusCode>,
    sent: u64,
    error: Option<(&'static str, String)>,
    complete: bool,
    /// What broke the answer off, if it was not the client.
    broken_by: Option<BrokenBy>,
    log: Arc<AccessLog>,
}

/// What broke an answer off, other than the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenBy {
    /// The upstream ended its answer before the end.
    Upstream,
    Limit,
}

impl AccessRecord {
    /// Begins the record of a request.
    pub fn begin(
        id: RequestId,
        client: ClientAddr,
        method: &Method,
        path: &str,
        version: Version,
        log: &Arc<AccessLog>,
    ) -> Self {
        let path = if log.records.access {
            redacted(path).into_owned()
        } else {
            String::new()
        };
        Self {
            id,
            started: Instant::now(),
            client,
            method: method.clone(),
            path,
            version,
            route: "none",
            status: None,
            sent: 0,
            error: None,
            complete: false,
            broken_by: None,
            log: Arc::clone(log),
        }
    }

    pub fn routed(&mut self, route: &'static str) {
        self.route = route;
    }

    /// Notes that the request is answered with an error: its code, and the whole chain of causes.
    pub fn failed(&mut self, code: &'static str, cause: Option<&dyn Error>) {
        if !self.log.records.access {
            return;
        }
        let mut causes = String::new();
        let mut next = cause;
        while let Some(cause) = next {
            let separator = if causes.is_empty() { "" } else { ": " };
            write!(causes, "{separator}{cause}").ok();
            next = cause.source();
        }
        self.error = Some((code, causes));
    }

    pub fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Counts bytes of the answer's body that were sent.
    pub fn sent(&mut self, bytes: usize) {
        self.sent += bytes as u64;
    }

    /// Notes that the whole answer was sent.
    pub fn completed(&mut self) {
        self.complete = true;
    }

    /// Notes that the answer ends before its end.
    pub fn broken_by(&mut self, by: BrokenBy) {
        self.broken_by = Some(by);
    }
}

impl AccessRecord {
    /// The error's code, and its causes if there are any.
    fn error(&self) -> (Option<&'static str>, Option<&str>) {
        match &self.error {
            Some((code, causes)) => (
                Some(*code),
                Some(causes.as_str()).filter(|causes| !causes.is_empty()),
            ),
            None => (None, None),
        }
    }

    /// Who broke the answer off, if anybody did.
    fn aborted_by(&self) -> Option<&'static str> {
        let by = match self.broken_by {
            None => "client",
            Some(BrokenBy::Upstream) => "upstream",
            Some(BrokenBy::Limit) => "limit",
        };
        (!self.complete).then_some(by)
    }

    fn trace(&self, millis: f64) {
        let (error, cause) = self.error();
        info!(
            target: ACCESS,
            id = %self.id,
            client = %self.client,
            method = %self.method,
            path = self.path,
            version = ?self.version,
            route = self.route,
            status = self.status.map(|status| status.as_u16()),
            bytes = self.sent,
            ms = millis,
            aborted = !self.complete,
            aborted_by = self.aborted_by(),
            error,
            cause,
            "Request"
        );
    }

    /// Writes the same line as `trace` does, as JSON.
    fn write_json(&self, now: SystemTime, millis: f64, line: &mut Vec<u8>) {
        let (error, cause) = self.error();
        let mut line = JsonLine(line);
        line.begin(now, "Request");
        line.raw(r#","id":""#).id(self.id);
        line.raw(r#"","client":""#).address(self.client);
        // No method is more than a token, and routes have names of our own: neither needs escapes.
        line.raw(r#"","method":""#).raw(self.method.as_str());
        line.raw(r#"","path":"#).value(&self.path);
        match version_name(self.version) {
            Some(name) => line.raw(r#","version":""#).raw(name),
            None => line
                .raw(r#","version":""#)
                .plain(format_args!("{:?}", self.version)),
        };
        line.raw(r#"","route":""#).raw(self.route);
        match &self.status {
            Some(status) => line.raw(r#"","status":"#).raw(status.as_str()),
            None => line.raw("\""),
        };
        line.raw(r#","bytes":"#).value(self.sent);
        line.raw(r#","ms":"#).value(millis);
        line.raw(if self.complete {
            r#","aborted":false"#
        } else {
            r#","aborted":true"#
        });
        if let Some(by) = self.aborted_by() {
            line.raw(r#","aborted_by":"#).value(by);
        }
        if let Some(error) = error {
            line.raw(r#","error":"#).value(error);
        }
        if let Some(cause) = cause {
            line.raw(r#","cause":"#).value(cause);
        }
        line.end(ACCESS);
    }
}

/// What `Debug` says of a version, for those that there are today.
fn version_name(version: Version) -> Option<&'static str> {
    Some(match version {
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_11 => "HTTP/1.1",
        Version::HTTP_10 => "HTTP/1.0",
        _ => return None,
    })
}

/// To the microsecond. The quotient is the number nearest to its three decimals, and so is written with no more.
#[expect(
    clippy::cast_precision_loss,
    reason = "a request that lasts 285 years has no exact time"
)]
fn millis(took: Duration) -> f64 {
    took.as_micros() as f64 / 1e3
}

impl Drop for AccessRecord {
    fn drop(&mut self) {
        let status = self.status.map_or(UNANSWERED, |status| status.as_u16());
        self.log.metrics.answered(self.route, status);
        if let Some(by) = self.aborted_by() {
            self.log.metrics.aborted(by);
        }
        if !self.log.records.access {
            return;
        }
        let millis = millis(self.started.elapsed());
        match &self.log.records.json {
            Some(buffer) => {
                let now = self.log.clock.wall();
                buffer.append(false, |line| self.write_json(now, millis, line));
            }
            None => self.trace(millis),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        io::{self, Write},
        sync::Mutex,
    };

    use serde_json::{Value, json};
    use tracing_subscriber::{Registry, layer::SubscriberExt};

    use super::{super::log, *};
    use crate::{observe::Flusher, request_id::RequestIds};

    /// The lines that were written, for tests.
    #[derive(Clone, Default)]
    pub(in crate::observe) struct Kept(Arc<Mutex<Vec<u8>>>);

    impl Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        pub(in crate::observe) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn log_to(records: Records) -> Arc<AccessLog> {
        Arc::new(AccessLog::new(records, Arc::default(), Clock::system()))
    }

    fn record(client: &str, method: &str, path: &str, log: &Arc<AccessLog>) -> AccessRecord {
        let client = ClientAddr(client.parse().unwrap());
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        AccessRecord::begin(
            RequestIds::default().next(),
            client,
            &method,
            path,
            Version::HTTP_2,
            log,
        )
    }

    fn plain(log: &Arc<AccessLog>) -> AccessRecord {
        let mut record = record("192.0.2.7", "GET", "/api/verifyToken", log);
        record.routed("api");
        record.answered(StatusCode::OK);
        record.sent(250);
        record.completed();
        record
    }

    fn failed(cause: &str, log: &Arc<AccessLog>) -> AccessRecord {
        let mut record = record("2001:db8::1", "M-SEARCH", "/x/\"q\"\\\u{7f}\u{e9}", log);
        record.failed("bad_target", Some(&io::Error::other(cause)));
        record.answered(StatusCode::BAD_REQUEST);
        record.broken_by(BrokenBy::Upstream);
        record
    }

    fn aborted(log: &Arc<AccessLog>) -> AccessRecord {
        record("::ffff:192.0.2.7", "POST", "/", log)
    }

    /// All kinds of records there are.
    fn all(log: &Arc<AccessLog>) -> Vec<AccessRecord> {
        let controls: String = (0..0x20).map(char::from).collect();
        let causes = [
            "plain",
            "\"quoted\" \\ and\nbroken\r\n",
            &controls,
            "\u{fffd}\u{2028}\u{1f600}\u{9b}",
            "",
        ];
        let mut all = vec![plain(log), aborted(log)];
        all.extend(causes.map(|cause| failed(cause, log)));
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_3] {
            let mut other = plain(log);
            other.version = version;
            all.push(other);
        }
        all
    }

    #[test]
    fn a_record_in_json_is_the_line_that_tracing_would_write() {
        let buffer = Arc::new(Buffer::default());
        let log = log_to(Records {
            json: Some(buffer),
            access: true,
        });
        for record in all(&log) {
            for millis in [0.0, 0.279_176_999_999_999_95, 12.5, 1e-7, 86_400_000.123] {
                let kept = Kept::default();
                let out = kept.clone();
                let layer = log::json::<Registry>(move || out.clone());
                let subscriber = tracing_subscriber::registry().with(layer);
                tracing::subscriber::with_default(subscriber, || record.trace(millis));
                let mut line = Vec::new();
                record.write_json(log.clock.wall(), millis, &mut line);
                let (ours, theirs) = (String::from_utf8(line).unwrap(), kept.text());
                let untimed = |line: &str| line.split_once("Z\"").unwrap().1.to_owned();
                assert_eq!(untimed(&ours), untimed(&theirs));
                let timed = |line: &str| line.split_once("Z\"").unwrap().0.len();
                assert_eq!(timed(&ours), timed(&theirs));
            }
        }
    }

    #[test]
    fn what_happened_is_read_from_a_line() {
        let kept = Kept::default();
        let (buffer, flusher) = Flusher::start(kept.clone(), |_| {}).unwrap();
        let log = log_to(Records {
            json: Some(buffer),
            access: true,
        });
        let cause = "\"it\"\nbroke\u{1b}[31m";
        let records = [plain(&log), failed(cause, &log), aborted(&log)];
        let ids = records.each_ref().map(|record| record.id.to_string());
        drop(records);
        drop(flusher);
        let lines: Vec<Value> = kept
            .text()
            .lines()
            .map(|line| {
                let mut line: Value = serde_json::from_str(line).unwrap();
                let line_of = line.as_object_mut().unwrap();
                assert!(line_of.shift_remove("timestamp").unwrap().is_string());
                assert!(line_of.shift_remove("ms").unwrap().is_f64());
                line
            })
            .collect();
        let expected = [
            json!({"level": "INFO", "message": "Request", "id": ids[0], "client": "192.0.2.7", "method": "GET",
                "path": "/api/verifyToken", "version": "HTTP/2.0", "route": "api", "status": 200, "bytes": 250,
                "aborted": false, "target": "access"}),
            json!({"level": "INFO", "message": "Request", "id": ids[1], "client": "2001:db8::1",
                "method": "M-SEARCH", "path": "/x/\"q\"\\\u{7f}\u{e9}", "version": "HTTP/2.0", "route": "none",
                "status": 400, "bytes": 0, "aborted": true, "aborted_by": "upstream", "error": "bad_target", "cause": cause, "target": "access"}),
            json!({"level": "INFO", "message": "Request", "id": ids[2], "client": "::ffff:192.0.2.7",
                "method": "POST", "path": "/", "version": "HTTP/2.0", "route": "none", "bytes": 0, "aborted": true,
                "aborted_by": "client", "target": "access"}),
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_time_has_three_decimals_at_most() {
        for (nanos, shown) in [
            (0, "0.0"),
            (999, "0.0"),
            (1_000, "0.001"),
            (35_092_000, "35.092"),
            (35_092_999, "35.092"),
            (50_000_000_000, "50000.0"),
            (7_199_999_999_999, "7199999.999"),
        ] {
            let time = millis(Duration::from_nanos(nanos));
            assert_eq!(serde_json::to_string(&time).unwrap(), shown);
        }
        for micros in (0..90_000_000).step_by(997) {
            let written = serde_json::to_string(&millis(Duration::from_micros(micros))).unwrap();
            let (_, decimals) = written.split_once('.').unwrap();
            assert!(decimals.len() <= 3, "{written}");
        }
    }

    #[test]
    fn in_text_a_record_is_a_line_of_tracings() {
        let log = log_to(Records {
            json: None,
            access: true,
        });
        let kept = Kept::default();
        let out = kept.clone();
        let layer = tracing_subscriber::fmt::layer().compact().with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(move || out.clone()));
        let id = tracing::subscriber::with_default(subscriber, || plain(&log).id);
        let line = kept.text();
        let expected = format!(
            " INFO access: Request id={id} client=192.0.2.7 method=GET path=\"/api/verifyToken\" version=HTTP/2.0 \
             route=\"api\" status=200 bytes=250 ms="
        );
        assert!(line.contains(&expected), "{line}");
        assert!(line.ends_with(" aborted=false\n"), "{line}");
    }

    #[test]
    fn a_record_that_goes_nowhere_keeps_nothing() {
        let record = failed("why", &log_to(Records::default()));
        assert!(record.path.is_empty() && record.error.is_none());
    }
}
