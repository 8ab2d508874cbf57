//! Join tokens: JWTs of plugNmeet's own form, checked before anything is believed and signed exactly as the server
//! does.
//!
//! A text from outside is `Unverified`. Only `TokenKeys::verify` makes a `Verified` of it, and only `TokenKeys::state`
//! makes a `Genuine`, which can be renewed.
//!
//! Sources: docs/plugnmeet.md section 4 (the JWT), RFC 7515 (JWS compact), RFC 7519 (claims).

mod claimed;
mod claims;
pub mod development_secret;
mod form;
mod keys;
mod kind;
mod participant;
mod renew;
mod request_key;
mod seal;
mod verify;

pub use claimed::UnverifiedParticipant;
pub use claims::Claims;
pub use form::{FormTokens, TwoReadings};
pub use keys::{KeyProblem, TokenKeys};
pub use kind::Kind;
pub use participant::Participant;
pub use renew::NotRenewed;
pub use request_key::RequestKey;
pub use verify::{BadToken, Genuine, LEEWAY_SECS, TokenState, Unverified, Verified};
