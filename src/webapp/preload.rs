//! What the page needs first, told in its header: the browser asks for it before it has read a line of the page.
//!
//! Only what the head names itself and what is ours. A hint that is not exactly what the page asks for later would have
//! the browser load twice, so what is out of the ordinary is left to the page.
//!
//! Modules are announced to Chromium as classic scripts. From the second visit on it keeps compiled code beside the files
//! in its cache, but when it loads a module in the background, as it mostly does, it does not look for that code and
//! compiles anew. For a classic script it does look, and a module that was announced as one gets the code. With the
//! client's 15 MB of modules that is a good part of every later visit (benches/RESULTS.md). Other browsers would load such
//! a module twice.
//!
//! Sources: RFC 8288 (`Link`); WHATWG HTML, "Link types" `preload` and `modulepreload`, "CORS settings attributes";
//! Chromium, `script_streamer.cc` (`MaybeCreateConsumeCodeCacheTask`: not for modules).

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};
use hyper::header::HeaderValue;

use super::{addresses::Base, browser::Browser, media};

/// The paths of files below the mount in the order in which they are wanted, and the field that says so.
///
/// Style sheets come first: nothing is drawn without them, and a browser that asks for them after its scripts gets them
/// behind hundreds of kilobytes that are on their way already.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Needed {
    pub names: Vec<String>,
    pub link: Option<Link>,
    /// A file of the build's that the page names and that does not exist.
    pub lacks: Option<String>,
}

/// The `Link` field for each kind of browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    chromium: HeaderValue,
    other: HeaderValue,
}

impl Link {
    pub fn of(&self, browser: Browser) -> &HeaderValue {
        match browser {
            Browser::Chromium => &self.chromium,
            Browser::Other => &self.other,
        }
    }

    pub fn is_same_for_all(&self) -> bool {
        self.chromium == self.other
    }
}

/// The largest number of links. The page of client 2.4 has eleven.
const MAX_LINKS: usize = 24;

/// The largest size of all links, in the longer of the two fields. Some proxies accept at most 8 KiB for all header fields
/// together.
const MAX_LINK_BYTES: usize = 4 << 10;

/// What a file is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Style,
    Script,
    Module,
}

/// A file that a tag names.
struct Hint {
    href: String,
    kind: Kind,
    /// The value of `crossorigin`.
    cross_origin: Option<String>,
}

impl Hint {
    /// The attributes of the link that announces the file to such a browser. They have to lead to a request with the very
    /// credentials of the tag's own.
    fn attributes(&self, browser: Browser) -> String {
        let (rel, without_attribute) = match (self.kind, browser) {
            (Kind::Style, _) => ("rel=preload; as=style", ""),
            (Kind::Script, _) => ("rel=preload; as=script", ""),
            (Kind::Module, Browser::Other) => ("rel=modulepreload", ""),
            // Without the attribute, too, a module is requested in CORS mode with credentials for the same origin.
            (Kind::Module, Browser::Chromium) => ("rel=preload; as=script", "; crossorigin"),
        };
        let credentials = match self.cross_origin.as_deref() {
            None => without_attribute,
            Some(value) if value.eq_ignore_ascii_case("use-credentials") => "; crossorigin=use-credentials",
            Some(_) => "; crossorigin",
        };
        format!("{rel}{credentials}")
    }
}

/// Finds what the page's head needs; `is_ours` says whether there is a file at this path below the mount.
pub(super) fn needed(html: &str, mount: &str, is_ours: impl Fn(&str) -> bool) -> Needed {
    let mut needed = Needed::default();
    let Some(base) = Base::of(mount) else {
        return needed;
    };
    let mut hints: Vec<_> = tags_in_head(html).filter_map(|tag| hint(&tag)).collect();
    hints.sort_by_key(|hint| hint.kind != Kind::Style);
    let mut links = [String::new(), String::new()];
    for hint in hints {
        let Some(address) = base.resolve(&hint.href) else {
            continue;
        };
        if !is_ours(&address.name) {
            if media::has_content_hash(&address.name) {
                needed.lacks.get_or_insert(address.name);
            }
            continue;
        }
        let separator = if needed.names.is_empty() { "" } else { ", " };
        let added = [Browser::Chromium, Browser::Other]
            .map(|browser| format!("{separator}<{}>; {}", address.path(), hint.attributes(browser)));
        let is_too_long = |(link, added): (&String, &String)| link.len() + added.len() > MAX_LINK_BYTES;
        if needed.names.len() == MAX_LINKS || links.iter().zip(&added).any(is_too_long) {
            break;
        }
        links
            .iter_mut()
            .zip(&added)
            .for_each(|(link, added)| link.push_str(added));
        needed.names.push(address.name);
    }
    let [chromium, other] = links.map(|link| HeaderValue::try_from(link).ok());
    needed.link = chromium
        .zip(other)
        .filter(|_| !needed.names.is_empty())
        .map(|(chromium, other)| Link { chromium, other });
    needed
}

