//! `prepare`: compresses the client's files now, so that no start has to.

use std::time::Duration;

use super::Refused;
use crate::{config::Problem, webapp::Prepared};

pub(super) fn answer(prepared: Result<Prepared, Problem>, took: Duration) -> Result<String, Refused> {
    match prepared {
        Ok(prepared) => Ok(format!("{prepared}, in {:.1} s", took.as_secs_f32())),
        Err(problem) => Err(problem.to_string()),
    }
}
