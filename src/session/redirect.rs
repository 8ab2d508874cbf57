//! Join links in plugnmeet-server's redirects: the gateway puts the token of such a link into the cookie, so that no
//! browser sees it in `Location`.
//!
//! BBB's `join` writes the design behind the token as raw JSON (`crate::design` encodes it). Without `bbb_join_host`
//! the server's address begins with `HTTP/1.1://`.
//!
//! Sources: docs/plugnmeet.md sections 0.19, 5 and 7.

use hyper::{Response, header};

use super::{SessionError, Sessions, TOKEN_PARAMETER, Visit};
use crate::{
    context::RequestContext, design::encoded_server_query, http::exactly_one, query::Query, reply::Body,
    token::Unverified,
};

/// The target of a redirect that the server sends.
pub struct ServerLink<'a> {
    /// The host and port; none if the target is relative.
    pub authority: Option<&'a str>,
    /// The path; empty for the root.
    pub path: &'a str,
    query: &'a str,
}

impl<'a> ServerLink<'a> {
    /// The target of an answer's `Location`, if its query has a token.
    pub fn of<B>(response: &'a Response<B>) -> Option<Self> {
        if !response.status().is_redirection() {
            return None;
        }
        let location = exactly_one(response.headers(), header::LOCATION)?;
        Self::in_text(str::from_utf8(location.as_bytes()).ok()?)
    }

    /// The link in this text, if its query has a token.
    pub fn in_text(location: &'a str) -> Option<Self> {
        let (address, query) = location.split_once('?')?;
        if Query(query).only(TOKEN_PARAMETER) == Ok(None) {
            return None;
        }
        let after_scheme = address.split_once("://").map(|(_, rest)| rest);
        let (authority, path) = match after_scheme.or_else(|| address.strip_prefix("//")) {
            None => (None, address),
            Some(rest) => {
                let slash = rest.find('/').unwrap_or(rest.len());
                let (authority, path) = rest.split_at_checked(slash)?;
                (Some(authority), path)
            }
        };
        Some(Self {
            authority,
            path,
            query,
        })
    }

    /// The query, encoded as a browser would have to send it.
    pub fn query(&self) -> String {
        encoded_server_query(self.query)
    }
}

impl Sessions {
    /// Answers with the redirect to the session's page, in place of the server's redirect to a link with a token.
    pub async fn finish(&self, visit: &Visit<'_>) -> Result<Response<Body>, SessionError> {
        let query = self.mended(visit.query, visit.context)?;
        let token = Query(&query).only(TOKEN_PARAMETER);
        let token = token.map_err(|_| SessionError::TwoTokens)?;
        let mended = Visit {
            query: &query,
            ..*visit
        };
        self.hand_off(&mended, &token.unwrap_or_default()).await
    }

    /// The query of a link that plugnmeet-server wrote, as a browser has to write it and without bad fields in its design:
    /// whatever `design.on_invalid` says, as who joins can't mend what the server was given.
    fn mended(&self, raw: &str, context: &RequestContext) -> Result<String, SessionError> {
        let mended = self.design.of_server(raw).map_err(|_| SessionError::TwoDesigns)?;
        if !mended.taken.is_empty()
            && let Ok(Some(token)) = Query(&mended.query).only(TOKEN_PARAMETER)
            && let Ok(verified) = self.keys.verify(Unverified(&token), self.clock.unix())
        {
            self.tell_taken(&mended.taken, &verified.claims, context);
        }
        Ok(mended.query)
    }

    /// The query of a link that the server hands out in an answer, without the bad fields of its design: a client that
    /// reads such an answer could not show our page about them.
    pub fn query_in_an_answer(&self, link: &ServerLink<'_>, context: &RequestContext) -> String {
        self.mended(link.query, context)
            .unwrap_or_else(|_| Query(&link.query()).without("custom_design"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(location: &str) -> Option<(Option<String>, String, String)> {
        let response = Response::builder()
            .status(302)
            .header(
                "location",
                header::HeaderValue::from_bytes(location.as_bytes()).unwrap(),
            )
            .body(())
            .unwrap();
        ServerLink::of(&response).map(|link| {
            let authority = link.authority.map(str::to_owned);
            (authority, link.path.to_owned(), link.query())
        })
    }

    #[test]
    fn reads_what_bbb_writes() {
        for (location, authority, path, query) in [
            (
                "https://a.example/?access_token=x.y.z",
                Some("a.example"),
                "/",
                "access_token=x.y.z",
            ),
            (
                "HTTP/1.1://a.example/?access_token=x",
                Some("a.example"),
                "/",
                "access_token=x",
            ),
            (
                "https://a.example:8443/conference/?access_token=x",
                Some("a.example:8443"),
                "/conference/",
                "access_token=x",
            ),
            (
                "//a.example/?access_token=x",
                Some("a.example"),
                "/",
                "access_token=x",
            ),
            ("/?access_token=x", None, "/", "access_token=x"),
            ("/?access_token=x#top", None, "/", "access_token=x"),
            (
                "/?access_token=x&custom_design={\"primary_color\":\"#fff\"}#top",
                None,
                "/",
                "access_token=x&custom_design=%7B%22primary_color%22%3A%22%23fff%22%7D",
            ),
            (
                "https://a.example?access_token=x",
                Some("a.example"),
                "",
                "access_token=x",
            ),
            (
                r#"https://a.example/?access_token=x&custom_design={"custom_logo":"https://b.example/é.png?a=1&b=2#c"}"#,
                Some("a.example"),
                "/",
                "access_token=x&custom_design=%7B%22custom_logo%22%3A%22https%3A%2F%2Fb.example%2F%C3%A9.png%3Fa%3D1%26b%3D2%23c%22%7D",
            ),
            (
                "/?access_token=x&custom_design={\"custom_logo\" : \"%41 }\"}&y=1",
                None,
                "/",
                "access_token=x&custom_design=%7B%22custom_logo%22+%3A+%22%2541+%7D%22%7D&y=1",
            ),
            (
                "/?access_token=x&custom_design=%7B%22a%22%3A1%7D",
                None,
                "/",
                "access_token=x&custom_design=%7B%22a%22%3A1%7D",
            ),
            (
                "/?access_token=x&custom_design={broken&y=1",
                None,
                "/",
                "access_token=x&custom_design=%7Bbroken%26y%3D1",
            ),
        ] {
            let expected = (authority.map(str::to_owned), path.to_owned(), query.to_owned());
            assert_eq!(link(location), Some(expected), "{location}");
        }
    }

    #[test]
    fn what_carries_no_token_is_no_link() {
        for location in [
            "/",
            "/?x=1",
            "https://files.example/a?access_tokens=1",
            "/?access_token=",
        ] {
            assert_eq!(link(location), None, "{location}");
        }
        let fine = Response::builder()
            .status(200)
            .header("location", "/?access_token=x")
            .body(())
            .unwrap();
        assert!(ServerLink::of(&fine).is_none());
    }
}
