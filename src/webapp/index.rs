//! Changes the client's page in two ways: it gets a `base` element and a line to read while the client loads.
//!
//! The build's addresses are relative. A `base` before everything else in the head resolves them at the mount, so that
//! the page works at the path of any session. The client fills its root element only when all its scripts have run.
//! Until then a line in the reader's language stands in it, which the client's first rendering replaces.
//!
//! Source: WHATWG HTML, sections 13.2.6.4.1 to 13.2.6.4.3: what a browser makes of the text before a head.

use html5gum::{DefaultEmitter, Token, Tokenizer};
use maud::html;

use super::waiting;
use crate::reply::{Label, Language};

/// The id of the element that the client's script fills.
const ROOT_ID: &[u8] = b"plugNmeet-app";

/// The style of the line: in the middle of the window, legible on white (contrast 4.7 to 1), without anything to load.
const LINE_STYLE: &str = "position:fixed;inset:0;margin:0;display:grid;place-items:center;font:1.1rem/1.5 system-ui,sans-serif;\
                          color:#6b737b";

/// The page with a `base` element, or none if a browser would see no `<head>` tag in it.
pub(super) fn with_base(html: &str, mount: &str) -> Option<String> {
    let rest = after_head_tag(html)?;
    let before = html.strip_suffix(rest)?;
    Some(format!("{before}<base href=\"{mount}/\">{rest}"))
}

/// The place for the line: in the client's root element, if there is one and it is empty. What an operator has put
/// there stays.
pub(super) fn place_of_line(html: &str) -> Option<usize> {
    let mut emitter = DefaultEmitter::<usize>::new_with_span();
    emitter.naively_switch_states(true);
    let mut root_ends_at = None;
    for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
        match (token, root_ends_at) {
            (Token::StartTag(tag), None) => {
                let id = tag.attributes.get(&b"id"[..]);
                if id.is_some_and(|id| ***id == *ROOT_ID) && !tag.self_closing {
                    root_ends_at = Some(tag.span.end);
                }
            }
            (Token::Error(_), _) | (_, None) => {}
            (Token::EndTag(_), Some(at)) => return html.is_char_boundary(at).then_some(at),
            (Token::String(text), Some(_)) if text.trim_ascii().is_empty() => {}
            (_, Some(_)) => return None,
        }
    }
    None
}

/// The page with the line in this language, put in at byte `at`, and with the script that tells of waiting.
pub(super) fn with_line(html: &str, at: usize, language: Language, tells_of_waiting: bool) -> Option<String> {
    let (before, rest) = html.split_at_checked(at)?;
    let line = html! {
        p lang=(language.tag()) dir=(language.direction()) style=(LINE_STYLE) { (Label::Loading.text(language)) }
        @if tells_of_waiting { (waiting::script(language)) }
    };
    Some(format!("{before}{}{rest}", line.into_string()))
}

/// The text behind the `<head>` tag. Only blanks, comments, the doctype and `<html>` may stand before it: at anything
/// else a browser begins the head or the body by itself, and then ignores the tag.
fn after_head_tag(html: &str) -> Option<&str> {
    let mut rest = html.strip_prefix('\u{feff}').unwrap_or(html);
    loop {
        rest = rest.trim_ascii_start();
        if rest.starts_with("<!--") {
            // From the second dash on, as `<!-->` is a whole comment.
            rest = rest.get(2..)?.split_once("-->")?.1;
            continue;
        }
        let (name, after) = tag(rest)?;
        match name.to_ascii_lowercase().as_str() {
            "head" => return Some(after),
            "html" | "!doctype" => rest = after,
            _ => return None,
        }
    }
}

/// The name of the tag at the start of the text, and the text behind that tag.
fn tag(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('<')?;
    let name_end = inner.find(|c: char| c.is_ascii_whitespace() || matches!(c, '>' | '/'))?;
    let (name, mut rest) = inner.split_at_checked(name_end)?;
    loop {
        let end = rest.find(['>', '"', '\''])?;
        let (from_mark, mark) = (rest.get(end + 1..)?, rest.as_bytes().get(end)?);
        rest = match mark {
            b'>' => return Some((name, from_mark)),
            quote => from_mark.split_once(char::from(*quote))?.1,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_base_is_the_first_thing_in_the_head() {
        for (html, expected) in [
            (
                "<!doctype html>\n<html lang=\"en\">\n<head>\n<title>x</title></head></html>",
                "<!doctype html>\n<html lang=\"en\">\n<head><base href=\"/c/\">\n<title>x</title></head></html>",
            ),
            ("<HEAD\n lang='>'>x", "<HEAD\n lang='>'><base href=\"/c/\">x"),
            ("<html><head/>x", "<html><head/><base href=\"/c/\">x"),
            (
                "<!-- <head> --><!--><html data-x=\"<head>\"><head>",
                "<!-- <head> --><!--><html data-x=\"<head>\"><head><base href=\"/c/\">",
            ),
            ("\u{feff}<head>é", "\u{feff}<head><base href=\"/c/\">é"),
        ] {
            assert_eq!(with_base(html, "/c").as_deref(), Some(expected));
        }
    }

    #[test]
    fn the_line_stands_in_the_empty_element_of_the_client() {
        for (html, expected) in [
            (
                "<body><div id=\"plugNmeet-app\"></div></body>",
                Some("<body><div id=\"plugNmeet-app\">|</div></body>"),
            ),
            (
                "é<DIV class=a ID=plugNmeet-app >\n </div>",
                Some("é<DIV class=a ID=plugNmeet-app >|\n </div>"),
            ),
            (
                "<head>\r\n</head>\r\n<div id=plugNmeet-app>\r\n</div>",
                Some("<head>\r\n</head>\r\n<div id=plugNmeet-app>|\r\n</div>"),
            ),
            ("<div id=plugNmeet-app>Wait!</div>", None),
            ("<div id=plugNmeet-app><p></p></div>", None),
            ("<div id=plugNmeet-app>", None),
            ("<div id=plugnmeet-app></div>", None),
            ("<!-- <div id=plugNmeet-app></div> -->", None),
            ("<script>'<div id=plugNmeet-app></div>'</script>", None),
            ("<div id=root></div>", None),
        ] {
            let place = place_of_line(html);
            let marked = place.map(|at| format!("{}|{}", &html[..at], &html[at..]));
            assert_eq!(marked.as_deref(), expected, "{html}");
        }
        let german = with_line("<div></div>", 5, Language::De, false).unwrap();
        assert_eq!(
            german,
            format!("<div><p lang=\"de\" dir=\"ltr\" style=\"{LINE_STYLE}\">Wird geladen …</p></div>")
        );
        let arabic = with_line("<div></div>", 5, Language::Ar, false).unwrap();
        assert!(arabic.contains("<p lang=\"ar\" dir=\"rtl\""), "{arabic}");
    }

    #[test]
    fn at_the_root_the_base_is_the_root() {
        assert_eq!(
            with_base("<head></head>", "").as_deref(),
            Some("<head><base href=\"/\"></head>")
        );
    }

    #[test]
    fn a_page_without_a_head_of_its_own_is_refused() {
        for html in [
            "",
            "plain text",
            "<html><header>x</header></html>",
            "<html><script src=x></script><head></head></html>",
            "<html><body><head></head></body></html>",
            "text <head></head>",
            "<!-- <head></head>",
            "<head",
            "<head title=\"",
        ] {
            assert_eq!(with_base(html, "/c"), None, "{html}");
        }
    }
}
