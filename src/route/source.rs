//! A source that an operator adds to a content security policy. No source that is accepted here can end the directive
//! that it is put into.
//!
//! Source: CSP level 3 sections 2.3.1 (source lists) and 6.7.2.8 (paths).

use url::{Host, Url};

/// The schemes that a source may name without a host.
const SCHEMES: [&str; 5] = ["https:", "wss:", "blob:", "data:", "mediastream:"];

const KEYWORDS: [&str; 8] = [
    "'self'",
    "'unsafe-inline'",
    "'unsafe-eval'",
    "'wasm-unsafe-eval'",
    "'strict-dynamic'",
    "'unsafe-hashes'",
    "'report-sample'",
    "'inline-speculation-rules'",
];

const HASHES: [&str; 3] = ["'sha256-", "'sha384-", "'sha512-"];

/// A checked source: `https://cdn.example.org`, `https://*.example.org/fonts/`, `wss:`, `'unsafe-eval'`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CspSource(String);

/// Why a source is refused. The text follows the source in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSource {
    /// The source has a byte that ends a source, a directive or a policy.
    #[error("has a character that would end it")]
    Separator,
    /// `'none'` beside another source would mean nothing, and alone it would take away what a meeting needs.
    #[error("can't be added to sources")]
    None,
    /// The source is a keyword in quotes that is not allowed.
    #[error("is no keyword of a policy")]
    Keyword,
    /// The source is a scheme that is not allowed without a host.
    #[error("is no scheme that may be opened")]
    Scheme,
    /// The source's scheme is not encrypted, so that its content could be changed on the way.
    #[error("is neither https nor wss")]
    Unencrypted,
    /// The source has no host, or has more than a scheme, a host, a port and a path.
    #[error("is no host with a scheme")]
    Host,
}

impl CspSource {
    pub fn parse(text: &str) -> Result<Self, BadSource> {
        if !can_stand(text) {
            return Err(BadSource::Separator);
        }
        if text.starts_with('\'') {
            keyword(text)?;
        } else if text.ends_with(':') {
            let known = SCHEMES.contains(&text);
            known.then_some(()).ok_or(BadSource::Scheme)?;
        } else {
            host(text)?;
        }
        Ok(Self(text.to_owned()))
    }

    /// The source as it is written in a policy.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Does the text have only visible ASCII, without the separators of directives and policies?
pub(super) fn can_stand(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b';' | b',' | b'"'))
}

fn keyword(text: &str) -> Result<(), BadSource> {
    if text.eq_ignore_ascii_case("'none'") {
        return Err(BadSource::None);
    }
    let is_hash = || {
        let value = HASHES
            .iter()
            .find_map(|start| text.strip_prefix(start)?.strip_suffix('\''));
        value.is_some_and(|value| {
            !value.is_empty()
                && value
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"+/-_=".contains(&b))
        })
    };
    (KEYWORDS.contains(&text) || is_hash())
        .then_some(())
        .ok_or(BadSource::Keyword)
}

/// Checks `SCHEME://HOST[:PORT][/PATH]`. The host may begin with `*.`, and the port may be `*`.
fn host(text: &str) -> Result<(), BadSource> {
    let (scheme, rest) = text.split_once("://").ok_or(BadSource::Host)?;
    if !matches!(scheme, "https" | "wss") {
        return Err(BadSource::Unencrypted);
    }
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let named = authority.strip_prefix("*.").unwrap_or(authority);
    let named = named.strip_suffix(":*").unwrap_or(named);
    let odd = |text: &str| text.contains(['*', '@', '%', '?', '#', '\\', '\'']);
    if odd(named) || path.contains(['?', '#', '\\', '\'']) {
        return Err(BadSource::Host);
    }
    let url = Url::parse(&format!("https://{named}/")).map_err(|_| BadSource::Host)?;
    let is_spelled_plainly = match url.host() {
        Some(Host::Domain(name)) => named
            .split(':')
            .next()
            .is_some_and(|given| given.eq_ignore_ascii_case(name)),
        Some(Host::Ipv4(_)) => !authority.starts_with("*."),
        // CSP has no way to write one.
        Some(Host::Ipv6(_)) | None => false,
    };
    is_spelled_plainly.then_some(()).ok_or(BadSource::Host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_hosts_schemes_and_keywords() {
        for text in [
            "https://cdn.example.org",
            "https://*.example.org",
            "https://*.example.org:8443/fonts/",
            "https://cdn.example.org:*",
            "wss://sfu.example.org",
            "https://192.0.2.7",
            "https://xn--bcher-kva.example",
            "https:",
            "blob:",
            "'unsafe-eval'",
            "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
        ] {
            assert_eq!(CspSource::parse(text).as_ref().map(CspSource::as_str), Ok(text));
        }
    }

    #[test]
    fn refuses_what_would_end_the_directive_or_open_too_much() {
        for (text, why) in [
            ("", BadSource::Separator),
            ("https://a.example; script-src *", BadSource::Separator),
            ("https://a.example;", BadSource::Separator),
            ("https://a.example,https://b.example", BadSource::Separator),
            ("https://a.example b", BadSource::Separator),
            ("https://a.example\r\nx: y", BadSource::Separator),
            ("https://bücher.example", BadSource::Separator),
            ("'none'", BadSource::None),
            ("'NONE'", BadSource::None),
            ("'nonce-abc'", BadSource::Keyword),
            ("'sha256-'", BadSource::Keyword),
            ("'sha256-a'b'", BadSource::Keyword),
            ("http:", BadSource::Scheme),
            ("javascript:", BadSource::Scheme),
            ("http://a.example", BadSource::Unencrypted),
            ("*", BadSource::Host),
            ("a.example", BadSource::Host),
            ("https://", BadSource::Host),
            ("https://*", BadSource::Host),
            ("https://*.*.example", BadSource::Host),
            ("https://a.*.example", BadSource::Host),
            ("https://u@a.example", BadSource::Host),
            ("https://a.example:99999", BadSource::Host),
            ("https://a.example/?x", BadSource::Host),
            ("https://[2001:db8::7]", BadSource::Host),
            ("https://*.192.0.2.7", BadSource::Host),
            ("https://a.example'", BadSource::Host),
        ] {
            assert_eq!(CspSource::parse(text), Err(why), "{text}");
        }
    }
}
