//! Mends the links in BBB's XML, which clients can't follow as plugnmeet-server writes them.
//!
//! In the answers to `getRecordings` and to a `join` with `redirect=false`, links begin with `HTTP/1.1` in place of a
//! scheme. A join's link also has its design as raw JSON, which a `#` in a colour would cut off. So the design is
//! encoded, and checked like that of a redirect.
//!
//! Nothing else in an answer changes. An answer that is compressed, too long, or no XML is passed on as it is.
//!
//! Sources: docs/plugnmeet.md sections 0.19, 5 and 7; plugnmeet-server 2.4.0, its BBB controller.

use http_body::Body as _;
use hyper::{
    HeaderMap, Response, StatusCode,
    header::{self, HeaderValue},
    http::uri::Authority,
};

use super::Router;
use crate::{
    context::RequestContext,
    http::whole,
    reply::{Body, Failure},
    session::ServerLink,
};

/// The beginning of an address as the server writes it without `bbb_join_host`, with the end of its element's tag.
const ODD_SCHEME: &str = ">HTTP/1.1://";

/// The largest XML that is read: a list of some ten thousand recordings. A longer answer is passed on unchanged.
const MAX_XML_BYTES: usize = 4 * 1024 * 1024;

impl Router {
    pub(super) async fn with_links(
        &self,
        response: Response<Body>,
        context: &RequestContext,
    ) -> Result<Response<Body>, Failure> {
        let (mut head, body) = response.into_parts();
        let is_short = body
            .size_hint()
            .exact()
            .is_none_or(|length| length <= MAX_XML_BYTES as u64);
        if head.status != StatusCode::OK || !is_plain_xml(&head.headers) || !is_short {
            return Ok(Response::from_parts(head, body));
        }
        let whole = whole(body, MAX_XML_BYTES).await.map_err(|_| {
            let message = "the meeting server's answer broke off, or is too long";
            Failure::new(StatusCode::BAD_GATEWAY, "upstream_broken", message)
        })?;
        let mended = str::from_utf8(&whole)
            .ok()
            .and_then(|xml| mended(xml, |link| self.checked(link, context)));
        let Some(mended) = mended else {
            return Ok(Response::from_parts(head, whole.into()));
        };
        head.headers
            .insert(header::CONTENT_LENGTH, HeaderValue::from(mended.len()));
        Ok(Response::from_parts(head, mended.into()))
    }

    /// The query of a link to this gateway.
    fn checked(&self, link: &ServerLink<'_>, context: &RequestContext) -> Option<String> {
        let authority = link.authority?.parse::<Authority>().ok()?;
        self.hosts.known(authority.host())?;
        Some(self.sessions.query_in_an_answer(link, context))
    }
}

fn is_plain_xml(headers: &HeaderMap) -> bool {
    let media = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    !headers.contains_key(header::CONTENT_ENCODING)
        && media.is_some_and(|media| media.starts_with(b"application/xml") || media.starts_with(b"text/xml"))
}

/// The XML with its links mended; none if there is nothing to mend. `checked` makes the new query of a link that leads
/// here.
fn mended(xml: &str, checked: impl Fn(&ServerLink<'_>) -> Option<String>) -> Option<String> {
    let schemed = xml.replace(ODD_SCHEME, ">https://");
    let linked = with_link(&schemed, checked).unwrap_or(schemed);
    (linked != xml).then_some(linked)
}

/// The XML with a join's link made anew.
fn with_link(xml: &str, checked: impl Fn(&ServerLink<'_>) -> Option<String>) -> Option<String> {
    const BEGIN: &str = "<url>";
    let (before, rest) = xml.split_once(BEGIN)?;
    let (escaped, after) = rest.split_once("</url>")?;
    let location = unescaped(escaped)?;
    let link = ServerLink::in_text(&location)?;
    let query = checked(&link)?;
    let address = location.split('?').next()?;
    Some(format!(
        "{before}{BEGIN}{}</url>{after}",
        escape(&format!("{address}?{query}"))
    ))
}

/// Decodes a text as Go's `encoding/xml` does; none if that would fail.
fn unescaped(text: &str) -> Option<String> {
    let mut pieces = text.split('&');
    let mut plain = pieces.next()?.to_owned();
    for piece in pieces {
        let (name, rest) = piece.split_once(';')?;
        plain.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = name.strip_prefix('#')?;
                let code = match number.strip_prefix(['x', 'X']) {
                    Some(hex) => u32::from_str_radix(hex, 16),
                    None => number.parse(),
                };
                char::from_u32(code.ok()?)?
            }
        });
        plain.push_str(rest);
    }
    Some(plain)
}

