//! The front door of a plugNmeet deployment.
//!
//! # The life of a request
//!
//! [`listen`] accepts a connection and, behind a trusted balancer, reads from its PROXY header whose it is. [`tls`]
//! shakes hands under a deadline and shows the certificate for the name that was asked for. [`conn`] speaks HTTP/1.1 or
//! HTTP/2 on it under deadlines, finds out who the client really is, and hands each request to [`route`], where it goes
//! one way:
//!
//! 1. `route::target`: a target that some program would read otherwise, or at none of our names, is refused;
//! 2. [`urls`]: the row of the path says what is done, who may send requests, and in which form errors are answered;
//! 3. `route::Router::act`: the module of the path answers. [`session`] takes a token out of a link and puts it into
//!    a cookie, [`issue`] answers `getJoinToken` and counts requests for tokens elsewhere, [`webapp`] has the client's
//!    files, [`proxy`] asks an upstream, and a WebSocket goes on as a tunnel ([`upgrade`]);
//! 4. `route::finish`: headers that all answers have, and the access record.
//!
//! What goes wrong on the way is a [`reply::Failure`], which is written once, in the form that the caller can read.
//!
//! # The modules
//!
//! A module knows only modules on lower layers, and none on its own. `tests/architecture` keeps that.
//!
//! | layer | module | is there for |
//! | --- | --- | --- |
//! | 1 | [`cli`] | the commands; arguments and environment |
//! | 2 | [`adopt`] | from the files of an official installation to a configuration |
//! | 2 | [`doctor`] | is everything around the gateway as it has to be |
//! | 2 | [`swap`] | the gateway takes HAProxy's place on a machine, and gives it back |
//! | 2 | [`gateway`] | assembly: from a plan to a running gateway, and another plan in its place |
//! | 3 | [`config`] | the file and the environment -> the plan: the settings of every module, with every problem |
//! | 4 | [`control`] | the control socket: what an operator asks a running gateway |
//! | 4 | [`listen`] | sockets: accepting, PROXY protocol, redirect to HTTPS, admin |
//! | 5 | [`tls`] | handshakes and certificates |
//! | 6 | [`conn`] | one connection: HTTP/1.1 and HTTP/2, deadlines, who the client is |
//! | 7 | [`route`] | the request path |
//! | 8 | [`session`] | from the token in a link to the cookie of a session |
//! | 8 | [`check_page`] | the page that says whether a browser can get in |
//! | 9 | [`issue`] | tokens: `getJoinToken`, and the joins of BBB, LTI and breakout rooms |
//! | 9 | [`acme`] | certificates by themselves, ordered from a CA and renewed |
//! | 9 | [`turn`] | TURN beside HTTPS: which connections are its, and how `LiveKit` wants them |
//! | 10 | [`proxy`] | one request to an upstream and its answer back |
//! | 11 | [`upgrade`] | WebSockets: handshake judged on both sides, tunnel |
//! | 11 | [`relay`] | bytes of other protocols than HTTP, from a client to an upstream and back |
//! | 11 | [`webapp`] | the client's files and its page |
//! | 12 | [`token`] | tokens and signatures, checked and made; the keys |
//! | 12 | [`design`] | `custom_design`, checked |
//! | 12 | [`limits`] | rate limits, counted in memory or in Redis |
//! | 12 | [`places`] | places of client connections, and who makes room when they run short |
//! | 12 | [`blocks`] | who was removed from a meeting and blocked in it |
//! | 12 | [`joining`] | how many people are on their way in at once, and who waits |
//! | 12 | [`memory`] | what is remembered of sessions between requests |
//! | 12 | [`context`] | who sent a request, in which form it reads errors, and by which name of ours it came |
//! | 13 | [`reply`] | bodies, and errors in the form that the caller can read |
//! | 13 | [`observe`] | the log, access records, audit lines, metrics |
//! | 14 | [`urls`] | the URL space: every path that means something, as a row of data |
//! | 14 | [`http`] | small facts of HTTP that several modules need |
//! | 14 | [`query`] | query strings, as browsers read them |
//! | 14 | [`official`] | the files of an official installation, each value with its line |
//! | 14 | [`handover`] | a running gateway hands over to a new one |
//! | 14 | [`notify`] | tells a service manager how the gateway is |
//! | 14 | [`client_body`] | a request's body, and what is left of it when nobody reads it |
//! | 14 | [`ahead`] | bytes of a stream that were read already, and are read again first |
//! | 14 | [`client_stream`] | the stream of a client's connection that switches to another protocol |
//! | 14 | [`interim`] | interim answers (1xx) on their way to the client |
//! | 14 | [`on_wake`] | a future that is polled only when it has been woken |
//! | 14 | [`addr`], [`clock`], [`drain`], [`request_id`], [`secret`], [`workers`] | values that all others speak of |

// They panic where nobody reads any more; what commands say goes through `cli::output`.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod acme;
pub mod addr;
pub mod adopt;
pub mod ahead;
pub mod blocks;
pub mod check_page;
pub mod cli;
pub mod client_body;
pub mod client_stream;
pub mod clock;
pub mod config;
pub mod conn;
pub mod context;
pub mod control;
pub mod design;
pub mod doctor;
pub mod drain;
pub mod gateway;
pub mod handover;
pub mod http;
pub mod interim;
pub mod issue;
pub mod joining;
pub mod limits;
pub mod listen;
pub mod memory;
pub mod notify;
pub mod observe;
pub mod official;
pub mod on_wake;
pub mod places;
pub mod proxy;
pub mod query;
pub mod relay;
pub mod reply;
pub mod request_id;
pub mod route;
pub mod secret;
pub mod session;
pub mod swap;
pub mod tls;
pub mod token;
pub mod turn;
pub mod upgrade;
pub mod urls;
pub mod webapp;
pub mod workers;
