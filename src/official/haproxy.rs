//! HAProxy's file in the shape of the official installer: sections, their directives, and which of them is what.
//!
//! Source: docs/plugnmeet.md section 9.

use std::net::Ipv6Addr;

/// A directive of a section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    pub line: usize,
    pub words: Vec<String>,
}

impl Directive {
    pub fn is(&self, beginning: &[&str]) -> bool {
        self.words.len() >= beginning.len()
            && self
                .words
                .iter()
                .zip(beginning)
                .all(|(word, begin)| word == begin)
    }

    pub fn has(&self, wanted: &str) -> bool {
        self.words.iter().any(|word| word == wanted)
    }

    pub fn word(&self, at: usize) -> &str {
        self.words.get(at).map_or("", String::as_str)
    }

    pub fn text(&self) -> String {
        self.words.join(" ")
    }

    /// As it may be shown: a line that can hold a password ends after its second word.
    ///
    /// SECURITY: what is shown ends in logs and tickets.
    pub fn shown(&self) -> String {
        let first = self.word(0);
        if matches!(first, "setenv" | "presetenv" | "tcp-check") || self.names_a_secret() {
            format!("{first} {} ***", self.word(1))
        } else {
            self.text()
        }
    }

    fn names_a_secret(&self) -> bool {
        let text = self.text().to_ascii_lowercase();
        SECRETS.iter().any(|name| text.contains(name)) || (text.contains("://") && text.contains('@'))
    }
}

/// What stands beside a secret: `stats auth`, `insecure-password`, a header `Authorization` or `X-Api-Key`.
const SECRETS: [&str; 7] = ["auth", "passw", "secret", "token", "-key", "_key", "apikey"];

/// `frontend NAME`, `backend NAME`, `listen NAME`, `global`, `defaults`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    pub kind: String,
    pub name: String,
    pub directives: Vec<Directive>,
}

const KINDS: [&str; 15] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "resolvers",
    "userlist",
    "peers",
    "mailers",
    "program",
    "cache",
    "http-errors",
    "ring",
    "log-forward",
    "fcgi-app",
];

/// The sections of a file.
pub fn sections(text: &str) -> Vec<Section> {
    let mut found: Vec<Section> = Vec::new();
    for (nth, line) in text.lines().enumerate() {
        let words = words(line);
        let Some(first) = words.first() else { continue };
        if KINDS.contains(&first.as_str()) {
            found.push(Section {
                kind: first.clone(),
                name: words.get(1).cloned().unwrap_or_default(),
                directives: Vec::new(),
            });
        } else if let Some(section) = found.last_mut() {
            section.directives.push(Directive { line: nth + 1, words });
        }
    }
    found
}

/// The words of a line: quotes hold blanks, `#` begins a comment.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quote, mut escaped, mut in_word) = (None, false, false);
    for char in line.chars() {
        match (char, quote) {
            _ if escaped => {
                word.push(char);
                escaped = false;
            }
            ('\\', None | Some('"')) => (escaped, in_word) = (true, true),
            (char, Some(open)) if char == open => quote = None,
            (char, Some(_)) => word.push(char),
            ('"' | '\'', None) => (quote, in_word) = (Some(char), true),
            ('#', None) => break,
            (char, None) if char.is_whitespace() => {
                if in_word {
                    words.push(std::mem::take(&mut word));
                }
                in_word = false;
            }
            (char, None) => {
                word.push(char);
                in_word = true;
            }
        }
    }
    if in_word {
        words.push(word);
    }
    words
}

/// The file, with what is asked of it.
#[derive(Clone, Debug, Default)]
pub struct HaProxy {
    pub sections: Vec<Section>,
}

impl HaProxy {
    pub fn parse(text: &str) -> Self {
        Self {
            sections: sections(text),
        }
    }

    fn backend(&self, name: &str) -> Option<&Section> {
        let mut all = self.sections.iter();
        all.find(|section| section.name == name && matches!(section.kind.as_str(), "backend" | "listen"))
    }

