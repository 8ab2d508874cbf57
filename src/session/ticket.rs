//! A ticket for a frame whose browser keeps no cookie: the redirect carries the token to the page, sealed, so that any
//! replica can read it, whatever address the browser has by then.
//!
//! It is good for a minute, for one session's path, and once, as far as one process can know. The page takes it out of its
//! own address before anything else runs (`crate::webapp`), and where a cookie came back it is good for nothing.
//!
//! SECURITY: who has it can enter the session once, within a minute. It is in no log, as no query is, and in no `Referer`, as
//! pages of ours send none.

use serde::{Deserialize, Serialize};

use super::Sessions;
use crate::{query::Query, secret::Secret};

/// The redirect's parameter. `crate::webapp` takes it out of the page's address.
pub const TICKET: &str = "pnm_ticket";

/// What it is sealed for.
const PURPOSE: &str = "ticket";

/// Seconds for which a ticket is good.
const VALID_SECS: i64 = 60;

/// Base64url of the seal's nonce: no two tickets have the same.
const NONCE_CHARS: usize = 16;

#[derive(Serialize, Deserialize)]
struct Ticket {
    tag: String,
    token: String,
    until: i64,
}

impl Sessions {
    /// The query with a ticket at its end, in place of any that a link brought.
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

    /// The token of a query's ticket for this session, the first time.
    pub(super) fn claimed(&self, query: &str, tag: &str) -> Option<Secret<String>> {
        let sealed = Query(query).only(TICKET).ok()??;
        let ticket = self.keys.open(PURPOSE, &sealed)?;
        let ticket: Ticket = serde_json::from_slice(&ticket).ok()?;
        let is_good = ticket.tag == tag && self.clock.unix() <= ticket.until;
        let nonce = sealed.get(..NONCE_CHARS)?;
        (is_good && self.memory.first_use(nonce)).then(|| Secret::new(ticket.token))
    }
}
