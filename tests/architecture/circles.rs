//! No files of a module import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};

use super::{depth_of, module_of, paths::paths, sources};

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
