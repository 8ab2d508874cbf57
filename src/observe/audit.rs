//! The audit log: one line for each decision on a token, whoever asked and however it ended.
//!
//! SECURITY: names and outcomes alone; never a token, a signature or a secret.

use std::{fmt, sync::Arc, time::SystemTime};

use tracing::info;

use super::{Buffer, Metrics, json_line::JsonLine};
use crate::{addr::ClientAddr, clock::Clock, request_id::RequestId};

/// The target of the audit log, which is always on.
pub(super) const AUDIT: &str = "audit";

/// Writes an audit line for each decision on a token.
pub struct AuditLog {
    /// The buffer for lines of JSON that are written by hand. None: the lines go through tracing.
    json: Option<Arc<Buffer>>,
    metrics: Arc<Metrics>,
    clock: Clock,
}

impl AuditLog {
    pub(super) fn new(json: Option<Arc<Buffer>>, metrics: Arc<Metrics>, clock: Clock) -> Self {
        Self { json, metrics, clock }
    }
}

/// A decision on a token, as far as it has been made.
#[derive(Clone, Debug)]
pub struct Decision {
    id: RequestId,
    client: ClientAddr,
    caller: Option<String>,
    room: Option<String>,
    user: Option<String>,
    /// Is the token for a moderator? None: only the server knows.
    admin: Option<bool>,
}

/// The outcome of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Issued,
    Refused,
    /// plugnmeet-server refused.
    RefusedByServer,
    /// The request was forwarded, and the gateway does not read in the server's answer whether a token was issued.
    PassedOn,
    /// The outcome is unknown: the server could not be asked, or its answer was lost.
    Failed,
}

impl Outcome {
    /// The outcome's name in the log and in metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Refused => "refused",
            Self::RefusedByServer => "refused_by_server",
            Self::PassedOn => "passed_on",
            Self::Failed => "failed",
        }
    }
}

/// The largest number of characters of an id in a line: ids themselves have no limit.
const MAX_SHOWN_CHARS: usize = 128;

impl Decision {
    /// Begins the decision on a request.
    pub fn begin(id: RequestId, client: ClientAddr) -> Self {
        Self {
            id,
            client,
            caller: None,
            room: None,
            user: None,
            admin: None,
        }
    }

    /// Sets the caller's name, once the caller has proved who it is.
    pub fn caller(&mut self, name: &str) {
        self.caller = Some(shown(name));
    }

    /// The caller's name; empty until the caller has proved who it is.
    pub fn caller_name(&self) -> &str {
        self.caller.as_deref().unwrap_or_default()
    }

    /// Sets for whom the token is asked.
    pub fn wanted(&mut self, room_id: &str, user_id: &str, admin: Option<bool>) {
        self.room = Some(shown(room_id));
        self.user = Some(shown(user_id));
        self.admin = admin;
    }

    /// Ends the decision: writes the line and counts it. `reason` is the stable word for the cause.
    pub fn end(&self, outcome: Outcome, reason: &'static str, log: &AuditLog) {
        self.end_with(outcome, reason, None::<&str>, log);
    }

    /// As `end`, with what only the log says of the cause.
    pub fn end_with(
        &self,
        outcome: Outcome,
        reason: &'static str,
        detail: Option<impl fmt::Display>,
        log: &AuditLog,
    ) {
        let detail = detail.map(|detail| detail.to_string());
        let detail = detail.as_deref();
        let caller = self.caller.as_deref().unwrap_or("unknown");
        log.metrics.decided(caller, outcome.name(), reason);
        match &log.json {
            Some(buffer) => {
                let now = log.clock.wall();
                buffer.append(false, |line| self.write_json(now, outcome, reason, detail, line));
            }
            None => self.trace(outcome, reason, detail),
        }
    }

    fn trace(&self, outcome: Outcome, reason: &'static str, detail: Option<&str>) {
        info!(
            target: AUDIT,
            id = %self.id,
            caller = self.caller,
            room = self.room,
            user = self.user,
            admin = self.admin,
            client = %self.client,
            outcome = outcome.name(),
            reason,
            detail,
            "Token"
        );
    }

    /// Writes the same line as `trace` does, as JSON.
    fn write_json(
        &self,
        now: SystemTime,
        outcome: Outcome,
        reason: &'static str,
        detail: Option<&str>,
        line: &mut Vec<u8>,
    ) {
        let mut line = JsonLine(line);
        line.begin(now, "Token");
        line.raw(r#","id":""#).id(self.id).raw("\"");
        if let Some(caller) = &self.caller {
            line.raw(r#","caller":"#).value(caller);
        }
        if let Some(room) = &self.room {
            line.raw(r#","room":"#).value(room);
        }
        if let Some(user) = &self.user {
            line.raw(r#","user":"#).value(user);
        }
        if let Some(admin) = self.admin {
            line.raw(r#","admin":"#).value(admin);
        }
        line.raw(r#","client":""#).address(self.client);
        line.raw(r#"","outcome":"#).value(outcome.name());
        line.raw(r#","reason":"#).value(reason);
        if let Some(detail) = detail {
            line.raw(r#","detail":"#).value(detail);
        }
        line.end(AUDIT);
    }
}

fn shown(name: &str) -> String {
    match name.char_indices().nth(MAX_SHOWN_CHARS) {
        Some((end, _)) => name.get(..end).unwrap_or_default().to_owned(),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::{Registry, layer::SubscriberExt};

    use super::{super::log, *};
    use crate::{observe::access::tests::Kept, request_id::RequestIds};

    fn decisions() -> [Decision; 3] {
        let ids = RequestIds::default();
        let begin = |client: &str| Decision::begin(ids.next(), ClientAddr(client.parse().unwrap()));
        let (mut known, mut hostile) = (begin("192.0.2.7"), begin("2001:db8::1"));
        known.caller("server");
        known.wanted("room01", "ann", Some(false));
        hostile.caller("lms");
        hostile.wanted("\"\\\n\u{7f}\u{2028}", &"\u{1f600}".repeat(200), None);
        [known, hostile, begin("::ffff:192.0.2.7")]
    }

    #[test]
    fn a_line_in_json_is_the_one_that_tracing_would_write() {
        for decision in decisions() {
            let kept = Kept::default();
            let out = kept.clone();
            let layer = log::json::<Registry>(move || out.clone());
            let subscriber = tracing_subscriber::registry().with(layer);
            let detail = decision.caller.as_deref().map(|_| "detail");
            tracing::subscriber::with_default(subscriber, || {
                decision.trace(Outcome::Issued, "upstream", detail);
            });
            let mut line = Vec::new();
            decision.write_json(
                SystemTime::UNIX_EPOCH,
                Outcome::Issued,
                "upstream",
                detail,
                &mut line,
            );
            let (ours, theirs) = (String::from_utf8(line).unwrap(), kept.text());
            let untimed = |line: &str| line.split_once("Z\"").unwrap().1.to_owned();
            assert_eq!(untimed(&ours), untimed(&theirs));
        }
    }

    #[test]
    fn a_line_shows_a_name_up_to_its_128th_character() {
        let [_, hostile, _] = decisions();
        assert_eq!(hostile.user, Some("\u{1f600}".repeat(MAX_SHOWN_CHARS)));
        assert_eq!(shown("room01"), "room01");
    }
}
