//! The addresses in the client's page: which files they name, and others in their place.
//!
//! Only what a page loads as a part of itself is looked at: scripts, style sheets, icons, pictures, sound. Modules keep their
//! addresses, as others import them by theirs and a browser runs a module once for each address. So does a manifest, whose
//! own addresses lead to pages.
//!
//! Sources: WHATWG HTML, sections 4.2.4 ("A link element's disabled attribute"), 4.6.7 "Link types", 8.1.4.2 (one module for
//! each address) and 13.2.5 (attribute values); vite, `plugins/importAnalysisBuild.ts` (`preload`).

use std::{fmt::Write as _, ops::Range};

use html5gum::{
    Span, Tokenizer,
    emitters::callback::{Callback, CallbackEmitter, CallbackEvent},
};
use percent_encoding::percent_decode_str;
use url::{Position, Url};

/// An origin for resolving addresses. Only the paths of the results are used.
const SOMEWHERE: &str = "https://gateway.invalid";

/// The kinds of links whose file becomes a part of the page.
const LOADED: [&str; 6] = [
    "stylesheet",
    "icon",
    "apple-touch-icon",
    "mask-icon",
    "preload",
    "prefetch",
];

/// The mount, to which all addresses in the page are relative.
pub(super) struct Base(Url);

/// The address of something below the mount.
pub(super) struct Address {
    url: Url,
    /// The name of the file.
    pub name: String,
}

/// What a page should ask for in a file's place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Instead {
    /// The path below the mount.
    pub path: String,
    /// Does a script add the style sheet unless the page has it by its own name? Then the page says so, without loading it.
    pub is_looked_for: bool,
}

impl Base {
    pub fn of(mount: &str) -> Option<Self> {
        Url::parse(&format!("{SOMEWHERE}{mount}/")).ok().map(Self)
    }

    /// Reads an address as a browser does. None: it leads elsewhere than below the mount.
    pub fn resolve(&self, text: &str) -> Option<Address> {
        let url = self.0.join(text).ok()?;
        let below = url.path().strip_prefix(self.0.path())?;
        let name = percent_decode_str(below).decode_utf8().ok()?.into_owned();
        (url.origin() == self.0.origin()).then_some(Address { url, name })
    }

    /// The page with other addresses in the place of those for which `instead` has one.
    pub fn rename(&self, html: &str, instead: impl Fn(&str) -> Option<Instead>) -> String {
        let mut emitter = CallbackEmitter::new(Tags::default());
        emitter.naively_switch_states(true);
        let mut renamed = String::with_capacity(html.len());
        let mut copied_to = 0;
        for Ok(value) in Tokenizer::new_with_emitter(html, emitter) {
            let Some((address, new)) = self.resolve(&value.text).and_then(|address| {
                let new = instead(&address.name).filter(|new| value.is_sheet || !new.is_looked_for)?;
                Some((address, new))
            }) else {
                continue;
            };
            let (Some(before), Some(rest_of_tag)) = (
                html.get(copied_to..value.at.start),
                html.get(value.at.end..value.tag_end),
            ) else {
                continue;
            };
            renamed.push_str(before);
            renamed.push_str(&in_attribute(&self.named(&address, &new.path)));
            renamed.push_str(rest_of_tag);
            if new.is_looked_for {
                let own = in_attribute(address.path());
                write!(renamed, "<link rel=\"stylesheet\" href=\"{own}\" disabled>").ok();
            }
            copied_to = value.tag_end;
        }
        renamed.push_str(html.get(copied_to..).unwrap_or_default());
        renamed
    }

    /// The address with another file's name in it: without an origin, as the page may be read at any of our names.
    fn named(&self, address: &Address, name: &str) -> String {
        let mut url = address.url.clone();
        url.set_path(&format!("{}{}", self.0.path(), name.replace('%', "%25")));
        url[Position::BeforePath..].to_owned()
    }
}

impl Address {
    /// The path below our origin, with the query.
    pub fn path(&self) -> &str {
        &self.url[Position::BeforePath..Position::AfterQuery]
    }
}

/// An address as text that ends no attribute: others than these two have an escape of their own in it.
fn in_attribute(address: &str) -> String {
    address.replace('&', "&amp;").replace('\'', "&#39;")
}

/// The value of an attribute.
#[derive(Default)]
struct Value {
    text: String,
    /// The bytes of the page between its quotes.
    at: Range<usize>,
    tag_end: usize,
    /// Is it a style sheet that the page has?
    is_sheet: bool,
}

/// The tag that is being read.
#[derive(Default)]
struct Tags {
    name: Vec<u8>,
    attributes: Vec<(Vec<u8>, Value)>,
}

impl Callback<Value, usize> for Tags {
    fn handle_event(&mut self, event: CallbackEvent<'_>, span: Span<usize>) -> Option<Value> {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                name.clone_into(&mut self.name);
                self.attributes.clear();
            }
            CallbackEvent::AttributeName { name } => {
                self.attributes.push((name.to_owned(), Value::default()));
            }
            CallbackEvent::AttributeValue { value } => {
                if let Some((_, last)) = self.attributes.last_mut() {
                    last.text = String::from_utf8_lossy(value).into_owned();
                    last.at = span.start..span.end;
                }
            }
            CallbackEvent::CloseStartTag { .. } => return self.loaded(span.end),
            CallbackEvent::EndTag { .. }
            | CallbackEvent::String { .. }
            | CallbackEvent::Comment { .. }
            | CallbackEvent::Doctype { .. }
            | CallbackEvent::Error(_) => {}
        }
        None
    }
}

