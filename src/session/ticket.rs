//! A ticket for a frame whose browser stores no cookie: the redirect carries the sealed token to the page. Any replica
//! can open the seal, even if the browser's address has changed by then.
//!
//! A ticket is valid for a minute, for one session's path, and once; each process remembers only the tickets that it
//! has seen. The page removes the ticket from its own address before anything else runs (`crate::webapp`). A request
//! that has a cookie needs no ticket.
//!
//! SECURITY: whoever has a ticket can enter the session once within its minute. No log has it, because no query is
//! logged, and no `Referer` has it, because our pages send none.

use serde::{Deserialize, Serialize};

use super::{Scope, Sessions};
use crate::{query::Query, secret::Secret};

/// The parameter with which the redirect carries the ticket. `crate::webapp` removes it from the page's address.
pub const TICKET: &str = "pnm_ticket";

/// The purpose under which a ticket is sealed (`TokenKeys::seal`).
const PURPOSE: &str = "ticket";

/// The seconds for which a ticket is valid.
const VALID_SECS: i64 = 60;

/// The length of the seal's nonce in base64url. No two tickets have the same nonce.
const NONCE_CHARS: usize = 16;

#[derive(Serialize, Deserialize)]
struct Ticket {
    tag: String,
    token: String,
    until: i64,
}

impl Sessions {
    /// The query with a ticket at its end. Tickets that the link itself brought are removed.
    pub(super) fn with_ticket(&self, query: &str, tag: &str, token: &str) -> String {
        let ticket = Ticket {
            tag: tag.to_owned(),
            token: token.to_owned(),
            until: self.clock.unix().saturating_add(VALID_SECS),
        };
        let sealed = serde_json::to_vec(&ticket)
            .ok()
            .and_then(|ticket| self.keys.seal(PURPOSE, &ticket));
        let query = Query(query).without(TICKET);
        let separator = if query.is_empty() { "" } else { "&" };
        match sealed {
            Some(sealed) => format!("{query}{separator}{TICKET}={sealed}"),
            None => query,
        }
    }

    /// The token in the query's ticket for the session at this path. A ticket can be claimed once. Where all sessions
    /// share one path, it may be any session's.
    pub(super) fn claimed(&self, query: &str, tag: Option<&str>) -> Option<Secret<String>> {
        let sealed = Query(query).only(TICKET).ok()??;
        let ticket = self.keys.open(PURPOSE, &sealed)?;
        let ticket: Ticket = serde_json::from_slice(&ticket).ok()?;
        let is_here = match self.settings.scope {
            Scope::Session => tag == Some(&*ticket.tag),
            Scope::Mount => true,
        };
        let is_good = is_here && self.clock.unix() <= ticket.until;
        let nonce = sealed.get(..NONCE_CHARS)?;
        (is_good && self.memory.first_use(nonce)).then(|| Secret::new(ticket.token))
    }
}
