//! URLs of images and style sheets: is it https, to a public host on the list, and can the text be pasted?
//!
//! The WHATWG parser accepts much: backslashes, tabs, numbers for addresses, encoded hosts. A browser visits the
//! address that this parser finds, so the parser decides. But a text that it had to correct is refused, because other
//! readers may correct it differently.
//!
//! Percent-encoding is not decoded, not even once: neither CSS nor the client decodes it, so `%22` never becomes a
//! quote on the page.
//!
//! Not here: the lists (`hosts`), what a design may name here (`own`), which addresses are private (`address`), which
//! names imitate others (`lookalike`).
//!
//! Sources: WHATWG URL sections 3.5 and 4.4; CSS Syntax 3 section 4.3.5 (what ends a string).

use url::Url;

use super::Rule;
use super::address::is_private;
use super::hosts::HostList;
use super::lookalike::imitates;
use super::own::OwnOrigin;

pub(super) const MAX_BYTES: usize = 2048;
const SCHEME: &str = "https://";

/// Checks the URL of a link's design. `foreign` is the rule that is broken if the host is not on the list.
pub(super) fn check(text: &str, own: &OwnOrigin, hosts: &HostList, foreign: Rule) -> Result<(), Rule> {
    let (url, written) = parsed(text)?;
    let host = url.host().ok_or(Rule::NotAUrl)?;
    if is_private(&host) && !own.is_origin_of(&url) {
        return Err(Rule::PrivateAddress);
    }
    let host = host.to_string();
    spelled_as_visited(written, &host)?;
    if imitates(&host, &hosts.names().chain([own.host()])) {
        return Err(Rule::LookAlike);
    }
    if !hosts.holds(&host) {
        return Err(foreign);
    }
    if own.keeps(&url, &host) {
        Ok(())
    } else {
        Err(Rule::OwnPath)
    }
}

/// Checks a URL of the operator's own design. It may be on any host.
pub(super) fn check_of_operator(text: &str) -> Result<(), Rule> {
    let (url, written) = parsed(text)?;
    spelled_as_visited(written, url.host_str().ok_or(Rule::NotAUrl)?)
}

/// The URL, and its host as it is written.
fn parsed(text: &str) -> Result<(Url, &str), Rule> {
    if text.len() > MAX_BYTES {
        return Err(Rule::UrlTooLong);
    }
    if !text.bytes().all(may_be_pasted) {
        return Err(Rule::UrlCharacter);
    }
    let authority = unverified_authority(text)?;
    if authority.contains('@') {
        return Err(Rule::Credentials);
    }
    let url = Url::parse(text).map_err(|_| Rule::NotAUrl)?;
    Ok((url, without_port(authority)))
}

/// Refuses a host that is written otherwise than it is visited. SECURITY: the text is compared and shown, but the
/// parsed host is visited.
fn spelled_as_visited(written: &str, host: &str) -> Result<(), Rule> {
    if written.eq_ignore_ascii_case(host) {
        Ok(())
    } else {
        Err(Rule::HostSpelling)
    }
}

/// May a URL with this byte be pasted? SECURITY: within `url("…")` a quote, a backslash or a line break would end the
/// string or change it. The other bytes protect readers that leave out the quotes, and HTML.
fn may_be_pasted(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"\\()<>`{}^|".contains(&byte)
}

/// The text between `https://` and the path, as it is written.
fn unverified_authority(text: &str) -> Result<&str, Rule> {
    let rest = match text.split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => rest,
        Some(_) | None => return Err(Rule::NotHttps),
    };
    // A parser would skip further slashes and take the first path segment for the host.
    match rest.split(['/', '?', '#']).next() {
        None | Some("") => Err(Rule::NotAUrl),
        Some(authority) => Ok(authority),
    }
}

