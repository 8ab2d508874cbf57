//! The header fields of a forwarded request: those for one hop are removed, and those that name the client are written
//! anew.
//!
//! SECURITY: a client must not be able to take off, by listing it in `Connection`, a field on which a check here or
//! upstream relies (RFC 9110 section 7.6.1 would have us remove it).

use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
};

use crate::{
    addr::ClientAddr,
    context::RequestContext,
    http::{ACCESS_COOKIE, exactly_one},
};

/// Is this a field for one hop only (RFC 9110 section 7.6.1), or an older one with the same meaning?
pub(super) fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "keep-alive"
            | "proxy-connection"
    )
}

/// Fields that are kept even where `Connection` lists them, because a check here or upstream relies on them.
const RELIED_ON: [&str; 14] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "authorization",
    "api-key",
    "hash-signature",
    "room-id",
    "origin",
    "cookie",
    "sec-websocket-key",
    "sec-websocket-version",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
];

/// Is this a field by which other proxies name the client or the host? Some upstreams would believe it, so it is never
/// passed on. Neither are fields that some programs take for another target or method than the one that was checked
/// here, or for a setting of their own: CGI turns `Proxy` into the variable `HTTP_PROXY`, and libraries send their
/// requests to the address in it (CVE-2016-5385).
fn is_claim(name: &str) -> bool {
    matches!(
        name,
        "forwarded"
            | "forwarded-for"
            | "x-real-ip"
            | "x-client-ip"
            | "client-ip"
            | "x-cluster-client-ip"
            | "x-proxyuser-ip"
            | "true-client-ip"
            | "cf-connecting-ip"
            | "cf-connecting-ipv6"
            | "fastly-client-ip"
            | "fly-client-ip"
            | "wl-proxy-client-ip"
            | "x-azure-clientip"
            | "x-azure-socketip"
            | "x-appengine-user-ip"
            | "x-envoy-external-address"
            | "x-originating-ip"
            | "x-forward-for"
            | "x-sucuri-clientip"
            | "x-nf-client-connection-ip"
            | "do-connecting-ip"
            | "incap-client-ip"
            | "ali-cdn-real-ip"
            | "cdn-src-ip"
            | "cf-visitor"
            | "x-remote-addr"
            | "x-remote-ip"
            | "remote-addr"
            | "x-url-scheme"
            | "x-scheme"
            | "front-end-https"
            | "x-arr-ssl"
            | "x-host"
            | "x-http-host-override"
            | "x-http-method-override"
            | "x-method-override"
            | "x-http-method"
            | "x-proxy-path"
            | "proxy"
    )
}

const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Beginnings of further field names that are never passed on, for the same reasons as those of `is_claim`.
const CLAIM_PREFIXES: [&str; 4] = ["x-forwarded", "x-original-", "x-rewrite-", "x-vercel-"];

/// The fields that are written anew: which host is meant, and who asks. They are in no map, as a map that grows by them is
/// built twice. They are small, because the server reads at most 4096 bytes of header in all (docs/plugnmeet.md section
/// 0.14).
#[derive(Debug)]
pub struct Forwarded {
    host: HeaderValue,
    client: ClientAddr,
    proto: &'static str,
    /// What the client has asked a trusted proxy for. None: it is `host`.
    asked_host: Option<HeaderValue>,
}

impl Forwarded {
    /// Writes them as lines of a head.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let host = self.host.as_bytes();
        let asked_host = self.asked_host.as_ref().map_or(host, HeaderValue::as_bytes);
        for (name, value) in [
            ("host: ", host),
            ("\r\nx-forwarded-host: ", asked_host),
            ("\r\nx-forwarded-proto: ", self.proto.as_bytes()),
        ] {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(value);
        }
        out.extend_from_slice(b"\r\nx-forwarded-for: ");
        self.client.append_to(out);
        out.extend_from_slice(b"\r\n");
    }
}

/// Leaves of the header fields of a client's request those that the upstream gets, and returns those that are written anew.
/// The `Cookie` field stays only with `reads_cookies`, and without the cookies of sessions.
pub fn to_upstream(headers: &mut HeaderMap, context: &RequestContext, reads_cookies: bool) -> Forwarded {
    let proto = claimed(headers, context, FORWARDED_PROTO);
    remove_listed(headers);
    remove_all(headers, |name| is_hop_by_hop(name) || is_refused(name));
    if reads_cookies {
        drop_session_cookies(headers);
    } else {
        headers.remove(header::COOKIE);
    }
    headers.remove(header::EXPECT);
    headers.remove(header::HOST);
    // For WebSockets some proxies send `ws` and `wss`.
    let is = |scheme: &[u8]| {
        let proto = proto.as_ref().map(HeaderValue::as_bytes);
        proto.is_some_and(|proto| proto.eq_ignore_ascii_case(scheme))
    };
    Forwarded {
        host: context.authority.clone(),
        client: context.client(),
        proto: if is(b"http") || is(b"ws") { "http" } else { "https" },
        asked_host: context.forwarded_host.clone(),
    }
}

