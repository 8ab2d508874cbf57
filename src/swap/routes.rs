//! What each route of the front has to answer.

use std::{fmt, net::SocketAddr};

use rustls::pki_types::ServerName;
use url::Url;

use super::exchange::{Front, Said, Silent};
use crate::secret::Secret;

/// What is asked for after a swap.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a route that is there or not"
)]
#[derive(Default)]
pub struct Routes {
    /// Where the client lives.
    pub mount: String,
    /// A join token of a room that nobody is in.
    pub token: Option<Secret<String>>,
    pub server: bool,
    pub nats: bool,
    pub livekit: bool,
    pub ingress: bool,
    pub etherpad: bool,
    /// Are checks of a CA's answered or passed on?
    pub acme: bool,
    /// The name by which TURN is asked for, if it is on.
    pub turn: Option<ServerName<'static>>,
    pub tcp: Vec<SocketAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Files,
    Join,
    Health,
    Nats,
    LiveKit,
    Whip,
    Etherpad,
    Redirect(SocketAddr),
    Acme(SocketAddr),
    Turn,
    Tcp(SocketAddr),
}

impl Route {
    /// Is it asked for in the same way behind HAProxy, so that what is broken there too is no fault of the swap's?
    pub(super) fn is_behind_haproxy_too(&self) -> bool {
        matches!(
            self,
            Self::Health
                | Self::Nats
                | Self::LiveKit
                | Self::Whip
                | Self::Etherpad
                | Self::Turn
                | Self::Tcp(_)
        )
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Files => f.write_str("the client's files"),
            Self::Join => f.write_str("a join link, to the joined page"),
            Self::Health => f.write_str("/healthCheck"),
            Self::Nats => f.write_str("/ws, to NATS' INFO"),
            Self::LiveKit => f.write_str("/livekit/rtc/validate"),
            Self::Whip => f.write_str("/whip"),
            Self::Etherpad => f.write_str("/etherpad/"),
            Self::Redirect(at) => write!(f, "http://{at}, to HTTPS"),
            Self::Acme(at) => write!(f, "http://{at}/.well-known/acme-challenge/"),
            Self::Turn => f.write_str("TURN over TLS"),
            Self::Tcp(at) => write!(f, "TCP at {at}"),
        }
    }
}

/// No page and no certificate's check has this name.
const ACME_PATH: &str = "/.well-known/acme-challenge/plugnmeet-gateway-swap";

impl Routes {
    /// In the order in which a participant needs them.
    pub(super) fn all(&self, http: Option<SocketAddr>) -> Vec<Route> {
        let wanted = [
            (true, Route::Files),
            (self.token.is_some(), Route::Join),
            (self.server, Route::Health),
            (self.nats, Route::Nats),
            (self.livekit, Route::LiveKit),
            (self.ingress, Route::Whip),
            (self.etherpad, Route::Etherpad),
            (self.turn.is_some(), Route::Turn),
        ];
        let of_http = http.into_iter().flat_map(|at| {
            let acme = self.acme.then_some(Route::Acme(at));
            [Some(Route::Redirect(at)), acme].into_iter().flatten()
        });
        wanted
            .into_iter()
            .filter_map(|(wanted, route)| wanted.then_some(route))
            .chain(of_http)
            .chain(self.tcp.iter().copied().map(Route::Tcp))
            .collect()
    }

    /// Asks for one; what it answered, or why that is not right.
    pub(super) async fn ask(&self, route: &Route, front: &Front) -> Result<String, Silent> {
        match route {
            Route::Files => {
                let said = front.get(&format!("{}/assets/config.js", self.mount), "").await?;
                expect(&said, |status| status == 200)
            }
            Route::Join => self.join(front).await,
            Route::Health => expect(&front.get("/healthCheck", "").await?, |status| status == 200),
            Route::Nats => {
                let said = front.socket("/ws").await?;
                let status = expect(&said, |status| status == 101)?;
                if memchr::memmem::find(&said.rest, b"INFO").is_some() {
                    Ok(format!("{status}, INFO"))
                } else {
                    Err(format!("{status}, and no INFO"))
                }
            }
            // Without a token it is 401; whoever sits there is LiveKit in any case.
            Route::LiveKit => expect(&front.get("/livekit/rtc/validate", "").await?, |status| {
                matches!(status, 200 | 400 | 401 | 403)
            }),
            Route::Whip => expect(&front.get("/whip", "").await?, is_from_behind),
            Route::Etherpad => expect(&front.get("/etherpad/", "").await?, is_from_behind),
            Route::Redirect(at) => {
                let said = front.get_plain(*at, "/").await?;
                expect(&said, |status| matches!(status, 301 | 302 | 307 | 308))
            }
            // certbot's own server runs only while it renews.
            Route::Acme(at) => expect(&front.get_plain(*at, ACME_PATH).await?, |status| {
                !matches!(status, 300..=399 | 421)
            }),
            Route::Turn => match &self.turn {
                Some(name) => front.turn(name).await.map(|()| "an answer of STUN's".to_owned()),
                None => Ok(String::new()),
            },
            Route::Tcp(at) => front.takes_connections(*at).await.map(|()| "taken".to_owned()),
        }
    }

    async fn join(&self, front: &Front) -> Result<String, Silent> {
        let token = self.token.as_ref().ok_or("there is no token")?.expose();
        let start = format!("{}/?access_token={token}", self.mount);
        let navigation = "Accept: text/html\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\n";
        let said = front.get(&start, navigation).await?;
        let first = expect(&said, |status| status == 303)?;
        let here = format!("https://{}{start}", front.authority);
        let there = Url::parse(&here)
            .ok()
            .zip(said.field("location"))
            .and_then(|(here, there)| here.join(there).ok())
            .ok_or("303 without a Location")?;
        let cookies: Vec<&str> = said
            .fields("set-cookie")
            .filter_map(|cookie| cookie.split(';').next())
            .collect();
        let cookies = format!("{navigation}Cookie: {}\r\n", cookies.join("; "));
        let said = front.get(there.path(), &cookies).await?;
        let second = expect(&said, |status| status == 200)?;
        let is_page = said
            .field("content-type")
            .is_some_and(|kind| kind.starts_with("text/html"));
        if is_page {
            Ok(format!("{first}, then {second}"))
        } else {
            Err(format!("{first}, then {second}, and no page"))
        }
    }
}

/// Did an upstream answer, whatever it said?
fn is_from_behind(status: u16) -> bool {
    !matches!(status, 421 | 502..=504)
}

fn expect(said: &Said, is_right: impl Fn(u16) -> bool) -> Result<String, Silent> {
    if is_right(said.status) {
        Ok(said.status.to_string())
    } else {
        Err(said.status.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_configured_is_not_asked_for() {
        let at: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let none = Routes::default();
        assert_eq!(none.all(None), [Route::Files]);
        let some = Routes {
            nats: true,
            acme: true,
            tcp: vec![at],
            ..Routes::default()
        };
        assert_eq!(
            some.all(Some(at)),
            [
                Route::Files,
                Route::Nats,
                Route::Redirect(at),
                Route::Acme(at),
                Route::Tcp(at)
            ]
        );
    }
}
