//! The design in a link, on its way to the client, which reads it from the address (contract.md section 7).

use super::{Handoff, HandoffError};
use crate::{
    design::{Design, Verdict},
    query::Query,
};

/// The parameter that carries the design.
const DESIGN_PARAMETER: &str = "custom_design";

impl Handoff {
    /// The design in a query, if it is good; and the query without what was stripped from it, if anything was.
    pub(super) fn checked_design(
        &self,
        query: &str,
    ) -> Result<(Option<String>, Option<Design>), HandoffError> {
        let Some(decoded) = Query(query)
            .only(DESIGN_PARAMETER)
            .map_err(|_| HandoffError::TwoDesigns)?
        else {
            return Ok((None, None));
        };
        match self.design.check(&decoded) {
            Verdict::Absent => Ok((None, None)),
            Verdict::Good(design) => Ok((None, Some(design))),
            Verdict::Stripped(Some(left)) => Ok((
                Some(Query(query).with(DESIGN_PARAMETER, &left.to_json())),
                Some(left),
            )),
            Verdict::Stripped(None) => Ok((Some(Query(query).without(DESIGN_PARAMETER)), None)),
            Verdict::Refused(breaches) => Err(HandoffError::Design(breaches)),
        }
    }
}
