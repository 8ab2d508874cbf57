//! The audit log: one line for each decision on a token, whoever asked and however it ended.
//!
//! SECURITY: names and outcomes alone; never a token, a signature or a secret.

use tracing::info;

use super::{Metrics, log::AUDIT};
use crate::addr::ClientAddr;

/// A decision that is being made.
#[derive(Clone, Debug)]
pub struct Decision {
    client: ClientAddr,
    caller: Option<String>,
    room: Option<String>,
    user: Option<String>,
    /// None: only the server knows.
    admin: Option<bool>,
}

/// How a decision ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// There is a token.
    Issued,
    /// The gateway said no.
    Refused,
    /// plugnmeet-server said no.
    RefusedByServer,
    /// The gateway let it by, and the server's answer is not one that the gateway reads.
    PassedOn,
    /// Nobody knows: the server could not be asked, or its answer was lost.
    Failed,
}

impl Outcome {
    /// The word in the log and in metrics.
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

/// The longest name that a line shows: ids have no limit of their own.
const MAX_SHOWN_CHARS: usize = 128;

impl Decision {
    /// Somebody asks for a token.
    pub fn begin(client: ClientAddr) -> Self {
        Self {
            client,
            caller: None,
            room: None,
            user: None,
            admin: None,
        }
    }

    /// The caller has proved who it is.
    pub fn caller(&mut self, name: &str) {
        self.caller = Some(shown(name));
    }

    /// Who that is; nobody, before it has proved anything.
    pub fn caller_name(&self) -> &str {
        self.caller.as_deref().unwrap_or_default()
    }

    /// For whom the token is asked.
    pub fn wanted(&mut self, room_id: &str, user_id: &str, admin: Option<bool>) {
        self.room = Some(shown(room_id));
        self.user = Some(shown(user_id));
        self.admin = admin;
    }

    /// It has ended: writes the line, and counts it. `reason` is our stable word for why.
    pub fn end(&self, outcome: Outcome, reason: &'static str, metrics: &Metrics) {
        metrics.decided(
            self.caller.as_deref().unwrap_or("unknown"),
            outcome.name(),
            reason,
        );
        info!(
            target: AUDIT,
            caller = self.caller,
            room = self.room,
            user = self.user,
            admin = self.admin,
            client = %self.client,
            outcome = outcome.name(),
            reason,
            "Token"
        );
    }
}

fn shown(name: &str) -> String {
    name.chars().take(MAX_SHOWN_CHARS).collect()
}