impl Tags {
    /// The address of what the tag loads, if it may have another one.
    fn loaded(&mut self, tag_end: usize) -> Option<Value> {
        let is = |name: &str, words: &[&str]| {
            let value = self.attribute(name).map(|value| value.text.to_ascii_lowercase());
            let value = value.unwrap_or_default();
            value.split_ascii_whitespace().any(|word| words.contains(&word))
        };
        let name = match &*self.name {
            b"script" if !is("type", &["module"]) => "src",
            b"link" if is("rel", &LOADED) => "href",
            b"img" | b"audio" | b"video" | b"source" | b"track" => "src",
            _ => return None,
        };
        let is_sheet = is("rel", &["stylesheet"]);
        // Of several attributes of one name a browser reads the first.
        let nth = self.attributes.iter().position(|(of, _)| of == name.as_bytes())?;
        let (_, value) = self.attributes.swap_remove(nth);
        Some(Value {
            tag_end,
            is_sheet,
            ..value
        })
    }

    fn attribute(&self, name: &str) -> Option<&Value> {
        let mut attributes = self.attributes.iter();
        attributes
            .find(|(of, _)| of == name.as_bytes())
            .map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files in `new` move to `r/`, and scripts look for those in `new/lazy`.
    fn renamed(html: &str) -> String {
        let instead = |name: &str| {
            name.starts_with("new/").then(|| Instead {
                path: format!("r/{name}"),
                is_looked_for: name.starts_with("new/lazy"),
            })
        };
        Base::of("/c").unwrap().rename(html, instead)
    }

    #[test]
    fn only_the_value_of_the_attribute_changes() {
        for (html, expected) in [
            (
                "<link  rel=\"icon\" HREF='./new/a.ico' >\r\n<p>é</p><script src=\"new/a.js\" async></script>",
                "<link  rel=\"icon\" HREF='/c/r/new/a.ico' >\r\n<p>é</p><script src=\"/c/r/new/a.js\" async></script>",
            ),
            ("é<IMG src=new/é.png>", "é<IMG src=/c/r/new/%C3%A9.png>"),
            (
                "<script src='/c/new/a.js?a=1&amp;b=%27#x'></script>",
                "<script src='/c/r/new/a.js?a=1&amp;b=%27#x'></script>",
            ),
            (
                "<img src=\"new/it's 100%25.png\">",
                "<img src=\"/c/r/new/it&#39;s%20100%25.png\">",
            ),
            (
                "<img src=new/a.png src=new/b.png>",
                "<img src=/c/r/new/a.png src=new/b.png>",
            ),
            (
                "<link rel='Shortcut ICON' href=new/a>",
                "<link rel='Shortcut ICON' href=/c/r/new/a>",
            ),
            (
                "<video src=new/a><track src=new/b></video>",
                "<video src=/c/r/new/a><track src=/c/r/new/b></video>",
            ),
            (
                "<link rel=preload as=font href=new/a",
                "<link rel=preload as=font href=new/a",
            ),
        ] {
            assert_eq!(renamed(html), expected);
        }
    }

    #[test]
    fn a_style_sheet_that_a_script_looks_for_can_be_found_by_its_name_too() {
        assert_eq!(
            renamed(
                "<link crossorigin href=new/lazy&amp;'.css rel=stylesheet><link rel=stylesheet href=new/b.css>"
            ),
            "<link crossorigin href=/c/r/new/lazy&amp;&#39;.css rel=stylesheet>\
             <link rel=\"stylesheet\" href=\"/c/new/lazy&amp;&#39;.css\" disabled>\
             <link rel=stylesheet href=/c/r/new/b.css>"
        );
        // Whoever adds it later asks for it by that name.
        let hint = "<link rel=preload as=style href=new/lazy.css>";
        assert_eq!(renamed(hint), hint);
    }

    #[test]
    fn what_leads_elsewhere_or_to_a_module_or_a_page_keeps_its_address() {
        for html in [
            "<img src=other/a.png>",
            "<img src=https://cdn.example/c/new/a.png>",
            "<img src=//cdn.example/c/new/a.png>",
            "<img src=/new/a.png>",
            "<img src=../new/a.png>",
            "<img src=''><img src><img>",
            "<img src=data:image/png,new/a.png>",
            "<img src=new/%ff.png>",
            "<img src='https://['>",
            "<script type=module src=new/a.js></script>",
            "<script type=' MODULE ' src=new/a.js></script>",
            "<link rel=modulepreload href=new/a.js>",
            "<link rel=manifest href=new/a.webmanifest>",
            "<link href=new/a.css>",
            "<a href=new/a.pdf>new/a</a>",
            "<iframe src=new/a.html></iframe>",
            "<!-- <img src=new/a.png> -->",
            "<script>'<img src=new/a.png>'</script>",
            "<style>/*<img src=new/a.png>*/</style>",
            "<title><img src=new/a.png></title>",
        ] {
            assert_eq!(renamed(html), html);
        }
    }

    #[test]
    fn an_address_is_read_as_a_browser_reads_it() {
        let base = Base::of("").unwrap();
        for (text, name) in [
            (" ./a/../b%20c.js\n", Some("b c.js")),
            ("/b.js?x#y", Some("b.js")),
            ("https://gateway.invalid.example/b.js", None),
        ] {
            let found = base.resolve(text).map(|address| address.name);
            assert_eq!(found.as_deref(), name, "{text}");
        }
    }
}