/// The value of a field, if a trusted proxy sent the request and the field is there exactly once.
fn claimed(headers: &HeaderMap, context: &RequestContext, name: HeaderName) -> Option<HeaderValue> {
    if !context.arrival.peer.via_proxy {
        return None;
    }
    exactly_one(headers, name).cloned()
}

/// Must a field with this name not be passed on? It claims something that only the gateway may say, or its name has an
/// underscore, which some programs read as a hyphen.
fn is_refused(name: &str) -> bool {
    let begins_as_claim = || CLAIM_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    // All of them begin so, and few other names do.
    is_claim(name)
        || (name.starts_with("x-") && begins_as_claim())
        || name.starts_with("cloudfront-")
        || name.contains('_')
}

/// The names of session cookies, or their beginnings (`crate::session`). The access token is for the client and
/// plugnmeet-server, the others are for the gateway alone.
const SESSION_COOKIES: [&str; 3] = [ACCESS_COOKIE, "__Secure-pnm_", "__Host-pnm_"];

/// Removes the session cookies from `Cookie`, and leaves the bytes of all others as they came. Browsers send what a
/// page has set, and that need not be ASCII (RFC 6265 section 5.4).
fn drop_session_cookies(headers: &mut HeaderMap) {
    let kept: Vec<&[u8]> = headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .map(<[u8]>::trim_ascii)
        .filter(|pair| {
            !pair.is_empty()
                && !SESSION_COOKIES
                    .iter()
                    .any(|name| pair.starts_with(name.as_bytes()))
        })
        .collect();
    let kept = HeaderValue::from_bytes(&kept.join(&b"; "[..]));
    headers.remove(header::COOKIE);
    if let Ok(kept) = kept
        && !kept.is_empty()
    {
        headers.insert(header::COOKIE, kept);
    }
}

/// Removes the fields that `Connection` lists, except those in `RELIED_ON`.
pub(super) fn remove_listed(headers: &mut HeaderMap) {
    // `Connection` may have several lines, and all of them count.
    let listed: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .filter_map(|token| HeaderName::from_bytes(token.trim_ascii()).ok())
        .filter(|name| !RELIED_ON.contains(&name.as_str()))
        .collect();
    for name in listed {
        headers.remove(name);
    }
}

