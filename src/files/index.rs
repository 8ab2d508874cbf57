//! The page: told where the client's files are, so that it can stand at the path of any session.
//!
//! The client's build is relative. A `base` before everything else in the head points all of it at the mount, whatever
//! the page's own path.
//!
//! Source: WHATWG HTML, sections 13.2.6.4.1 to 13.2.6.4.3: what a browser makes of the text before a head.

/// The page with its `base`, unless a browser would see no `<head>` tag in it.
pub(super) fn with_base(html: &str, mount: &str) -> Option<String> {
    let rest = after_head_tag(html)?;
    let before = html.strip_suffix(rest)?;
    Some(format!("{before}<base href=\"{mount}/\">{rest}"))
}

/// Only blanks, comments, the doctype and `<html>` may come before; at anything else a browser begins the head, or the
/// body, by itself and then ignores the tag.
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

/// The name of the tag at the beginning, and what follows the tag.
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
