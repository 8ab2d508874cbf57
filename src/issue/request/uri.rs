//! Is this text an absolute URI? The rule for a profile picture, of which nothing else is asked.
//!
//! A URI of any scheme will do, `javascript:` too, because the server lets it pass.
//!
//! The text is taken apart from the outside in: a delimiter can't stand unescaped in the part before it, so the first
//! one is always the border.
//!
//! Sources: RFC 3986 appendix A, RFC 6874 section 2 (zones); protovalidate's `isUri`, which knows no dotted
//! IPv6 address and wants an escaped host to be UTF-8.

use std::net::Ipv6Addr;

/// Whether the text is `scheme ":" hier-part [ "?" query ] [ "#" fragment ]`.
pub(super) fn is_absolute(text: &str) -> bool {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let Some((scheme, hierarchy)) = text.split_once(':') else {
        return false;
    };
    is_scheme(scheme)
        && is_hierarchy(hierarchy)
        && is_made_of(query, |byte| is_path(byte) || byte == b'?')
        && is_made_of(fragment, |byte| is_path(byte) || byte == b'?')
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn is_hierarchy(text: &str) -> bool {
    let Some(text) = text.strip_prefix("//") else {
        return is_made_of(text, is_path);
    };
    let (authority, path) = text
        .split_at_checked(text.find('/').unwrap_or(text.len()))
        .unwrap_or((text, ""));
    is_authority(authority) && is_made_of(path, is_path)
}

fn is_authority(text: &str) -> bool {
    let (user, host) = text.split_once('@').unwrap_or(("", text));
    is_made_of(user, |byte| is_name(byte) || byte == b':') && is_host_and_port(host)
}

fn is_host_and_port(text: &str) -> bool {
    if let Some(text) = text.strip_prefix('[') {
        let Some((literal, port)) = text.split_once(']') else {
            return false;
        };
        return is_ip_literal(literal) && (port.is_empty() || port.strip_prefix(':').is_some_and(is_port));
    }
    let (name, port) = text.split_once(':').unwrap_or((text, ""));
    is_made_of(name, is_name) && unescapes_to_utf8(name) && is_port(port)
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Is this the content of a host in brackets: `IPv6address`, `IPv6addrz` or `IPvFuture`?
fn is_ip_literal(text: &str) -> bool {
    if let Some(future) = text.strip_prefix('v') {
        let Some((version, address)) = future.split_once('.') else {
            return false;
        };
        return !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !address.is_empty()
            && !address.contains('%')
            && is_made_of(address, |byte| is_name(byte) || byte == b':');
    }
    match text.split_once("%25") {
        None => is_ipv6(text),
        Some((address, zone)) => {
            is_ipv6(address) && !zone.is_empty() && is_made_of(zone, is_unreserved) && unescapes_to_utf8(zone)
        }
    }
}

fn is_ipv6(text: &str) -> bool {
    !text.contains('.') && text.parse::<Ipv6Addr>().is_ok()
}

/// Does the text have only bytes that `is_allowed` accepts, and escapes (`%` and two hexadecimal digits)?
fn is_made_of(text: &str, is_allowed: impl Fn(u8) -> bool) -> bool {
    let mut parts = text.split('%');
    parts.next().is_none_or(|plain| plain.bytes().all(&is_allowed))
        && parts.all(|part| {
            part.split_at_checked(2).is_some_and(|(code, plain)| {
                code.bytes().all(|digit| digit.is_ascii_hexdigit()) && plain.bytes().all(&is_allowed)
            })
        })
}

fn unescapes_to_utf8(text: &str) -> bool {
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let Some((code, plain)) = part.split_at_checked(2) else {
            return false;
        };
        let Ok(byte) = u8::from_str_radix(code, 16) else {
            return false;
        };
        bytes.push(byte);
        bytes.extend(plain.bytes());
    }
    str::from_utf8(&bytes).is_ok()
}

/// Is the byte RFC 3986 `pchar`, without escapes, or a slash?
fn is_path(byte: u8) -> bool {
    is_name(byte) || b":@/".contains(&byte)
}

/// Is the byte RFC 3986 `reg-name`, without escapes?
fn is_name(byte: u8) -> bool {
    is_unreserved(byte) || b"!$&'()*+,;=".contains(&byte)
}

/// Is the byte RFC 3986 `unreserved`?
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::is_absolute;

    #[test]
    fn takes_absolute_uris_of_any_scheme() {
        for text in [
            "https://x/y.jpg",
            "https://user:word@pictures.example:8443/a/b;c=1/%C3%A9.png?w=1/2?3#top?/",
            "javascript:alert(1)",
            "data:image/png;base64,iVBORw0KGgo=",
            "a:",
            "a+b-c.1:/",
            "http:///no-host//twice",
            "http://:/",
            "http://%C3%A9.example",
            "http://[::1]:80/",
            "http://[1:2:3:4:5:6:7::]",
            "http://[fe80::1%25eth0]",
            "http://[v1F.a:b]",
        ] {
            assert!(is_absolute(text), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_relative_or_broken() {
        for text in [
            "",
            "a",
            "/a.png",
            "//x/a.png",
            ":a",
            "1a:b",
            "a/b:c",
            "ä:b",
            "https://x/a b",
            "https://x/é.png",
            "https://x/%2",
            "https://x/%zz",
            "https://x/%aé",
            "https://x/#a#b",
            "https://x/[1]",
            "https://a@b@c/",
            "https://x:80a/",
            "https://x:1:2/",
            "https://%ff.example/",
            "https://[::1/",
            "https://[::1]a/",
            "https://[1:2]/",
            "https://[::ffff:1.2.3.4]/",
            "https://[fe80::1%25]/",
            "https://[fe80::1%eth0]/",
            "https://[v.a]/",
            "https://[v1.]/",
            "https://[V1.a]/",
            "https://[v1.%41]/",
        ] {
            assert!(!is_absolute(text), "{text}");
        }
    }
}