/// The tags up to the end of the head, without the content of `noscript`.
fn tags_in_head(html: &str) -> impl Iterator<Item = StartTag<()>> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let mut in_noscript = false;
    Tokenizer::new_with_emitter(html, emitter)
        .map_while(|token| match token {
            Ok(Token::StartTag(tag)) if **tag.name == *b"body" => None,
            Ok(Token::EndTag(tag)) if **tag.name == *b"head" => None,
            Ok(token) => Some(token),
        })
        .filter_map(move |token| match token {
            Token::StartTag(tag) => {
                in_noscript |= **tag.name == *b"noscript";
                (!in_noscript).then_some(tag)
            }
            Token::EndTag(tag) => {
                in_noscript &= **tag.name != *b"noscript";
                None
            }
            Token::String(_) | Token::Comment(_) | Token::Doctype(_) | Token::Error(_) => None,
        })
}

/// The file that a tag names.
fn hint(tag: &StartTag<()>) -> Option<Hint> {
    let attribute = |name: &str| {
        let value = tag.attributes.get(name.as_bytes())?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    // With an integrity the hint would need the same one, with a type or a medium the same judgement.
    if attribute("integrity").is_some() {
        return None;
    }
    let (href, kind) = match &**tag.name {
        b"script" if attribute("nomodule").is_none() => match attribute("type").as_deref() {
            Some("module") => (attribute("src")?, Kind::Module),
            None | Some("" | "text/javascript") => (attribute("src")?, Kind::Script),
            Some(_) => return None,
        },
        b"link" if attribute("media").is_none() && attribute("disabled").is_none() => {
            let rel = attribute("rel")?.to_ascii_lowercase();
            let kind = match rel.split_ascii_whitespace().collect::<Vec<_>>().as_slice() {
                ["modulepreload"] => Kind::Module,
                ["stylesheet"] => Kind::Style,
                _ => return None,
            };
            (attribute("href")?, kind)
        }
        _ => return None,
    };
    Some(Hint {
        href,
        kind,
        cross_origin: attribute("crossorigin"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link_for(browser: Browser, head: &str) -> String {
        let html = format!("<!doctype html><html><head>{head}</head><body></body></html>");
        let needed = needed(&html, "/conference", |name| !name.contains("missing"));
        needed
            .link
            .map_or_else(String::new, |link| link.of(browser).to_str().unwrap().to_owned())
    }

    fn link(head: &str) -> String {
        link_for(Browser::Other, head)
    }

    /// As in the client 2.4.
    #[test]
    fn what_the_clients_page_asks_for_is_told_with_style_sheets_first() {
        let head = r#"<meta charset="UTF-8" /><link rel="icon" href="./assets/imgs/favicon.ico" />
            <script src="./assets/config.js"></script>
            <script type="module" crossorigin src="./assets/js/main-module.Cq0qsXkl.js"></script>
            <link rel="modulepreload" crossorigin href="./assets/chunks/vendor.CB7Ld50-.js">
            <link rel="stylesheet" crossorigin href="./assets/css/main.CwAhzGqq.css">"#;
        let expected = [
            "</conference/assets/css/main.CwAhzGqq.css>; rel=preload; as=style; crossorigin",
            "</conference/assets/config.js>; rel=preload; as=script",
            "</conference/assets/js/main-module.Cq0qsXkl.js>; rel=modulepreload; crossorigin",
            "</conference/assets/chunks/vendor.CB7Ld50-.js>; rel=modulepreload; crossorigin",
        ];
        assert_eq!(link(head), expected.join(", "));
        let needed = needed(&format!("<head>{head}"), "", |_| true);
        assert_eq!(
            needed.names,
            [
                "assets/css/main.CwAhzGqq.css",
                "assets/config.js",
                "assets/js/main-module.Cq0qsXkl.js",
                "assets/chunks/vendor.CB7Ld50-.js"
            ]
        );
        let link = needed.link.unwrap();
        for browser in [Browser::Chromium, Browser::Other] {
            let link = link.of(browser).to_str().unwrap();
            assert!(link.starts_with("</assets/css/main.CwAhzGqq.css>"), "{link}");
        }
    }

    /// With the credentials with which a module is asked for, or Chromium would load it twice.
    #[test]
    fn a_module_is_announced_to_chromium_as_a_script() {
        for (attribute, expected) in [
            ("", "crossorigin"),
            ("crossorigin", "crossorigin"),
            ("crossorigin=use-credentials", "crossorigin=use-credentials"),
        ] {
            for tag in [
                format!("<script type=module {attribute} src=a.js></script>"),
                format!("<link rel=modulepreload {attribute} href=a.js>"),
            ] {
                assert_eq!(
                    link_for(Browser::Chromium, &tag),
                    format!("</conference/a.js>; rel=preload; as=script; {expected}"),
                    "{tag}"
                );
            }
        }
        for tag in ["<script src=a.js></script>", "<link rel=stylesheet href=a.css>"] {
            assert_eq!(link_for(Browser::Chromium, tag), link(tag));
        }
    }

    #[test]
    fn a_hint_asks_with_the_same_credentials_as_the_page() {
        for (attribute, expected) in [
            ("", ""),
            ("crossorigin", "; crossorigin"),
            ("crossorigin=anonymous", "; crossorigin"),
            ("CROSSORIGIN='Use-Credentials'", "; crossorigin=use-credentials"),
        ] {
            assert_eq!(
                link(&format!("<link rel=Stylesheet href=a.css {attribute}>")),
                format!("</conference/a.css>; rel=preload; as=style{expected}")
            );
        }
    }

    #[test]
    fn odd_spellings_are_read_as_a_browser_reads_them() {
        for (head, path) in [
            ("<SCRIPT SRC=a.js></SCRIPT>", "/conference/a.js"),
            ("<script src='a&amp;b.js'></script>", "/conference/a&b.js"),
            ("<script src=' a b.js '></script>", "/conference/a%20b.js"),
            ("<script src='x/../a.js?v=1#x'></script>", "/conference/a.js?v=1"),
            ("<script src='/conference/a>.js'></script>", "/conference/a%3E.js"),
            ("<script src=\"a.js\n\r\"></script>", "/conference/a.js"),
        ] {
            assert_eq!(link(head), format!("<{path}>; rel=preload; as=script"), "{head}");
        }
    }

    #[test]
    fn what_is_not_ours_or_out_of_the_ordinary_is_left_to_the_page() {
        for head in [
            "<script src=https://cdn.example/a.js></script>",
            "<script src=//cdn.example/a.js></script>",
            "<script src=data:text/javascript,x></script>",
            "<script src=/other/a.js></script>",
            "<script src=../a.js></script>",
            "<script src=missing.js></script>",
            "<script src='https://['></script>",
            "<script>const a = '<script src=a.js>'</script>",
            "<script type=importmap src=a.js></script>",
            "<script nomodule src=a.js></script>",
            "<script integrity=sha384-x src=a.js></script>",
            "<!-- <script src=a.js></script> -->",
            "<style>/*<script src=a.js>*/</style>",
            "<noscript><link rel=stylesheet href=a.css></noscript>",
            "<link rel='alternate stylesheet' href=a.css>",
            "<link rel=stylesheet media=print href=a.css>",
            "<link rel=icon href=a.ico>",
            "</head><body><script src=a.js></script>",
        ] {
            assert_eq!(link(head), "", "{head}");
        }
    }

    #[test]
    fn there_is_an_end_to_it() {
        let many = |count: usize, len: usize| {
            let name = |n| format!("<script src={n}{}.js></script>", "x".repeat(len));
            let scripts: Vec<String> = (0..count).map(name).collect();
            link(&scripts.concat())
        };
        assert_eq!(many(100, 1).matches("rel=").count(), MAX_LINKS);
        let long = many(20, 500);
        assert!(
            long.len() <= MAX_LINK_BYTES && long.ends_with("; rel=preload; as=script"),
            "{long}"
        );
        // Both fields have the same files, as many as fit into the longer one.
        let module = |n| format!("<script type=module src={n}{}.js></script>", "x".repeat(360));
        let modules: Vec<String> = (0..20).map(module).collect();
        let modules = modules.concat();
        let fields = [Browser::Chromium, Browser::Other].map(|browser| link_for(browser, &modules));
        assert!(fields.iter().all(|field| field.len() <= MAX_LINK_BYTES));
        assert_eq!(fields.map(|field| field.matches("rel=").count()), [9, 9]);
    }
}
