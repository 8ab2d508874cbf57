//! The answers to clients: bodies, and errors in the form that the caller can read.
//!
//! Each audience has a form of its own: the SDKs the server's JSON, the meeting client protobuf, the uploader a status
//! that it doesn't retry, BBB its XML, people a small page in their language. A module says what went wrong; the form
//! is chosen here, once, and nothing else in the gateway writes the body of an error.
//!
//! Sources: docs/plugnmeet.md sections 0.3, 1, 5 and 13.

mod accept;
mod body;
mod failure;
mod language;
pub mod page;
mod redirect;
mod words;

pub use accept::{Accepted, is_for_people, names_pages};
pub use body::{Body, BoxError};
pub use failure::{Failure, Format, NOT_SENT, Reader, ServerCode, server_json};
pub use language::Language;
pub use redirect::redirect;
pub use words::{Label, Topic, Words};
