//! `docs/configuration.md`, made of all rows: one paragraph each.

use std::fmt::Write as _;

use super::{
    reader::{Findings, Table},
    rows::{LISTS, Row},
    sections, tree,
};

/// All rows, in the order of the documentation.
pub fn rows() -> Vec<Row> {
    // With one table of each list, and one design, their keys are asked for too.
    let text = "[[callers]]\n[[passthrough]]\n[[tcp]]\n[designs.NAME]\n";
    let found = Findings::new("");
    if let Ok(keys) = tree::parse(text, "") {
        let mut root = Table::root(&found, keys);
        drop(sections::config(&mut root));
    }
    found.rows.into_inner()
}

/// The text of `docs/configuration.md`.
pub fn reference() -> String {
    let mut page = HEAD.to_owned();
    let mut last = None;
    for row in rows().iter().filter(|row| !row.doc.is_empty()) {
        let of = row.key.split_once('.').map(|(section, _)| section);
        let of = of.or_else(|| LISTS.contains(&row.key.as_str()).then_some(row.key.as_str()));
        let of = of.or_else(|| (row.key == "designs").then_some("designs"));
        if last != Some(of) {
            last = Some(of);
            let heading = match of {
                Some(name) if LISTS.contains(&name) => format!("[[{name}]]"),
                Some("designs") => "[designs.NAME]".to_owned(),
                Some(name) => format!("[{name}]"),
                None => "Outside of all sections".to_owned(),
            };
            write!(page, "\n## {heading}\n").ok();
        }
        write!(page, "\n### `{}`\n\n{}\n\n", row.key, row.doc).ok();
        if let Some(default) = &row.default {
            writeln!(page, "- Default: `{default}`").ok();
        }
        writeln!(page, "- Write: {}", row.allowed).ok();
        writeln!(page, "- Variable: `{}`", row.variable).ok();
    }
    page
}

const HEAD: &str = "\
# Configuration

This page is made by `plugnmeet-gateway reference`, from the rows by which the gateway reads its configuration; don't edit it.
[config/gateway.toml](../config/gateway.toml) has the same keys with their defaults, ready to be copied.

The file is TOML: `plugnmeet-gateway --config FILE`, or `config/gateway.toml`. Durations are written as `250ms`, `10s`, `5m`,
`3h`; sizes as `512B`, `32KiB`, `64MiB`; rates as `10/min`, `1/s`, `500/h`. Paths are relative to the folder in which the
gateway is started. `plugnmeet-gateway check` tells everything that is wrong, with file, line and key.

A variable of the environment wins over the file. In a variable a list has commas between its texts, or is a TOML list; a
table may be given whole, as an inline table `{ key = \"value\" }`. The first caller is number 0. Names of variables have no
case: of `[client.config]` only keys that the gateway knows by name can have a variable of their own (`enableSimulcast`,
`videoCodec` and a few more); all others stand in the file, or in one inline table. A variable that begins with `PNM_GATEWAY`
and is no key is an error, but for those that Kubernetes sets for a service of the name `pnm-gateway`.
";
