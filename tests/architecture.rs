//! The rules of the house, kept by a test: modules on layers, a module knows only what is below it, and one door each for
//! the libraries that touch the network.
//!
//! The sources are read as tokens, so that a path counts wherever it is written: in a `use` with groups, in the middle
//! of an expression, inside a macro, in a test module. `super` that leads out of a module is followed too.
//!
//! Not seen: a path that hides behind the renaming of a library (`use hyper as h`).
//!
//! Source: ARCHITECTURE.md "The rule".

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};

/// Modules by layer, from the top. Those on one layer don't know each other.
const LAYERS: [&[&str]; 15] = [
    &["main"],
    &["cli"],
    &["gateway", "adopt", "swap"],
    &["config"],
    &["control", "listen"],
    &["tls"],
    &["conn"],
    &["route"],
    &["session"],
    &["issue", "turn", "acme"],
    &["proxy"],
    &["upgrade", "relay", "webapp"],
    &[
        "token", "design", "limits", "places", "blocks", "joining", "memory",
    ],
    &["context", "reply", "observe"],
    &[
        "addr",
        "client_body",
        "interim",
        "clock",
        "drain",
        "handover",
        "http",
        "notify",
        "query",
        "request_id",
        "secret",
        "urls",
        "workers",
    ],
];

/// What only one module may name, tests apart: a test may play the other side.
const DOORS: [([&str; 2], &str); 9] = [
    (["rustls", "server"], "tls"),
    (["rustls", "ServerConfig"], "tls"),
    (["rustls", "ServerConnection"], "tls"),
    (["tokio_rustls", "server"], "tls"),
    (["tokio_rustls", "TlsAcceptor"], "tls"),
    (["hyper", "server"], "conn"),
    (["hyper_util", "server"], "conn"),
    (["hyper", "client"], "proxy"),
    (["hyper_util", "client"], "proxy"),
];

