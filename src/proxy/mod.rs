//! Forwarding: sends one request to one upstream and its answer back to the client, and streams both bodies.
//!
//! The bytes of the target stay as they came, because BBB's checksums and LTI's signatures cover them. Fields for one
//! hop are removed, the fields that name the client are written anew, and bodies pass under limits of size and rate.
//!
//! Not here: which request goes where (`crate::route`), WebSockets once they are open (`crate::upgrade`).
//!
//! Sources: RFC 9110 section 7, RFC 9112 section 6.3, docs/plugnmeet.md sections 0.14 to 0.20 and 10.

mod address;
mod addresses;
mod answer;
mod answer_head;
mod body;
mod connect;
mod connection_limit;
mod dial;
mod endpoint;
mod error;
mod headers;
mod http1;
mod once;
mod own_request;
mod pool;
mod prefix;
mod resolve;
mod seldom;
mod stream;
mod total;
mod turns;
mod upstream;

pub use addresses::Target;
pub use body::{BodyError, Watch};
pub use dial::{Dial, DialError, DialSettings};
pub use error::ProxyError;
pub use headers::{Forwarded, to_upstream};
pub use once::once;
pub use own_request::{OwnClient, addresses};
pub use prefix::below_prefix;
pub use stream::UpstreamStream;
pub use total::Total;
pub use upstream::{ProxySettings, Shared, Upstream, UpstreamKind, WebSockets};
