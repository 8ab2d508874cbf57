//! Tells the operator which fields were taken out of a design, by a warning and a line in the audit log, so that the
//! operator can tell the link's author.
//!
//! SECURITY: the log has the field and the rule, and never the value.

use tracing::{info, warn};

use super::audit::AUDIT;
use crate::{addr::ClientAddr, request_id::RequestId};

/// The fields that were taken out of one design.
pub struct TakenOut<'a> {
    /// The id of the request in which the design was.
    pub id: RequestId,
    /// The caller who asked for the token, if known.
    pub caller: Option<&'a str>,
    pub room: &'a str,
    /// The user of the token in the link.
    pub user: &'a str,
    pub client: ClientAddr,
    /// Is the user a recorder?
    pub bot: bool,
    /// Each field with the rule that it broke, as text.
    pub fields: &'a str,
}

impl TakenOut<'_> {
    /// Writes the warning and the audit line.
    pub fn tell(&self) {
        let TakenOut {
            id,
            caller,
            room,
            user,
            client,
            bot,
            fields,
        } = *self;
        warn!(caller, room, user, bot, fields, "Design fields taken out");
        info!(
            target: AUDIT,
            %id,
            caller,
            room,
            user,
            client = %client,
            outcome = "stripped",
            reason = fields,
            "Design"
        );
    }
}
