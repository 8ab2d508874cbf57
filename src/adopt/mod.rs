//! `adopt`: what the official installer left on a machine, as a configuration of the gateway.
//!
//! The files of plugNmeet's parts and HAProxy's are read, nothing of them is executed or changed. What comes of each line of the
//! old front is shown first; then `gateway.toml` is written, with the origin of each value behind it, and the secret beside it.
//!
//! | file | holds |
//! | --- | --- |
//! | `machine`, `sources` | the files of a machine; all that is asked of them |
//! | `certbot`, `parts` | certbot's files; what follows from the parts beside the front |
//! | `plan`, `rows` | from them to the new configuration, and the table of what becomes of what |
//! | `losses` | parts of HAProxy's file that nothing was made of |
//! | `sheet` | TOML with origins |
//! | `sections` | sections of the configuration that follow from several files |
//! | `system` | the units' drop-ins, certbot's hook |
//! | `files` | writing, and leaving alone what a person has edited |
//!
//! Not here: the readers of these files (`crate::official`, and `crate::webapp` for `config.js`), changing services (nothing is started or stopped), the command (`crate::cli`).
//!
//! Source: docs/plugnmeet.md sections 0, 9 and 12.

mod certbot;
mod files;
mod losses;
mod machine;
mod parts;
mod plan;
mod problem;
mod rows;
mod sections;
mod settings;
mod sources;
mod system;
mod toml_writer;

pub use self::{
    certbot::{hook_in, hooks_of_haproxy},
    files::{Kind, Outcome, Wanted, write},
    plan::{Adoption, adopt},
    problem::AdoptProblem,
    rows::Row,
    settings::AdoptSettings,
};
