//! HAProxy's file in the shape of the official installer: sections, their directives, and which of them is what.
//!
//! Source: docs/plugnmeet.md section 9.

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

    /// Listeners that pass TCP on: `listen NAME`, its address, its server, both with their lines.
    pub fn relays(&self) -> Vec<[(String, usize); 2]> {
        let relays = self.sections.iter().filter(|section| section.kind == "listen");
        relays
            .filter(|section| section.directives.iter().any(|one| one.is(&["mode", "tcp"])))
            .filter_map(|section| {
                let bind = section.directives.iter().find(|one| one.is(&["bind"]))?;
                Some([(address(bind.word(1)), bind.line), server_of(section)?])
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
    pub fn listens(&self, tls: bool) -> Option<(String, usize)> {
        let plain = |bind: &&Directive| !bind.has("ssl") && bind.word(1).ends_with(":80");
        let bind = if tls {
            self.bind_of_https()
        } else {
            self.binds().find(plain)
        };
        bind.map(|bind| (address(bind.word(1)), bind.line))
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

/// `*:443` and `:443` are all of IPv4's addresses.
fn address(bind: &str) -> String {
    let everywhere = |port: &str| format!("0.0.0.0:{port}");
    if let Some(port) = bind.strip_prefix("*:").or_else(|| bind.strip_prefix("ipv4@*:")) {
        return everywhere(port);
    }
    if let Some(port) = bind.strip_prefix(":::").or_else(|| bind.strip_prefix("ipv6@*:")) {
        return format!("[::]:{port}");
    }
    match bind.strip_prefix(':') {
        Some(port) => everywhere(port),
        None => bind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFICIAL: &str = include_str!("../../tests/support/official/haproxy.cfg");

    #[test]
    fn what_is_asked_of_the_official_file_is_found() {
        let haproxy = HaProxy::parse(OFFICIAL);
        assert_eq!(haproxy.listens(true).unwrap().0, "0.0.0.0:443");
        assert_eq!(haproxy.listens(false).unwrap().0, "0.0.0.0:80");
        assert_eq!(haproxy.certificates().unwrap().0, "/etc/haproxy/ssl/");
        assert_eq!(haproxy.backend_of_path("/ws"), Some("bk_nats"));
        assert_eq!(haproxy.server("bk_nats").unwrap().0, "127.0.0.1:8222");
        assert_eq!(
            haproxy.backend_of_name(),
            Some(("bk_livekit_turn", "turn.example.org"))
        );
        let relays = haproxy.relays();
        assert_eq!(
            relays,
            [[("0.0.0.0:1935".to_owned(), 93), ("127.0.0.1:1936".to_owned(), 95)]]
        );
    }
}