/// Removes each field for whose name `goes` returns true. It walks over the fields that are there, which are fewer than
/// the names that are looked for.
pub(super) fn remove_all(headers: &mut HeaderMap, goes: impl Fn(&str) -> bool) {
    let gone: Vec<HeaderName> = headers
        .keys()
        .filter(|name| goes(name.as_str()))
        .cloned()
        .collect();
    for name in gone {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        context::{Arrival, Peer},
        reply::Format,
        request_id::RequestIds,
    };

    fn sent(fields: &[(&'static str, &'static str)], reads_cookies: bool) -> HeaderMap {
        sent_by(fields, reads_cookies, false)
    }

    fn sent_by(fields: &[(&'static str, &'static str)], reads_cookies: bool, via_proxy: bool) -> HeaderMap {
        sent_with(fields, reads_cookies, via_proxy, None)
    }

    fn sent_with(
        fields: &[(&'static str, &'static str)],
        reads_cookies: bool,
        via_proxy: bool,
        forwarded_host: Option<&'static str>,
    ) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let context = RequestContext {
            arrival: Arrival {
                id: RequestIds::default().next(),
                peer: Peer {
                    client: ClientAddr("192.0.2.7".parse().unwrap()),
                    local: "192.0.2.1:443".parse().unwrap(),
                    via_proxy,
                },
                error_form: Format::Page { json: true },
            },
            our_name: "conf.example.org".into(),
            authority: HeaderValue::from_static("conf.example.org"),
            forwarded_host: forwarded_host.map(HeaderValue::from_static),
        };
        let mut written = Vec::new();
        to_upstream(&mut headers, &context, reads_cookies).write(&mut written);
        for line in String::from_utf8(written).unwrap().split_terminator("\r\n") {
            let (name, value) = line.split_once(": ").unwrap();
            let name = HeaderName::try_from(name).unwrap();
            headers.append(name, HeaderValue::try_from(value).unwrap());
        }
        headers
    }

    /// RFC 9110 section 7.6.1: fields named by `Connection` are for this hop only.
    #[test]
    fn drops_what_any_connection_line_names() {
        let fields = [
            ("connection", "x-one"),
            ("connection", "close, X-Two"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x-3", "3"),
        ];
        let headers = sent(&fields, true);
        assert!(!headers.contains_key("x-one") && !headers.contains_key("x-two"));
        assert!(!headers.contains_key("connection"));
        assert!(headers.contains_key("x-3"));
    }

    #[test]
    fn connection_cannot_take_off_what_is_relied_on() {
        let fields = [
            (
                "connection",
                "api-key, HASH-SIGNATURE, authorization, host, x-forwarded-for, content-type",
            ),
            ("api-key", "k"),
            ("hash-signature", "s"),
            ("authorization", "t"),
            ("content-type", "application/json"),
        ];
        let headers = sent(&fields, true);
        for name in ["api-key", "hash-signature", "authorization", "content-type"] {
            assert!(headers.contains_key(name), "{name}");
        }
        assert_eq!(headers["x-forwarded-for"], "192.0.2.7");
        assert_eq!(headers["host"], "conf.example.org");
    }

    #[test]
    fn says_anew_who_the_client_is() {
        let fields = [
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-for", "10.0.0.2"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "evil.example"),
            ("x-real-ip", "10.0.0.1"),
            ("forwarded", "for=10.0.0.1"),
            ("x-forwarded", "for=10.0.0.1"),
            ("x-forwarded-prefix", "/x"),
            ("x-original-url", "/auth"),
            ("x-rewrite-url", "/auth"),
            ("x-http-method-override", "GET"),
        ];
        let headers = sent(&fields, true);
        assert_eq!(
            headers.get_all("x-forwarded-for").iter().collect::<Vec<_>>(),
            ["192.0.2.7"]
        );
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-host"], "conf.example.org");
        let ours = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "host"];
        assert!(
            headers.keys().all(|name| ours.contains(&name.as_str())),
            "{headers:?}"
        );
    }

    #[test]
    fn a_trusted_proxys_one_word_on_scheme_and_host_counts() {
        let fields = [
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "meet.example.org:444"),
        ];
        let headers = sent_with(&fields, true, true, Some("meet.example.org:444"));
        assert_eq!(headers["x-forwarded-proto"], "http");
        assert_eq!(headers["x-forwarded-host"], "meet.example.org:444");
        // A scheme is written in any case (RFC 3986 section 3.1).
        for (said, meant) in [
            ("ws", "http"),
            ("wss", "https"),
            ("HTTP", "http"),
            ("Https", "https"),
        ] {
            let headers = sent_by(&[("x-forwarded-proto", said)], true, true);
            assert_eq!(headers["x-forwarded-proto"], meant);
        }
        // What is relied on can't be taken off.
        let listed = [("connection", "x-forwarded-proto"), ("x-forwarded-proto", "http")];
        assert_eq!(sent_by(&listed, true, true)["x-forwarded-proto"], "http");
        // A host that is not one of our names is not in `forwarded_host`.
        assert_eq!(
            sent_by(&fields, true, true)["x-forwarded-host"],
            "conf.example.org"
        );
        let odd = [
            ("x-forwarded-proto", "gopher"),
            ("x-forwarded-host", "a b"),
            ("x-forwarded-host", "c"),
        ];
        let headers = sent_by(&odd, true, true);
        assert_eq!(headers["x-forwarded-proto"], "https");
        assert_eq!(headers["x-forwarded-host"], "conf.example.org");
    }

    #[test]
    fn drops_what_would_change_the_method() {
        for name in ["x-http-method-override", "x-method-override", "x-http-method"] {
            assert!(!sent(&[(name, "POST")], true).contains_key(name), "{name}");
        }
    }

    #[test]
    fn drops_what_a_program_would_take_for_its_own_setting() {
        for name in ["proxy", "x-proxy-path"] {
            assert!(
                !sent(&[(name, "http://evil.example")], true).contains_key(name),
                "{name}"
            );
        }
    }

    #[test]
    fn cookies_that_are_kept_stay_the_bytes_that_they_were() {
        for bytes in [&b"a=\xc3\xa4"[..], b"a=\xe4; express_sid=s%3Ax; b=\"q\""] {
            let mut headers = HeaderMap::new();
            let line = [b"pnm_access_token=a.b.c; ", bytes].concat();
            headers.insert(header::COOKIE, HeaderValue::from_bytes(&line).unwrap());
            drop_session_cookies(&mut headers);
            assert_eq!(headers["cookie"].as_bytes(), bytes);
        }
    }

    #[test]
    fn drops_names_with_an_underscore_and_unread_cookies() {
        let fields = [
            ("api_key", "k"),
            ("x_forwarded_for", "10.0.0.1"),
            ("cookie", "a=b"),
        ];
        let headers = sent(&fields, false);
        for name in ["api_key", "x_forwarded_for", "cookie"] {
            assert!(!headers.contains_key(name), "{name}");
        }
        assert_eq!(sent(&fields, true)["cookie"], "a=b");
        let with_session = [
            ("cookie", "x=1; pnm_access_token=a.b.c; __Secure-pnm_session=s"),
            ("cookie", "__Host-pnm_session=s; y=2"),
        ];
        assert_eq!(sent(&with_session, true)["cookie"], "x=1; y=2");
        assert!(!sent(&[("cookie", "pnm_access_token=a.b.c")], true).contains_key("cookie"));
    }
}