    /// The address of a backend's first server, and its line.
    pub fn server(&self, backend: &str) -> Option<(String, usize)> {
        let section = self.backend(backend)?;
        server_of(section)
    }

    /// The backend to which the paths of a frontend's `acl NAME path_beg PREFIX` go.
    pub fn backend_of_path(&self, prefix: &str) -> Option<&str> {
        self.sections.iter().find_map(|section| {
            let acl = section.directives.iter().find(|directive| {
                directive.is(&["acl"]) && directive.word(2) == "path_beg" && directive.word(3) == prefix
            })?;
            let name = acl.word(1);
            let uses = section.directives.iter();
            uses.filter(|directive| directive.is(&["use_backend"]) && directive.word(2) == "if")
                .find(|directive| directive.word(3) == name && directive.words.len() == 4)
                .map(|directive| directive.word(1))
        })
    }

    /// The backend for a name of TLS, and that name.
    pub fn backend_of_name(&self) -> Option<(&str, &str)> {
        let directives = self.sections.iter().flat_map(|section| &section.directives);
        directives
            .filter(|directive| directive.is(&["use_backend"]))
            .find_map(|directive| {
                let at = directive.words.iter().position(|word| word == "ssl_fc_sni")?;
                let name = directive
                    .words
                    .iter()
                    .skip(at + 1)
                    .find(|word| !word.starts_with('-'))?;
                Some((directive.word(1), name.as_str()))
            })
    }

    /// Listeners that pass TCP on: `listen NAME`, its addresses, its server, each with its line.
    pub fn relays(&self) -> Vec<(Vec<Bound>, Bound)> {
        let relays = self.sections.iter().filter(|section| section.kind == "listen");
        relays
            .filter(|section| section.directives.iter().any(|one| one.is(&["mode", "tcp"])))
            .filter_map(|section| {
                let bind = section.directives.iter().find(|one| one.is(&["bind"]))?;
                Some((of_like_binds(section, bind), server_of(section)?))
            })
            .collect()
    }

    /// The folder or file of certificates behind `bind … ssl crt PATH`, and the line.
    pub fn certificates(&self) -> Option<(&str, usize)> {
        let bind = self.bind_of_https()?;
        let at = bind.words.iter().position(|word| word == "crt")?;
        Some((bind.words.get(at + 1)?.as_str(), bind.line))
    }

    /// Where it listens for HTTPS (`ssl`), or for HTTP on port 80.
    pub fn listens(&self, tls: bool) -> Vec<Bound> {
        let plain = |bind: &&Directive| !bind.has("ssl") && bind.word(1).ends_with(":80");
        let bind = if tls {
            self.bind_of_https()
        } else {
            self.binds().find(plain)
        };
        let section = bind.and_then(|bind| {
            let mut sections = self.sections.iter();
            sections.find(|section| section.directives.iter().any(|one| one.line == bind.line))
        });
        section
            .zip(bind)
            .map(|(section, bind)| of_like_binds(section, bind))
            .unwrap_or_default()
    }

    /// The first with TLS on port 443; without one, the first with TLS.
    fn bind_of_https(&self) -> Option<&Directive> {
        let mut usual = self.binds().filter(|bind| bind.word(1).ends_with(":443"));
        usual
            .find(|bind| bind.has("ssl"))
            .or_else(|| self.binds().find(|bind| bind.has("ssl")))
    }

    fn binds(&self) -> impl Iterator<Item = &Directive> {
        let frontends = self.sections.iter().filter(|section| section.kind == "frontend");
        frontends
            .flat_map(|section| &section.directives)
            .filter(|directive| directive.is(&["bind"]))
    }
}

fn server_of(section: &Section) -> Option<(String, usize)> {
    let server = section.directives.iter().find(|one| one.is(&["server"]))?;
    Some((server.word(2).to_owned(), server.line))
}

