//! The rules of ARCHITECTURE.md, kept by a test: modules on layers, a module knows only what is below it, and
//! each library of the network is used by one module.
//!
//! The sources are read as tokens, so that a path counts wherever it is written: in a `use` with groups, in the middle
//! of an expression, inside a macro, in a test module. `super` that leads out of a module is followed too.
//!
//! Not seen: a path that hides behind the renaming of a library (`use hyper as h`).
//!
//! Source: ARCHITECTURE.md "The rule".

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod circles;
mod paths;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use paths::{WHOLE, paths};

/// Modules by layer, from the top. Those on one layer don't know each other.
const LAYERS: [&[&str]; 15] = [
    &["main"],
    &["cli"],
    &["gateway", "adopt", "doctor", "swap"],
    &["config"],
    &["control", "listen"],
    &["tls"],
    &["conn"],
    &["route"],
    &["session", "check_page"],
    &["issue", "turn", "acme"],
    &["proxy"],
    &["upgrade", "relay", "webapp"],
    &[
        "token", "design", "limits", "places", "blocks", "joining", "memory", "context",
    ],
    &["reply", "observe"],
    &[
        "addr",
        "ahead",
        "client_body",
        "client_stream",
        "interim",
        "clock",
        "drain",
        "handover",
        "http",
        "notify",
        "official",
        "on_wake",
        "query",
        "request_id",
        "secret",
        "urls",
        "workers",
    ],
];

/// What only one module may name, tests apart: a test may play the other side.
const BOUNDARIES: [([&str; 2], &str); 9] = [
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
fn each_library_of_the_network_is_used_by_one_module() {
    let breaches: Vec<String> = sources()
        .iter()
        .flat_map(|(file, text)| boundary_breaches(file, text))
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
            ["src/secret.rs:1: imports everything at once"],
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
fn a_second_user_of_a_library_is_named_with_file_and_line() {
    assert_eq!(
        boundary_breaches("src/route/mod.rs", "use hyper::{Request,\nserver::conn::http1};"),
        ["src/route/mod.rs:2: only conn uses hyper::server"]
    );
    assert_eq!(
        boundary_breaches("src/conn/mod.rs", "fn f(config: rustls::ServerConfig) {}"),
        ["src/conn/mod.rs:1: only tls uses rustls::ServerConfig"]
    );
    assert_eq!(
        boundary_breaches("src/conn/mod.rs", "use hyper::server::conn::http1;"),
        Vec::<String>::new()
    );
    assert_eq!(
        boundary_breaches(
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
            _ if WHOLE.contains(&other) => breaches.push(format!("{place}: imports everything at once")),
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

fn boundary_breaches(file: &str, text: &str) -> Vec<String> {
    let module = module_of(file);
    let outside_tests = paths(text).into_iter().filter(|path| !path.in_test);
    outside_tests
        .filter_map(|path| {
            let through = BOUNDARIES
                .iter()
                .find(|(library, _)| path.segments.get(..2).is_some_and(|start| start == library))
                .filter(|(_, keeper)| *keeper != module);
            through.map(|(library, keeper)| {
                format!("{file}:{}: only {keeper} uses {}", path.line, library.join("::"))
            })
        })
        .collect()
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
