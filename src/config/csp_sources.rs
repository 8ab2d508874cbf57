//! `[headers.csp_sources]`: what the policy of the client's page opens, a list for each directive.
//!
//! A list takes the place of that directive's default alone, so that opening one thing closes no other.
//! A variable holds an inline table: `PNM_GATEWAY__HEADERS__CSP_SOURCES='{ font-src = [] }'`.
//!
//! Not here: what a source may be (`crate::route::CspSource`).

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    kind::shown,
    reader::{Given, Reader, Taken},
    source::shown_value,
};
use crate::route::{CspSource, CspSources};

const KEY: &str = "headers.csp_sources";

/// What meetings were seen to need in the client's sources (2.4), beside the policy under which it starts.
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

pub(super) fn read(reader: &mut Reader<'_>) -> Taken<CspSources> {
    let mut sources = CspSources::default();
    for (directive, list) in DEFAULTS {
        let list = list.iter().filter_map(|text| CspSource::parse(text).ok());
        sources.set(directive, list.collect());
    }
    match reader.take(KEY) {
        None => Ok(sources),
        Some(Given::File(DeValue::Table(table))) => fill(reader, sources, &table, true),
        Some(Given::File(value)) => {
            let found = format!("{} is no table", shown_value(&value));
            let allowed =
                "write [headers.csp_sources] and directives below it, such as img-src = [\"https:\"]";
            Err(reader.refuse(KEY, found, allowed))
        }
        Some(Given::Variable(text)) if text.trim().is_empty() => Ok(sources),
        Some(Given::Variable(text)) => {
            if let Ok(DeValue::Table(table)) = DeValue::parse(text.trim()).map(Spanned::into_inner) {
                return fill(reader, sources, &table, false);
            }
            let found = format!("{} is no TOML table", shown(&text));
            Err(reader.refuse(KEY, found, "write { img-src = [\"https:\"], … }"))
        }
    }
}

/// `in_file`: do the spans say lines of the file?
fn fill(
    reader: &mut Reader<'_>,
    mut sources: CspSources,
    table: &DeTable<'_>,
    in_file: bool,
) -> Taken<CspSources> {
    let mut all = Ok(());
    for (name, value) in table {
        let directive = name.get_ref();
        let path = format!("{KEY}.{directive}");
        if CspSources::directives().all(|known| known != directive.as_ref()) {
            let known: Vec<_> = CspSources::directives().collect();
            let (found, allowed) = (
                "is no directive with sources",
                format!("write {}", known.join(", ")),
            );
            all = Err(reader.refuse_part(KEY, name, in_file, &path, found, &allowed));
            continue;
        }
        match list(reader, &path, value, in_file) {
            Ok(list) => drop(sources.set(directive, list)),
            Err(told) => all = Err(told),
        }
    }
    all.map(|()| sources)
}

fn list(
    reader: &mut Reader<'_>,
    path: &str,
    value: &Spanned<DeValue<'_>>,
    in_file: bool,
) -> Taken<Vec<CspSource>> {
    let DeValue::Array(array) = value.get_ref() else {
        let found = format!("{} is no list", shown_value(value.get_ref()));
        let allowed = "write a list: [\"…\", \"…\"], or [] for none";
        return Err(reader.refuse_part(KEY, value, in_file, path, &found, allowed));
    };
    // Every item is judged, so that all that are wrong are told.
    let judged: Vec<Taken<CspSource>> = array
        .iter()
        .map(|item| {
            let allowed = "write https://HOST, wss://HOST, https:, wss:, blob:, data: or a keyword such as 'unsafe-eval'";
            let found = if let DeValue::String(text) = item.get_ref() {
                match CspSource::parse(text) {
                    Ok(source) => return Ok(source),
                    Err(why) => format!("{} {why}", shown(text)),
                }
            } else {
                format!("{} is no string", shown_value(item.get_ref()))
            };
            Err(reader.refuse_part(KEY, item, in_file, path, &found, allowed))
        })
        .collect();
    judged.into_iter().collect()
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