#[test]
fn every_module_knows_only_what_is_below_it() {
    let breaches: Vec<String> = sources()
        .iter()
        .flat_map(|(file, text)| import_breaches(file, text))
        .collect();
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn no_files_of_a_module_import_each_other_in_a_circle() {
    let sources = sources();
    let modules: BTreeSet<String> = sources.iter().map(|(file, _)| module_of(file)).collect();
    let circles: Vec<String> = modules
        .iter()
        .flat_map(|module| circles_in(module, &sources))
        .collect();
    assert!(circles.is_empty(), "\n{}", circles.join("\n"));
}

#[test]
fn a_circle_of_files_is_named() {
    let file = |name: &str, text: &str| (format!("src/token/{name}.rs"), text.to_owned());
    let innocent = [
        file("mod", "mod a; mod b; mod c; use self::a::A;"),
        file("a", "use super::{b::B, Verified};"),
        file(
            "b",
            "use crate::token::c; #[cfg(test)] mod tests { use super::super::a::A; }",
        ),
        file("c", "mod inner { use super::C; } use crate::limits::a;"),
    ];
    assert_eq!(circles_in("token", &innocent), Vec::<String>::new());
    let mut circular = innocent.to_vec();
    circular.push(file("d", "use super::{e};"));
    circular.push(file("e", "mod inner { use super::super::d::D; }"));
    assert_eq!(circles_in("token", &circular), ["token: d -> e -> d"]);
}

/// Each circle once, from the file that is first by name. A module's `mod.rs` names all its files, and is none of them.
fn circles_in(module: &str, sources: &[(String, String)]) -> Vec<String> {
    let name_of = |file: &str| {
        let below = file.strip_prefix(&format!("src/{module}/"))?;
        let name = below
            .split('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".rs");
        (name != "mod").then(|| name.to_owned())
    };
    let names: BTreeSet<String> = sources.iter().filter_map(|(file, _)| name_of(file)).collect();
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in sources {
        let Some(name) = name_of(file) else { continue };
        let of_file = imports.entry(name.clone()).or_default();
        for path in paths(text).into_iter().filter(|path| !path.in_test) {
            let other = path.beside(module, depth_of(file));
            of_file.extend(other.filter(|other| *other != name && names.contains(other)));
        }
    }
    let mut found = Vec::new();
    for start in imports.keys() {
        if let Some(way) = way_back(start, start, &imports, &mut vec![start.clone()]) {
            found.push(format!("{module}: {}", way.join(" -> ")));
        }
    }
    found
}

/// The way from here to `start` over files that are behind it by name.
fn way_back(
    here: &str,
    start: &String,
    imports: &BTreeMap<String, BTreeSet<String>>,
    way: &mut Vec<String>,
) -> Option<Vec<String>> {
    for next in imports.get(here)? {
        if next == start {
            let mut whole = way.clone();
            whole.push(next.clone());
            return Some(whole);
        }
        if next > start && !way.contains(next) {
            way.push(next.clone());
            if let Some(whole) = way_back(next, start, imports, way) {
                return Some(whole);
            }
            way.pop();
        }
    }
    None
}

#[test]
fn each_library_of_the_network_has_one_door() {
    let breaches: Vec<String> = sources()
        .iter()
        .flat_map(|(file, text)| door_breaches(file, text))
        .collect();
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(file, _)| file)
        .collect();
    assert!(silent.is_empty(), "without a header: {}", silent.join(", "));
}

#[test]
fn every_constant_that_is_explained_stands_where_it_is_said_to() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/DEFAULTS.md")).unwrap();
    let (_, constants) = text.split_once("## Constants").unwrap();
    let quoted = |cell: &str| {
        cell.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let mut seen = 0;
    for row in constants.lines() {
        let Some([_, names, _, files]) = row.split('|').collect::<Vec<_>>().first_chunk::<4>().copied()
        else {
            continue;
        };
        // Those after the first may leave out the folder.
        let files = quoted(files);
        let folder = files.first().and_then(|file| Path::new(file).parent());
        let read = |file: &String| {
            let beside = root.join("src").join(folder.unwrap()).join(file);
            fs::read_to_string(root.join("src").join(file)).or_else(|_| fs::read_to_string(beside))
        };
        let sources: String = files.iter().map(|file| read(file).unwrap()).collect();
        for name in quoted(names) {
            assert!(
                sources.contains(&format!("const {name}: ")),
                "{name} in {files:?}"
            );
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
}

#[test]
fn every_module_has_a_layer_and_every_layer_its_modules() {
    let on_layers: BTreeSet<String> = LAYERS.concat().into_iter().map(str::to_owned).collect();
    let mut there: BTreeSet<String> = sources().iter().map(|(file, _)| module_of(file)).collect();
    there.remove("lib");
    assert_eq!(there, on_layers);
}

/// The test of the tests above: what they have to find, they find, with file and line.
#[test]
fn a_breach_is_named_with_file_and_line() {
    let found = |file: &str, text: &str| import_breaches(file, text);
    let upward = "src/token/verify.rs:2: token (layer 12) imports route (layer 7)";
    assert_eq!(
        found("src/token/verify.rs", "\nuse crate::route::Table;"),
        [upward]
    );
    assert_eq!(
        found(
            "src/token/verify.rs",
            "\nuse crate::{secret::Secret, route::{self, Table}};"
        ),
        [upward]
    );
    assert_eq!(
        found(
            "src/token/verify.rs",
            "fn f() {\n drop([crate::route::Table::new()]) }"
        ),
        [upward]
    );
    assert_eq!(
        found(
            "src/token/verify.rs",
            "#[cfg(test)] mod tests { use\nsuper::super::super::route::Table; }"
        ),
        [upward]
    );
    assert_eq!(
        found(
            "src/limits/mod.rs",
            "macro_rules! m { () => { $crate::token::Claims } }"
        ),
        ["src/limits/mod.rs:1: limits (layer 12) imports token (layer 12)"]
    );
    assert_eq!(
        found("src/main.rs", "use plugnmeet_gateway::{cli, gateway, secret};"),
        Vec::<String>::new()
    );
    assert_eq!(
        found("src/secret.rs", "use plugnmeet_gateway::cli;"),
        ["src/secret.rs:1: secret (layer 14) imports cli (layer 1)"]
    );
    for everything in [
        "use crate::*;",
        "use super::*;",
        "use crate as it;",
        "use crate::{self as it};",
    ] {
        assert_eq!(
            found("src/secret.rs", everything),
            ["src/secret.rs:1: imports the whole house"],
            "{everything}"
        );
    }
    assert_eq!(
        found("src/secret.rs", "use crate::attic::Trunk;"),
        ["src/secret.rs:1: attic has no layer"]
    );
}

#[test]
fn what_only_looks_like_a_breach_is_none() {
    let innocent = r##"
        //! `crate::cli` and use crate::cli;
        /* crate::cli */
        pub(crate) fn f<'cli>() -> &'cli str { "crate::cli" }
        const RAW: &str = r#"use crate::cli;"#;
        use self::cli::Own;
        use super::cli::Sibling;
        use crate::{addr::Ends, drain, token::{self, cli}};
        #[cfg(test)]
        mod tests { use super::*; use super::super::cli; }
    "##;
    assert_eq!(
        import_breaches("src/upgrade/tunnel.rs", innocent),
        Vec::<String>::new()
    );
}

#[test]
fn a_second_door_is_named_with_file_and_line() {
    assert_eq!(
        door_breaches("src/route/mod.rs", "use hyper::{Request,\nserver::conn::http1};"),
        ["src/route/mod.rs:2: only conn uses hyper::server"]
    );
    assert_eq!(
        door_breaches("src/conn/mod.rs", "fn f(config: rustls::ServerConfig) {}"),
        ["src/conn/mod.rs:1: only tls uses rustls::ServerConfig"]
    );
    assert_eq!(
        door_breaches("src/conn/mod.rs", "use hyper::server::conn::http1;"),
        Vec::<String>::new()
    );
    assert_eq!(
        door_breaches(
            "src/cli/ask.rs",
            "#[cfg(test)] mod tests { use tokio_rustls::TlsAcceptor; }"
        ),
        Vec::<String>::new()
    );
}

fn import_breaches(file: &str, text: &str) -> Vec<String> {
    let module = module_of(file);
    let mut breaches = Vec::new();
    for path in paths(text) {
        let place = format!("{file}:{}", path.line);
        let Some(other) = path.module(depth_of(file)) else {
            continue;
        };
        match (layer_of(&module), layer_of(other)) {
            _ if other == module => {}
            _ if WHOLE.contains(&other) => breaches.push(format!("{place}: imports the whole house")),
            (_, None) => breaches.push(format!("{place}: {other} has no layer")),
            (Some(own), Some(below)) if own < below => {}
            (own, Some(layer)) => breaches.push(format!(
                "{place}: {module} (layer {}) imports {other} (layer {layer})",
                own.map_or_else(|| "none".to_owned(), |layer| layer.to_string())
            )),
        }
    }
    // Several members of one group are one breach.
    breaches.dedup();
    breaches
}

fn door_breaches(file: &str, text: &str) -> Vec<String> {
    let module = module_of(file);
    let outside_tests = paths(text).into_iter().filter(|path| !path.in_test);
    outside_tests
        .filter_map(|path| {
            let through = DOORS
                .iter()
                .find(|(door, _)| path.segments.get(..2).is_some_and(|start| start == door))
                .filter(|(_, keeper)| *keeper != module);
            through
                .map(|(door, keeper)| format!("{file}:{}: only {keeper} uses {}", path.line, door.join("::")))
        })
        .collect()
}

/// A path as it is written out in full, and where.
#[derive(Clone)]
struct Written {
    segments: Vec<String>,
    line: usize,
    /// Modules around it in its own file.
    depth: usize,
    in_test: bool,
}

/// What stands in a module's place when everything is imported at once.
const WHOLE: [&str; 3] = ["*", "self", "as"];

impl Written {
    /// The module that it leads into, if it begins at the root or climbs up to it; `depth` is that of the file.
    fn module(&self, depth: usize) -> Option<&str> {
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
    /// The file or folder of this module that it leads to; `depth` is that of the file.
    fn beside(&self, module: &str, depth: usize) -> Option<String> {
        let up = self
            .segments
            .iter()
            .take_while(|segment| *segment == "super")
            .count();
        let at = match self.segments.first()?.as_str() {
            "crate" if self.segments.get(1).is_some_and(|first| first == module) => 2,
            // Up to the module's own module.
            "super" if up + 1 == depth + self.depth => up,
            _ => return None,
        };
        self.segments.get(at).cloned()
    }
}

fn paths(text: &str) -> Vec<Written> {
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

/// `src/token/verify.rs` and `src/token.rs` are in the module `token`.
fn module_of(file: &str) -> String {
    let below_src = file.strip_prefix("src/").unwrap_or(file);
    let first = below_src.split('/').next().unwrap_or_default();
    first.trim_end_matches(".rs").to_owned()
}

/// How many modules a file is below the root.
fn depth_of(file: &str) -> usize {
    let below_src = file.strip_prefix("src/").unwrap_or(file);
    match below_src {
        "lib.rs" | "main.rs" => 0,
        module => module.trim_end_matches("/mod.rs").split('/').count(),
    }
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// All of `src`, by path from the root of the repository.
fn sources() -> Vec<(String, String)> {
    fn collect(folder: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                collect(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                into.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    collect(&root.join("src"), &mut files);
    files.sort();
    files
        .iter()
        .map(|file| {
            let name = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(file).unwrap())
        })
        .collect()
}
