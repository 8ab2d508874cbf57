//! The design of a link: one that it brings (`custom_design`), or one of the operator's that it names (`design`).
//!
//! The client knows no names and reads `custom_design` alone. So a name is answered with a redirect to the same address
//! with the design in its place; the link that people see and send on stays short.
//!
//! A recorder is never refused for a design: nobody reads a page there, and the recording would not begin. What is
//! taken out of anybody's is told to the operator: in the log, in the audit log and in a count.
//!
//! Not here: what a design may be (`crate::design`).
//!
//! Source: docs/plugnmeet.md section 7 (where the client looks).

use tracing::warn;

use super::{SessionError, Sessions, Visit, cookie::Cookies};
use crate::{
    context::RequestContext,
    design::{Breach, DESIGN_PARAMETER, Design, OnInvalid, Verdict},
    observe::TakenOut,
    query::Query,
    token::{Claims, TokenState},
};

/// The parameter that names one of the operator's designs.
const NAME_PARAMETER: &str = "design";

/// Who records and streams, by names that no person has (docs/plugnmeet.md section 3); the server alone makes such a
/// token hidden.
const BOTS: [&str; 2] = ["RECORDER_BOT", "RTMP_BOT"];

/// The largest number of fields that a log line names.
const MAX_TOLD: usize = 8;

/// The design that a query brings, and the query that is left.
#[derive(Default)]
struct Found {
    /// The query to redirect to, if it must differ from the request's.
    query: Option<String>,
    design: Option<Design>,
    taken: Vec<Breach>,
}

impl Sessions {
    /// The query to go on with, if it has to be another one, and the design that it then holds.
    ///
    /// Read as the client's `URLSearchParams` reads it: an empty parameter is none, and of two nobody could say which is
    /// meant. Without claims it is the session that runs whose design this is.
    pub(super) fn checked_design(
        &self,
        visit: &Visit<'_>,
        query: &str,
        claims: Option<&Claims>,
    ) -> Result<(Option<String>, Option<Design>), SessionError> {
        let on_invalid = |claims: &Claims| is_bot(claims).then_some(OnInvalid::Strip);
        let mut found = self.found_design(query, claims.and_then(on_invalid));
        let running;
        let claims = if claims.is_some() {
            claims
        } else if found.as_ref().is_ok_and(|found| found.taken.is_empty()) {
            None
        } else {
            running = self.claims_of_running(visit);
            running.as_ref()
        };
        if let (Err(SessionError::Design(_)), Some(strip)) = (&found, claims.and_then(on_invalid)) {
            found = self.found_design(query, Some(strip));
        }
        let found = found?;
        // A design at an address without a session is nobody's, and anybody could fill the log with it.
        if let Some(claims) = claims.filter(|_| visit.takes_effect()) {
            self.tell_taken(&found.taken, claims, visit.context);
            self.tell_mistaken(query, claims);
        }
        Ok((found.query, found.design))
    }

    fn found_design(&self, query: &str, on_invalid: Option<OnInvalid>) -> Result<Found, SessionError> {
        let only = |name| Query(query).only(name).map_err(|_| SessionError::TwoDesigns);
        let brought = only(DESIGN_PARAMETER)?.map_or(Verdict::Absent, |decoded| match on_invalid {
            Some(on_invalid) => self.design.check_as(&decoded, on_invalid),
            None => self.design.check(&decoded),
        });
        // Without any designs of the operator's it is a parameter like all others.
        let name = if self.design.has_named() {
            only(NAME_PARAMETER)?
        } else {
            None
        };
        let Some(name) = name else {
            return in_place_of(query, DESIGN_PARAMETER, brought);
        };
        match brought {
            Verdict::Absent => {
                // One that holds nothing would be the second beside the one that takes the name's place.
                let rest = Query(query).without(DESIGN_PARAMETER);
                let named = self.design.named(&name, on_invalid);
                if let Verdict::Good(design) = named {
                    let query =
                        Query(&rest).with_in_place_of(NAME_PARAMETER, DESIGN_PARAMETER, &design.to_json());
                    return Ok(Found {
                        query: Some(query),
                        design: Some(design),
                        taken: Vec::new(),
                    });
                }
                in_place_of(&rest, NAME_PARAMETER, named)
            }
            Verdict::Good(_) | Verdict::Stripped { .. } | Verdict::Refused(_) => {
                Err(SessionError::TwoDesigns)
            }
        }
    }

