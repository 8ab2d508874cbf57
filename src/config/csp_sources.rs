//! `[headers.csp_sources]`: sources that the policy of the client's page allows, one list for each directive.
//!
//! A list replaces the default of its own directive only, so that allowing one thing forbids no other. A variable holds
//! an inline table: `PNM_GATEWAY__HEADERS__CSP_SOURCES='{ font-src = [] }'`.
//!
//! Not here: what a source may be (`crate::route::CspSource`).

use super::{
    kind::shown,
    nearest::nearest,
    reader::{Shape, Table},
    rows::Form,
    tree::Node,
};
use crate::route::{CspSource, CspSources};

/// Sources that meetings were seen to need in the client (2.4), beside those without which it does not start.
const DEFAULTS: [(&str, &[&str]); 4] = [
    (
        "script-src",
        &[
            "https://www.youtube.com/iframe_api",
            "https://www.youtube.com/s/player/",
        ],
    ),
    ("font-src", &["https://esm.sh"]),
    ("media-src", &["data:"]),
    ("connect-src", &["https:", "blob:", "data:"]),
];

const SHAPE: Shape = Shape {
    allowed: "write [headers.csp_sources] and directives below it, such as img-src = [\"https:\"]",
    inline: "write { img-src = [\"https:\"], … }",
};

const DOC: &str = "Sources that the content security policy of the client's page has beside those without which the client does \
    not run: a list for each directive, in a table of its own. A list takes the place of that one default. A source is \
    `https://HOST`, also with `*.` before it and a path behind, `wss://HOST`, a scheme such as `https:`, or a keyword such as \
    `'unsafe-eval'`. Danger: whoever can put a script on a host of `script-src` can act as any participant.";

const ALLOWED: &str =
    "write https://HOST, wss://HOST, https:, wss:, blob:, data: or a keyword such as 'unsafe-eval'";

/// Reads all directives. A source with a problem is left out; a directive that is not written has its default.
pub(super) fn read(headers: &mut Table<'_>) -> CspSources {
    let mut sources = CspSources::default();
    for (directive, list) in DEFAULTS {
        let list = list.iter().filter_map(|text| CspSource::parse(text).ok());
        sources.set(directive, list.collect());
    }
    let mut table = headers.table("csp_sources", SHAPE, DOC);
    // A variable can have no hyphen in its name, so an underscore stands for it.
    table.keys = std::mem::take(&mut table.keys)
        .into_iter()
        .map(|(name, node)| match node.place.variable() {
            Some(_) => (name.replace('_', "-"), node),
            None => (name, node),
        })
        .collect();
    for directive in CspSources::directives() {
        let default = DEFAULTS.iter().find(|(known, _)| *known == directive);
        let default = default.map_or("[]".to_owned(), |(_, list)| format!("{list:?}"));
        let node = table.take(directive, Some(default), ALLOWED, "");
        let form = Form::List(Box::new(Form::Text {
            integers: false,
            optional: false,
            pattern: Some("."),
            words: Vec::new(),
        }));
        table.found.describe(&table.key(directive), |row| row.form = form);
        if let Some(node) = node {
            let items = table.items(directive, node);
            let judged = items.iter().filter_map(|item| source(&table, directive, item));
            sources.set(directive, judged.collect());
        }
    }
    for (directive, node) in &table.keys {
        let known: Vec<_> = CspSources::directives().collect();
        let near = nearest(directive, known.iter().copied());
        let near = near.map_or_else(String::new, |near| format!("perhaps {near} is meant: "));
        let allowed = format!("{near}write {}", known.join(", "));
        table.refuse(&node.place, directive, "is no directive with sources", &allowed);
    }
    sources
}

fn source(table: &Table<'_>, directive: &str, item: &Node) -> Option<CspSource> {
    let found = match item.value.text(false).map(|text| (text, CspSource::parse(text))) {
        Some((_, Ok(source))) => return Some(source),
        Some((text, Err(why))) => format!("{} {why}", shown(text)),
        None => format!("{} is no string", item.value.shown()),
    };
    table.refuse(&item.place, directive, found, ALLOWED);
    None
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn parse(text: &str, variable: Option<&str>) -> Result<CspSources, String> {
        let variable = variable.map(|text| ("PNM_GATEWAY__HEADERS__CSP_SOURCES".to_owned(), text.to_owned()));
        Config::parse(text, "gateway.toml", variable.as_slice())
            .map(|config| config.headers.csp_sources)
            .map_err(|problems| problems.to_string())
    }

    fn sources(texts: &[&str]) -> Vec<CspSource> {
        texts.iter().map(|text| CspSource::parse(text).unwrap()).collect()
    }

    #[test]
    fn a_list_takes_the_place_of_one_default_and_of_no_other() {
        let defaults = parse("", None).unwrap();
        for (_, list) in DEFAULTS {
            sources(list);
        }
        let mut expected = defaults.clone();
        expected
            .set("font-src", sources(&["https://fonts.example.org"]))
            .unwrap();
        expected.set("img-src", sources(&["mediastream:"])).unwrap();
        assert_ne!(expected, defaults);
        let table = "font-src = ['https://fonts.example.org'], img-src = ['mediastream:']";
        let file = format!("[headers.csp_sources]\n{}", table.replace("], ", "]\n"));
        assert_eq!(parse(&file, None), Ok(expected.clone()));
        assert_eq!(parse("", Some(&format!("{{ {table} }}"))), Ok(expected));
        assert_eq!(parse("", Some(" ")), Ok(defaults));
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_line() {
        let text = "[headers.csp_sources]\nimg-src = 'https:'\nbase-uri = ['https:']\nstyle-src = [\n 'https:',\n \
                    'http://a.example',\n \"'none'\",\n 7]\n";
        let allowed =
            "write https://HOST, wss://HOST, https:, wss:, blob:, data: or a keyword such as 'unsafe-eval'";
        assert_eq!(
            parse(text, None).unwrap_err(),
            format!(
                "gateway.toml:2: headers.csp_sources.img-src: \"https:\" is no list; write a list: [\"…\", \"…\"], or [] \
                 for none\n\
                 gateway.toml:3: headers.csp_sources.base-uri: is no directive with sources; write default-src, \
                 script-src, worker-src, style-src, img-src, font-src, media-src, connect-src, frame-src, object-src\n\
                 gateway.toml:6: headers.csp_sources.style-src: \"http://a.example\" is neither https nor wss; {allowed}\n\
                 gateway.toml:7: headers.csp_sources.style-src: \"'none'\" can't be added to sources; {allowed}\n\
                 gateway.toml:8: headers.csp_sources.style-src: 7 is no string; {allowed}"
            )
        );
        let told = parse("", Some("{ img-src = 'https:' }")).unwrap_err();
        let place = "environment: PNM_GATEWAY__HEADERS__CSP_SOURCES: headers.csp_sources.img-src: ";
        assert!(told.starts_with(place), "{told}");
        let told = parse("", Some("img-src")).unwrap_err();
        assert!(told.ends_with("\"img-src\" is no TOML table; write { img-src = [\"https:\"], … }"));
    }
}
