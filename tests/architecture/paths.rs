//! The paths in a source file, as they are written out in full.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

/// A path as it is written out in full, and where.
#[derive(Clone)]
pub struct Written {
    pub segments: Vec<String>,
    pub line: usize,
    /// Modules around it in its own file.
    depth: usize,
    pub in_test: bool,
}

/// What stands in a module's place when everything is imported at once.
pub const WHOLE: [&str; 3] = ["*", "self", "as"];

impl Written {
    /// The module that it leads into, if it begins at the root or climbs up to it; `depth` is that of the file.
    pub fn module(&self, depth: usize) -> Option<&str> {
        let depth = depth + self.depth;
        let up = self
            .segments
            .iter()
            .take_while(|segment| *segment == "super")
            .count();
        let at_root = match self.segments.first()?.as_str() {
            "crate" | "plugnmeet_gateway" => 1,
            "super" if up == depth => up,
            _ => return None,
        };
        self.segments.get(at_root).map(String::as_str)
    }
}

impl Written {
    /// The modules that it leads through from the root on, if it begins there or climbs up; `file` are those of its file.
    pub fn absolute(&self, file: &[&str]) -> Option<Vec<String>> {
        let up = self
            .segments
            .iter()
            .take_while(|segment| *segment == "super")
            .count();
        let (start, rest) = match self.segments.first()?.as_str() {
            "crate" => (&[][..], self.segments.get(1..)?),
            "super" => (
                file.get(..(file.len() + self.depth).checked_sub(up)?)?,
                self.segments.get(up..)?,
            ),
            _ => return None,
        };
        let start = start.iter().map(|module| (*module).to_owned());
        Some(start.chain(rest.iter().cloned()).collect())
    }
}

pub fn paths(text: &str) -> Vec<Written> {
    let tokens: TokenStream = text.parse().unwrap_or_else(|error| panic!("no Rust: {error}"));
    let mut found = Vec::new();
    walk(tokens, 0, false, &mut found);
    found
}

/// Collects all paths; `depth` counts the modules around these tokens in their file.
fn walk(tokens: TokenStream, depth: usize, in_test: bool, found: &mut Vec<Written>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut rest = tokens.as_slice();
    let mut test_ahead = false;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after) {
            (TokenTree::Ident(word), [TokenTree::Ident(_), TokenTree::Group(body), after @ ..])
                if word == "mod" =>
            {
                walk(body.stream(), depth + 1, in_test || test_ahead, found);
                (rest, test_ahead) = (after, false);
            }
            (TokenTree::Ident(start), _) => {
                let root = Written {
                    segments: Vec::new(),
                    line: 0,
                    depth,
                    in_test,
                };
                rest = path(start, after, &root, found);
            }
            (TokenTree::Group(group), _) => {
                if group.delimiter() == Delimiter::Bracket
                    && group.stream().to_string().replace(' ', "") == "cfg(test)"
                {
                    test_ahead = true;
                } else if group.delimiter() == Delimiter::Brace {
                    walk(group.stream(), depth, in_test || test_ahead, found);
                    test_ahead = false;
                } else {
                    walk(group.stream(), depth, in_test, found);
                }
            }
            (TokenTree::Punct(punct), _) if punct.as_char() == ';' => test_ahead = false,
            (TokenTree::Punct(_) | TokenTree::Literal(_), _) => {}
        }
    }
}

/// One path from its first word on, or each of a group's; gives back the tokens behind it.
fn path<'t>(
    start: &Ident,
    mut rest: &'t [TokenTree],
    before: &Written,
    found: &mut Vec<Written>,
) -> &'t [TokenTree] {
    let mut path = before.clone();
    path.push(start);
    loop {
        rest = match rest {
            [
                TokenTree::Punct(one),
                TokenTree::Punct(two),
                TokenTree::Ident(next),
                after @ ..,
            ] if colons(one, two) => {
                path.push(next);
                after
            }
            [
                TokenTree::Punct(one),
                TokenTree::Punct(two),
                TokenTree::Punct(star),
                after @ ..,
            ] if colons(one, two) && star.as_char() == '*' => {
                path.segments.push("*".to_owned());
                found.push(path);
                return after;
            }
            [
                TokenTree::Punct(one),
                TokenTree::Punct(two),
                TokenTree::Group(group),
                after @ ..,
            ] if colons(one, two) && group.delimiter() == Delimiter::Brace => {
                members(group.stream(), &path, found);
                return after;
            }
            // `use crate as it`, but not `value as u32`.
            [TokenTree::Ident(word), ..] if word == "as" && path.segments == ["crate"] => {
                path.push(word);
                found.push(path);
                return rest;
            }
            _ => {
                found.push(path);
                return rest;
            }
        };
    }
}

/// The members of a `{…}` in a `use`, each below the same path.
fn members(group: TokenStream, before: &Written, found: &mut Vec<Written>) {
    let tokens: Vec<TokenTree> = group.into_iter().collect();
    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    for member in tokens.split(is_comma) {
        match member {
            [TokenTree::Ident(start), rest @ ..] => {
                path(start, rest, before, found);
            }
            [TokenTree::Punct(star), ..] if star.as_char() == '*' => {
                let mut everything = before.clone();
                everything.segments.push("*".to_owned());
                found.push(everything);
            }
            _ => {}
        }
    }
}

impl Written {
    fn push(&mut self, word: &Ident) {
        self.segments.push(word.to_string());
        self.line = word.span().start().line;
    }
}

fn colons(one: &proc_macro2::Punct, two: &proc_macro2::Punct) -> bool {
    one.as_char() == ':' && two.as_char() == ':'
}