    fn claims_of_running(&self, visit: &Visit<'_>) -> Option<Claims> {
        let cookies = Cookies::of(visit.headers);
        match self.running(visit, &cookies).ok()??.state {
            TokenState::Valid(verified) => Some(verified.claims),
            TokenState::Expired(expired) => Some(expired.claims),
        }
    }

    /// Tells the operator of a parameter that was meant to be a design and that nobody reads.
    fn tell_mistaken(&self, query: &str, claims: &Claims) {
        let mut mistaken = MISTAKEN.iter().find(|(name, _)| Query(query).has(name)).copied();
        if mistaken.is_none() && !self.design.has_named() && Query(query).has(NAME_PARAMETER) {
            mistaken = Some((
                NAME_PARAMETER,
                "a [designs.NAME] of the configuration, of which there is none",
            ));
        }
        let Some((parameter, write)) = mistaken else {
            return;
        };
        warn!(
            caller = self.memory.caller_of(&self.tag_of(claims)).as_deref(),
            room = claims.room_id,
            user = claims.user_id,
            parameter,
            write,
            "A link's parameter has no effect"
        );
    }

    /// Tells the operator which fields were taken out and by which rules, so that the operator can tell the integrator.
    pub(super) fn tell_taken(&self, taken: &[Breach], claims: &Claims, context: &RequestContext) {
        if taken.is_empty() {
            return;
        }
        for breach in taken {
            self.metrics.design_field_taken_out(breach.rule.code());
        }
        let mut fields: Vec<String> = taken
            .iter()
            .take(MAX_TOLD)
            .map(|breach| match breach.rule.mistake() {
                Some(mistake) => format!("{}: {} ({mistake})", breach.field, breach.rule.code()),
                None => format!("{}: {}", breach.field, breach.rule.code()),
            })
            .collect();
        if let Some(more) = taken.len().checked_sub(MAX_TOLD).filter(|more| *more > 0) {
            fields.push(format!("and {more} more"));
        }
        TakenOut {
            id: context.id(),
            caller: self.memory.caller_of(&self.tag_of(claims)).as_deref(),
            room: &claims.room_id,
            user: &claims.user_id,
            client: context.client(),
            bot: is_bot(claims),
            fields: &fields.join(", "),
        }
        .tell();
    }
}

/// Parameters that look like one of a design, and that neither the gateway nor the client reads; and what to write.
const MISTAKEN: [(&str, &str); 8] = [
    ("customDesign", "custom_design"),
    ("CustomDesign", "custom_design"),
    ("custom-design", "custom_design"),
    ("customdesign", "custom_design"),
    ("amp;custom_design", "a plain & in front of it, not &amp;"),
    ("amp;design", "a plain & in front of it, not &amp;"),
    ("amp;access_token", "a plain & in front of it, not &amp;"),
    ("designs", "design"),
];

fn is_bot(claims: &Claims) -> bool {
    claims.is_hidden && BOTS.contains(&claims.user_id.as_str())
}

/// The design and the query that follow from the verdict on one of the query's parameters.
fn in_place_of(query: &str, parameter: &str, verdict: Verdict) -> Result<Found, SessionError> {
    match verdict {
        Verdict::Absent => Ok(Found::default()),
        Verdict::Good(design) => Ok(Found {
            design: Some(design),
            ..Found::default()
        }),
        Verdict::Stripped { left, taken } => Ok(Found {
            query: Some(match &left {
                Some(left) => Query(query).with(parameter, &left.to_json()),
                None => Query(query).without(parameter),
            }),
            design: left,
            taken,
        }),
        Verdict::Refused(breaches) => Err(SessionError::Design(breaches)),
    }
}