fn without_port(authority: &str) -> &str {
    let bracket = authority.rfind(']').unwrap_or(0);
    let colon = authority.rfind(':').filter(|&colon| colon > bracket);
    colon
        .and_then(|colon| authority.get(..colon))
        .unwrap_or(authority)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const PUBLIC: &str = "https://conf.example.org";

    /// The verdict with a list and an own origin.
    fn judge(text: &str, list: &[&str], origin: &str) -> Result<(), Rule> {
        let own = OwnOrigin::of(&Url::parse(origin).unwrap()).unwrap();
        let list: Vec<String> = list.iter().map(|&entry| entry.to_owned()).collect();
        let hosts = HostList::new(&list, own.host()).unwrap();
        check(text, &own, &hosts, Rule::ForeignImage)
    }

    pub(in super::super) fn judge_anywhere(text: &str) -> Result<(), Rule> {
        judge(text, &["*"], PUBLIC)
    }

    pub(in super::super) const GOOD: &[&str] = &[
        "https://cdn.example.net",
        "https://cdn.example.net/",
        "HTTPS://CDN.Example.NET/Logo.PNG",
        "https://cdn.example.net:8443/a/b.png?c=d&e=%22%29#f",
        "https://cdn.example.net:/a.png",
        "https://cdn.example.net?q",
        "https://cdn.example.net#f",
        "https://cdn.example.net/a@b:c/../d;e,f!g$h'i*j+k~l=[m]",
        "https://cdn.example.net/?next=http://127.0.0.1/",
        "https://xn--bcher-kva.example/a.png",
        "https://cdn.example.net./a.png",
        "https://8.8.8.8/a.png",
        "https://[2606:4700::1111]/a.png",
        "https://[2606:4700::1111]:8443/a.png",
        "https://localhost.example/a.png",
        "https://cdn.example.net/%2522%255c%250a%2529.png?a=%22%29;%7D",
        "https://cdn.example.net/%00%0A%0D%5C%22",
        "https://cdn.example.net/%u0022/%zz/%",
        "https://cdn.example.net:0/a.png",
        "https://cdn.example.net:65535/#'",
    ];

    #[test]
    fn takes_plain_urls_to_public_hosts() {
        for text in GOOD {
            assert_eq!(judge_anywhere(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn refuses_each_bad_url_by_its_rule() {
        for (text, rule) in [
            ("http://cdn.example.net/a.png", Rule::NotHttps),
            ("//cdn.example.net/a.png", Rule::NotHttps),
            ("/a.png", Rule::NotHttps),
            ("a.png", Rule::NotHttps),
            ("https:", Rule::NotHttps),
            ("https:/cdn.example.net/a.png", Rule::NotHttps),
            ("https:cdn.example.net/a.png", Rule::NotHttps),
            ("httpss://cdn.example.net", Rule::NotHttps),
            ("javascript:alert", Rule::NotHttps),
            ("data:image/png;base64,AAAA", Rule::NotHttps),
            ("blob:https://cdn.example.net/1", Rule::NotHttps),
            ("https://", Rule::NotAUrl),
            ("https:///cdn.example.net/a.png", Rule::NotAUrl),
            ("https:////cdn.example.net/a.png", Rule::NotAUrl),
            ("https://?a", Rule::NotAUrl),
            ("https://#a", Rule::NotAUrl),
            ("https://:443/", Rule::NotAUrl),
            ("https://cdn.example.net:65536/", Rule::NotAUrl),
            ("https://cdn.example.net:80a/", Rule::NotAUrl),
            ("https://cdn.example.net%00/", Rule::NotAUrl),
            ("https://cdn.example.net%2f.evil.example/", Rule::NotAUrl),
            ("https://1.2.3.256/", Rule::NotAUrl),
            ("https://[::1/", Rule::NotAUrl),
            ("https://[fe80::1%25eth0]/", Rule::NotAUrl),
            ("https://xn--/", Rule::NotAUrl),
            (" https://cdn.example.net/", Rule::UrlCharacter),
            ("https://cdn.example.net/ ", Rule::UrlCharacter),
            ("https://cdn.example.net/a b", Rule::UrlCharacter),
            ("ht\ttps://cdn.example.net/", Rule::UrlCharacter),
            ("https://cdn.example.net/a\n", Rule::UrlCharacter),
            ("https://cdn.example.net/a\r", Rule::UrlCharacter),
            ("https://cdn.example.net/a\u{c}", Rule::UrlCharacter),
            ("https://cdn.example.net/a\0", Rule::UrlCharacter),
            ("https://cdn.example.net/a\u{7f}", Rule::UrlCharacter),
            (
                "https://cdn.example.net/\");}body{display:none}",
                Rule::UrlCharacter,
            ),
            ("https://cdn.example.net\\a", Rule::UrlCharacter),
            ("https:\\\\cdn.example.net", Rule::UrlCharacter),
            ("https://cdn.example.net/a(", Rule::UrlCharacter),
            ("https://cdn.example.net/a)", Rule::UrlCharacter),
            ("https://cdn.example.net/<", Rule::UrlCharacter),
            ("https://cdn.example.net/>", Rule::UrlCharacter),
            ("https://cdn.example.net/`", Rule::UrlCharacter),
            ("https://cdn.example.net/{", Rule::UrlCharacter),
            ("https://cdn.example.net/}", Rule::UrlCharacter),
            ("https://cdn.example.net/^", Rule::UrlCharacter),
            ("https://cdn.example.net/|", Rule::UrlCharacter),
            ("https://bücher.example/", Rule::UrlCharacter),
            ("https://cdn.example.net/ü", Rule::UrlCharacter),
            ("https://cdn\u{3002}example/", Rule::UrlCharacter),
            ("https://user@cdn.example.net/", Rule::Credentials),
            ("https://user:word@cdn.example.net/", Rule::Credentials),
            ("https://@cdn.example.net/", Rule::Credentials),
            ("https://:@cdn.example.net/", Rule::Credentials),
            ("https://conf.example.org@evil.example/", Rule::Credentials),
            ("https://localhost/", Rule::PrivateAddress),
            ("https://LOCALHOST./", Rule::PrivateAddress),
            ("https://a.localhost/", Rule::PrivateAddress),
            ("https://127.0.0.1/", Rule::PrivateAddress),
            ("https://127.0.0.1./", Rule::PrivateAddress),
            ("https://2130706433/", Rule::PrivateAddress),
            ("https://0x7f.1/", Rule::PrivateAddress),
            ("https://0177.0.0.1/", Rule::PrivateAddress),
            ("https://%31%32%37.0.0.1/", Rule::PrivateAddress),
            ("https://169.254.169.254/latest/meta-data", Rule::PrivateAddress),
            ("https://[::1]/", Rule::PrivateAddress),
            ("https://[::ffff:10.0.0.1]/", Rule::PrivateAddress),
            ("https://[fd00::1]:8443/", Rule::PrivateAddress),
            ("https://134744072/", Rule::HostSpelling),
            ("https://8.8.2056/", Rule::HostSpelling),
            ("https://8.8.8.8./", Rule::HostSpelling),
            ("https://[2606:4700:0::1111]/", Rule::HostSpelling),
            ("https://cdn%2eexample.net/", Rule::HostSpelling),
            ("https://%63dn.example.net/", Rule::HostSpelling),
            ("https://cdn.example.net%C3%BC/", Rule::HostSpelling),
        ] {
            assert_eq!(judge_anywhere(text), Err(rule), "{text:?}");
        }
    }

    /// IDNA makes another character of these, or none at all.
    #[test]
    fn refuses_hosts_that_read_otherwise_than_they_are_written() {
        for (text, rule) in [
            ("https://cdn.example.net%EF%BC%8F.evil.example/", Rule::NotAUrl), // full-width /
            ("https://cdn.example.net%EF%BC%9F.evil.example/", Rule::NotAUrl), // full-width ?
            ("https://cdn.example.net%EF%BC%83.evil.example/", Rule::NotAUrl), // full-width #
            ("https://cdn.example.net%EF%BC%A0evil.example/", Rule::NotAUrl),  // full-width @
            ("https://cdn.example.net%EF%BC%9A443/", Rule::NotAUrl),           // full-width :
            ("https://cdn.example.net%EF%BC%BCevil.example/", Rule::NotAUrl),  // full-width backslash
            ("https://cdn.exa%E2%84%80.evil.example/", Rule::NotAUrl),         // a/c in one character
            ("https://cdn%EF%BC%8Eexample.net/", Rule::HostSpelling),          // full-width .
            ("https://cdn%E3%80%82example.net/", Rule::HostSpelling),          // ideographic full stop
            ("https://127%EF%BC%8E0%EF%BC%8E0%EF%BC%8E1/", Rule::PrivateAddress),
            ("https://%E2%91%A0%E2%91%A1%E2%91%A6.0.0.1/", Rule::PrivateAddress), // circled 127
            ("https://cdn.exam%C2%ADple.net/", Rule::HostSpelling),               // soft hyphen
            ("https://cdn.exam%E2%80%8Bple.net/", Rule::HostSpelling),            // zero width space
            ("https://cdn.ex%E2%80%8Dample.net/", Rule::NotAUrl),                 // zero width joiner
            ("https://\u{ff43}dn.example.net/", Rule::UrlCharacter),
        ] {
            assert_eq!(judge_anywhere(text), Err(rule), "{text:?}");
        }
    }

    #[test]
    fn refuses_names_that_imitate_or_lead_inside() {
        for (text, rule) in [
            ("https://xn--pple-43d.example/", Rule::LookAlike),
            ("https://cdn.xn--pple-43d.example:8443/a.png", Rule::LookAlike),
            ("https://intranet/a.png", Rule::PrivateAddress),
            ("https://printer.local/a.png", Rule::PrivateAddress),
            ("https://metadata.google.internal/", Rule::PrivateAddress),
            ("https://[::ffff:169.254.169.254]/", Rule::PrivateAddress),
            ("https://[64:ff9b::10.0.0.1]/", Rule::PrivateAddress),
            ("https://[2002:7f00:1::]/", Rule::PrivateAddress),
            ("https://100.64.0.1/", Rule::PrivateAddress),
            ("https://0/", Rule::PrivateAddress),
        ] {
            assert_eq!(judge_anywhere(text), Err(rule), "{text:?}");
        }
        // "scope" in Cyrillic letters.
        let twin = "https://xn--e1argc3h.example/a.png";
        assert_eq!(judge(twin, &["*"], "https://scope.example"), Err(Rule::LookAlike));
        assert_eq!(judge(twin, &["*.scope.example"], PUBLIC), Err(Rule::LookAlike));
        assert_eq!(judge(twin, &["*"], PUBLIC), Ok(()), "like nothing that we know");
        let listed = "xn--e1argc3h.example";
        assert_eq!(judge(twin, &[listed], PUBLIC), Ok(()));
        assert_eq!(
            judge("https://scope.example/", &[listed], PUBLIC),
            Err(Rule::ForeignImage)
        );
    }

    /// Who sees the design asks for it with their cookies.
    #[test]
    fn what_is_on_our_own_host_is_below_the_folders_of_the_clients_files() {
        let mut own = OwnOrigin::of(&Url::parse(PUBLIC).unwrap()).unwrap();
        own.serve(&["meet.example.org".to_owned()], "/conference");
        let any = HostList::new(&["*".to_owned()], own.host()).unwrap();
        for (text, verdict) in [
            ("https://conf.example.org/assets/a.png", Ok(())),
            (
                "https://conf.example.org/conference/assets/imgs/a.png?b#c",
                Ok(()),
            ),
            ("https://meet.example.org/assets/a.png", Ok(())),
            ("https://conf.example.org/", Err(Rule::OwnPath)),
            ("https://conf.example.org/conference/logout", Err(Rule::OwnPath)),
            (
                "https://CONF.EXAMPLE.ORG:8443/conference/logout",
                Err(Rule::OwnPath),
            ),
            ("https://conf.example.org./conference/logout", Err(Rule::OwnPath)),
            ("https://meet.example.org/logo.png", Err(Rule::OwnPath)),
            ("https://conf.example.org/assets", Err(Rule::OwnPath)),
            ("https://conf.example.org/Assets/a.png", Err(Rule::OwnPath)),
            (
                "https://conf.example.org/assets/../conference/logout",
                Err(Rule::OwnPath),
            ),
            (
                "https://conf.example.org/assets/%2E%2e/conference/logout",
                Err(Rule::OwnPath),
            ),
            ("https://conf.example.org?/assets/", Err(Rule::OwnPath)),
            ("https://cdn.example.net/conference/logout", Ok(())),
        ] {
            assert_eq!(check(text, &own, &any, Rule::ForeignImage), verdict, "{text}");
        }
    }

    #[test]
    fn takes_2048_bytes_and_not_one_more() {
        let of = |bytes: usize| format!("{:a<bytes$}", "https://cdn.example.net/");
        assert_eq!(judge_anywhere(&of(2048)), Ok(()));
        assert_eq!(judge_anywhere(&of(2049)), Err(Rule::UrlTooLong));
    }

    #[test]
    fn asks_the_list_about_the_host_alone() {
        for (text, list, verdict) in [
            ("https://conf.example.org/assets/a.css", &[][..], Ok(())),
            ("https://CONF.example.org:8443/assets/a.css", &[], Ok(())),
            ("https://cdn.example.org/a.css", &[], Err(Rule::ForeignImage)),
            ("https://conf.example.org./a.css", &[], Err(Rule::ForeignImage)),
            (
                "https://conf.example.org.evil.example/a.css",
                &[],
                Err(Rule::ForeignImage),
            ),
            (
                "https://evil.example/conf.example.org",
                &[],
                Err(Rule::ForeignImage),
            ),
            (
                "https://conf.example.org/a.css",
                &["cdn.example.org"],
                Err(Rule::ForeignImage),
            ),
            (
                "https://conf.example.org/assets/a.css",
                &["cdn.example.org", "conf.example.org"],
                Ok(()),
            ),
            ("https://a.b.example.org/a.css", &["*.example.org"], Ok(())),
            (
                "https://example.org/a.css",
                &["*.example.org"],
                Err(Rule::ForeignImage),
            ),
            ("https://xn--bcher-kva.example/a.css", &["bücher.example"], Ok(())),
            (
                "https://127.0.0.1/a.css",
                &["127.0.0.1"],
                Err(Rule::PrivateAddress),
            ),
        ] {
            assert_eq!(judge(text, list, PUBLIC), verdict, "{text} {list:?}");
        }
    }

    #[test]
    fn the_own_origin_may_be_private_but_not_the_port_beside_it() {
        for (text, origin, verdict) in [
            (
                "https://localhost:8443/assets/a.css",
                "https://localhost:8443",
                Ok(()),
            ),
            (
                "https://LOCALHOST:8443/assets/a.css",
                "https://localhost:8443",
                Ok(()),
            ),
            ("https://localhost/assets/a.css", "https://localhost", Ok(())),
            ("https://localhost:443/assets/a.css", "https://localhost", Ok(())),
            ("https://[::1]:8443/assets/a.css", "https://[::1]:8443", Ok(())),
            (
                "https://localhost:9443/a.css",
                "https://localhost:8443",
                Err(Rule::PrivateAddress),
            ),
            (
                "https://localhost/a.css",
                "https://localhost:8443",
                Err(Rule::PrivateAddress),
            ),
            (
                "https://localhost.:8443/a.css",
                "https://localhost:8443",
                Err(Rule::PrivateAddress),
            ),
            (
                "https://127.0.0.1:8443/a.css",
                "https://localhost:8443",
                Err(Rule::PrivateAddress),
            ),
            (
                "https://127.1:8443/a.css",
                "https://127.0.0.1:8443",
                Err(Rule::HostSpelling),
            ),
        ] {
            assert_eq!(judge(text, &[], origin), verdict, "{text} {origin}");
        }
        let foreign = judge(
            "https://localhost:8443/assets/a.css",
            &["cdn.example.org"],
            "https://localhost:8443",
        );
        assert_eq!(foreign, Err(Rule::ForeignImage));
    }
}