/// The addresses of this directive and of those in its section that differ by their address alone.
fn of_like_binds(section: &Section, first: &Directive) -> Vec<Bound> {
    let others = |bind: &Directive| -> Vec<String> {
        let words = bind.words.iter().skip(2);
        words
            .filter(|word| !FAMILIES.contains(&word.as_str()))
            .cloned()
            .collect()
    };
    let mut found: Vec<Bound> = Vec::new();
    let binds = section.directives.iter().filter(|one| one.is(&["bind"]));
    for bind in binds.filter(|bind| others(bind) == others(first)) {
        let new = bind.word(1).split(',').map(|one| (address(one), bind.line));
        found.extend(new);
    }
    found
}

/// Words of `bind` about which connections come to `::`. The gateway gives it those over IPv4 where nothing else has them.
pub const FAMILIES: [&str; 2] = ["v6only", "v4v6"];

/// An address and the line where it stands.
pub type Bound = (String, usize);

/// `*:443` and `:443` are all of IPv4's addresses, `:::443` all of IPv6's.
fn address(bind: &str) -> String {
    let (family, bind) = match bind.split_once('@') {
        Some((family, rest)) if matches!(family, "ipv4" | "ipv6") => (family, rest),
        _ => ("", bind),
    };
    let Some((host, port)) = bind.rsplit_once(':') else {
        return bind.to_owned();
    };
    match host {
        "" | "*" if family == "ipv6" => format!("[::]:{port}"),
        "" | "*" => format!("0.0.0.0:{port}"),
        host if host.parse::<Ipv6Addr>().is_ok() => format!("[{host}]:{port}"),
        _ => bind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFICIAL: &str = include_str!("../../tests/support/official/haproxy.cfg");

    #[test]
    fn what_is_asked_of_the_official_file_is_found() {
        let haproxy = HaProxy::parse(OFFICIAL);
        assert_eq!(haproxy.listens(true), [("0.0.0.0:443".to_owned(), 31)]);
        assert_eq!(haproxy.listens(false), [("0.0.0.0:80".to_owned(), 18)]);
        assert_eq!(haproxy.certificates().unwrap().0, "/etc/haproxy/ssl/");
        assert_eq!(haproxy.backend_of_path("/ws"), Some("bk_nats"));
        assert_eq!(haproxy.server("bk_nats").unwrap().0, "127.0.0.1:8222");
        assert_eq!(
            haproxy.backend_of_name(),
            Some(("bk_livekit_turn", "turn.example.org"))
        );
        assert_eq!(
            haproxy.relays(),
            [(
                vec![("0.0.0.0:1935".to_owned(), 93)],
                ("127.0.0.1:1936".to_owned(), 95)
            )]
        );
    }

    #[test]
    fn an_address_is_written_as_the_gateway_reads_it() {
        for (bind, expected) in [
            (":80", "0.0.0.0:80"),
            ("*:443", "0.0.0.0:443"),
            ("ipv4@*:443", "0.0.0.0:443"),
            ("ipv4@192.0.2.7:443", "192.0.2.7:443"),
            (":::443", "[::]:443"),
            ("::1:443", "[::1]:443"),
            ("[::]:443", "[::]:443"),
            ("ipv6@:443", "[::]:443"),
            ("ipv6@2001:db8::1:443", "[2001:db8::1]:443"),
            ("/run/x.sock", "/run/x.sock"),
        ] {
            assert_eq!(address(bind), expected, "{bind}");
        }
    }

    #[test]
    fn a_listener_has_all_the_addresses_that_differ_in_nothing_else() {
        let haproxy = HaProxy::parse(
            "frontend a\n bind *:80,[::1]:80\n bind :::80 v6only\nfrontend b\n bind *:443 ssl crt /a\n \
             bind :::443 v6only ssl crt /a\n bind 192.0.2.7:443 ssl crt /b\n bind :8443 ssl crt /a\n",
        );
        let at = |text: &str, line| (text.to_owned(), line);
        assert_eq!(
            haproxy.listens(false),
            [at("0.0.0.0:80", 2), at("[::1]:80", 2), at("[::]:80", 3)]
        );
        assert_eq!(
            haproxy.listens(true),
            [at("0.0.0.0:443", 5), at("[::]:443", 6), at("0.0.0.0:8443", 8)]
        );
    }
}
