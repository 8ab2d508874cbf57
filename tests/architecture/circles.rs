//! No files of a module import each other in a circle, nor do those of a folder in it.

use std::collections::{BTreeMap, BTreeSet};

use super::{paths::paths, sources};

#[test]
fn no_files_of_a_module_import_each_other_in_a_circle() {
    let sources = sources();
    let folders: BTreeSet<&str> = sources
        .iter()
        .filter_map(|(file, _)| file.rsplit_once('/'))
        .map(|(folder, _)| folder)
        .filter(|folder| *folder != "src")
        .collect();
    let circles: Vec<String> = folders
        .iter()
        .flat_map(|folder| circles_in(folder, &sources))
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
        file("deep/mod", "use super::a; mod one; mod two;"),
        file("deep/one", "use super::{two::Two, super::b::B};"),
        file("deep/two", "use super::super::a;"),
    ];
    assert_eq!(circles_in("src/token", &innocent), Vec::<String>::new());
    assert_eq!(circles_in("src/token/deep", &innocent), Vec::<String>::new());
    let mut circular = innocent.to_vec();
    circular.push(file("d", "use super::{e};"));
    circular.push(file("e", "mod inner { use super::super::d::D; }"));
    circular.push(file("f", "use super::deep::Deep;"));
    circular.push(file(
        "deep/three",
        "use super::super::f; use crate::token::deep::four::Four;",
    ));
    circular.push(file("deep/four", "use super::three::Three;"));
    assert_eq!(
        circles_in("src/token", &circular),
        ["src/token: d -> e -> d", "src/token: deep -> f -> deep"]
    );
    assert_eq!(
        circles_in("src/token/deep", &circular),
        ["src/token/deep: four -> three -> four"]
    );
}

/// Each circle once, from the file or folder that is first by name. A folder's `mod.rs` names all its files, and is none
/// of them.
fn circles_in(folder: &str, sources: &[(String, String)]) -> Vec<String> {
    let name_of = |file: &str| {
        let below = file.strip_prefix(folder)?.strip_prefix('/')?;
        let name = below
            .split('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".rs");
        (name != "mod").then(|| name.to_owned())
    };
    let modules: Vec<&str> = folder.split('/').skip(1).collect();
    let names: BTreeSet<String> = sources.iter().filter_map(|(file, _)| name_of(file)).collect();
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, text) in sources {
        let Some(name) = name_of(file) else { continue };
        let of_file = imports.entry(name.clone()).or_default();
        let own: Vec<&str> = file
            .trim_end_matches(".rs")
            .trim_end_matches("/mod")
            .split('/')
            .skip(1)
            .collect();
        for path in paths(text).into_iter().filter(|path| !path.in_test) {
            let Some(whole) = path.absolute(&own) else {
                continue;
            };
            let other = whole
                .get(modules.len())
                .filter(|_| whole.iter().zip(&modules).all(|(one, other)| one == other));
            of_file.extend(
                other
                    .filter(|other| **other != name && names.contains(*other))
                    .cloned(),
            );
        }
    }
    let mut found = Vec::new();
    for start in imports.keys() {
        if let Some(way) = way_back(start, start, &imports, &mut vec![start.clone()]) {
            found.push(format!("{folder}: {}", way.join(" -> ")));
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