/// Escapes a text as Go's `encoding/xml` does.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&#34;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn join(url: &str) -> String {
        format!(
            "<response><returncode>SUCCESS</returncode><session_token>a.b.c</session_token><url>{url}</url></response>"
        )
    }

    fn mend(xml: &str) -> Option<String> {
        mended(xml, |link| Some(link.query()))
    }

    #[test]
    fn a_scheme_is_mended_where_an_address_begins_and_nowhere_else() {
        let recordings = "<recording><name>HTTP/1.1://x and a&gt;HTTP/1.1://y</name>\
                          <url>HTTP/1.1://a.example/download/recording/x.y.z</url></recording>";
        let expected = recordings.replace("<url>HTTP/1.1", "<url>https");
        assert_eq!(
            mend(&recordings.replace("<name>HTTP", "<name> HTTP")),
            Some(expected.replace("<name>HTTP", "<name> HTTP"))
        );
        for same in [
            "<response><returncode>SUCCESS</returncode><running>true</running></response>",
            "<url>https://a.example/x</url>",
            &join("https://a.example/?access_token=a.b.c"),
            "",
        ] {
            assert_eq!(mend(same), None, "{same}");
        }
    }

    #[test]
    fn a_joins_design_is_encoded_as_a_browser_would() {
        for (from, to) in [
            (
                "HTTP/1.1://a.example/?access_token=a.b.c",
                "https://a.example/?access_token=a.b.c",
            ),
            (
                "HTTP/1.1://a.example/?access_token=a.b.c&amp;custom_design={&#34;primary_color&#34;:&#34;#fff&#34;}",
                "https://a.example/?access_token=a.b.c&amp;custom_design=%7B%22primary_color%22%3A%22%23fff%22%7D",
            ),
            (
                "https://a.example/?access_token=a.b.c&amp;custom_design={&quot;custom_logo&quot;:&quot;https://b.example/é.png?a=1&amp;b=2&quot;}",
                "https://a.example/?access_token=a.b.c&amp;custom_design=%7B%22custom_logo%22%3A%22https%3A%2F%2Fb.example%2F%C3%A9.png%3Fa%3D1%26b%3D2%22%7D",
            ),
        ] {
            assert_eq!(mend(&join(from)), Some(join(to)), "{from}");
        }
    }

    #[test]
    fn links_that_are_not_ours_keep_their_query() {
        let foreign = join("HTTP/1.1://a.example/?access_token=a.b.c&amp;custom_design={&#34;x&#34;:1}");
        let expected = foreign.replace("HTTP/1.1", "https");
        assert_eq!(mended(&foreign, |_| None), Some(expected));
    }

    #[test]
    fn a_text_is_read_and_written_as_go_does() {
        let text = "&<>\"'é\n";
        assert_eq!(unescaped(&escape(text)).as_deref(), Some(text));
        assert_eq!(unescaped("&#xA;&#10;&#X41;").as_deref(), Some("\n\nA"));
        for odd in ["&", "&amp", "&nbsp;", "&#;", "&#x110000;", "&#-1;"] {
            assert_eq!(unescaped(odd), None, "{odd}");
        }
    }
}
