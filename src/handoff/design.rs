//! The design of a link: one that it brings (`custom_design`), or one of the operator's that it names (`design`).
//!
//! The client knows no names and reads `custom_design` alone. So a name is answered with a redirect to the same address
//! with the design in its place; the link that people see and send on stays short.
//!
//! Not here: what a design may be (`crate::design`).
//!
//! Source: contract.md section 7 (where the client looks), product.md "`custom_design`".

use super::{Handoff, HandoffError};
use crate::{
    design::{Design, Verdict},
    query::Query,
};

/// The parameter that carries a design (contract.md section 7).
const DESIGN_PARAMETER: &str = "custom_design";

/// The parameter that names one of the operator's.
const NAME_PARAMETER: &str = "design";

impl Handoff {
    /// The query to go on with, if it has to be another one, and the design that it then holds.
    ///
    /// Read as the client's `URLSearchParams` reads it: an empty parameter is none, and of two nobody could say which is
    /// meant.
    pub(super) fn checked_design(
        &self,
        query: &str,
    ) -> Result<(Option<String>, Option<Design>), HandoffError> {
        let only = |name| Query(query).only(name).map_err(|_| HandoffError::TwoDesigns);
        let brought = only(DESIGN_PARAMETER)?.map_or(Verdict::Absent, |decoded| self.design.check(&decoded));
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
                let named = self.design.named(&name);
                if let Verdict::Good(design) = named {
                    let query =
                        Query(&rest).with_in_place_of(NAME_PARAMETER, DESIGN_PARAMETER, &design.to_json());
                    return Ok((Some(query), Some(design)));
                }
                in_place_of(&rest, NAME_PARAMETER, named)
            }
            Verdict::Good(_) | Verdict::Stripped(_) | Verdict::Refused(_) => Err(HandoffError::TwoDesigns),
        }
    }
}

/// What becomes of a query by this verdict on one of its parameters.
fn in_place_of(
    query: &str,
    parameter: &str,
    verdict: Verdict,
) -> Result<(Option<String>, Option<Design>), HandoffError> {
    match verdict {
        Verdict::Absent => Ok((None, None)),
        Verdict::Good(design) => Ok((None, Some(design))),
        Verdict::Stripped(Some(left)) => {
            Ok((Some(Query(query).with(parameter, &left.to_json())), Some(left)))
        }
        Verdict::Stripped(None) => Ok((Some(Query(query).without(parameter)), None)),
        Verdict::Refused(breaches) => Err(HandoffError::Design(breaches)),
    }
}
