//! The content security policy of the client's page.
//!
//! The policy is made once, with placeholders. Each answer puts in the name in the request and the nonce of a script.
//!
//! Not here: what it is made of (`super::page_settings`), the other headers of pages (`super::policy`).
//!
//! Sources: docs/plugnmeet.md section 7; CSP level 3, sections 6.7.2.8 (paths) and 8.1 (what a `blob:` worker
//! inherits).

use hyper::header::HeaderValue;

use super::{
    page_settings::{
        ASKED_FILES, CLIENT, Csp, NONCE, OWN_FILES, PageProblem, PageSettings, SERVER_URL, joined, value,
    },
    source::can_stand,
};

/// The sources that the client needs if its files are at another origin, such as a CDN. The client makes a worker of a
/// `blob:`, which has the page's policy and imports from the CDN and from `data:`.
const OTHER_ASSETS: [&str; 6] = [
    "script-src",
    "worker-src",
    "img-src",
    "font-src",
    "media-src",
    "connect-src",
];

/// The content security policy of the client's page, with placeholders for the values that differ between answers.
#[derive(Debug)]
pub(super) struct ClientPolicy {
    whole: HeaderValue,
    template: String,
    /// The authority of the public origin.
    authority: String,
    mount: String,
}

impl ClientPolicy {
    pub fn new(settings: &PageSettings, ancestors: &str) -> Result<Self, PageProblem> {
        joined(&[&settings.public_origin])?;
        let mut directives = Vec::new();
        for (name, contract) in CLIENT {
            directives.push(format!("{name} {}", sources(name, contract, settings)?));
        }
        if settings.csp == Csp::Enforce {
            directives.push(ancestors.to_owned());
        }
        if let Some(report) = &settings.csp_report {
            directives.push(format!("report-uri {}", joined(&[report])?));
        }
        let template = directives.join("; ");
        let authority = settings.public_origin.split_once("://");
        Ok(Self {
            whole: value(filled(&template, "", ""))?,
            authority: authority.map_or("", |(_, authority)| authority).to_owned(),
            mount: settings.mount.clone(),
            template,
        })
    }

    pub fn with(&self, asked: Option<&str>, nonce: Option<&str>) -> HeaderValue {
        let other = asked.filter(|asked| *asked != self.authority && can_stand(asked));
        if other.is_none() && nonce.is_none() {
            return self.whole.clone();
        }
        let files = other.map(|asked| format!(" {}", files_at(&format!("https://{asked}"), &self.mount)));
        let nonce = nonce.map(|nonce| format!(" 'nonce-{nonce}'"));
        let policy = filled(
            &self.template,
            &files.unwrap_or_default(),
            &nonce.unwrap_or_default(),
        );
        policy.try_into().unwrap_or_else(|_| self.whole.clone())
    }
}

/// The policy with these values for its placeholders. Each value is empty or begins with a blank.
fn filled(template: &str, files: &str, nonce: &str) -> String {
    template
        .replace(&format!(" {ASKED_FILES}"), files)
        .replace(&format!(" {NONCE}"), nonce)
}

/// The folders of the client's files: by their names, and by their release. CSP has no way to write an IPv6 address, so
/// there it is the whole origin.
fn files_at(origin: &str, mount: &str) -> String {
    match mount {
        _ if origin.contains('[') => "'self'".to_owned(),
        "" => format!("{origin}/assets/ {origin}/r/"),
        mount => format!("{origin}{mount}/assets/ {origin}{mount}/r/ {origin}/assets/"),
    }
}

/// Has the operator opened the page to every script in it? Beside a hash that word would not count (CSP level 3, section
/// 6.7.3.2).
fn opens_all_scripts(settings: &PageSettings) -> bool {
    let mut opened = settings.csp_sources.of("script-src");
    opened.any(|source| source == "'unsafe-inline'")
}

/// The sources of a directive: those that the client needs, then those that the configuration adds.
fn sources(name: &str, contract: &[&str], settings: &PageSettings) -> Result<String, PageProblem> {
    let operator = &settings.operator_sources;
    let (listed, own): (&[String], &[String]) = match name {
        "style-src" => (&settings.css_sources, &operator.styles),
        // A style sheet's fonts and pictures are mostly beside it.
        "font-src" => (&[], &operator.styles),
        "img-src" => (&operator.images, &operator.styles),
        _ => (&[], &[]),
    };
    let assets = settings.assets_origin.as_deref();
    let assets = assets.filter(|_| OTHER_ASSETS.contains(&name));
    let scripts = settings.scripts.iter().map(String::as_str);
    let scripts = scripts.filter(|_| name == "script-src" && !opens_all_scripts(settings));
    let imported = assets.filter(|_| name == "script-src").map(|_| "data:");
    let added: Vec<&str> = listed
        .iter()
        .chain(own)
        .map(String::as_str)
        .chain(assets)
        .chain(imported)
        .chain(scripts)
        .chain(settings.csp_sources.of(name))
        .collect();
    let files = files_at(&settings.public_origin, &settings.mount);
    let own_files = files.split(' ');
    let contract: Vec<&str> = contract
        .iter()
        .flat_map(|source| {
            let own = (*source == OWN_FILES).then(|| own_files.clone());
            let other = (*source != OWN_FILES).then_some(*source);
            own.into_iter().flatten().chain(other)
        })
        .collect();
    let mut all: Vec<&str> = Vec::new();
    for source in contract.into_iter().chain(added.iter().copied()) {
        let source = if source == SERVER_URL {
            &settings.public_origin
        } else {
            source
        };
        let moot = source == "'none'" && !added.is_empty();
        if !moot && !all.contains(&source) {
            all.push(source);
        }
    }
    joined(&all)
}

#[cfg(test)]
mod tests {
    use super::{super::source::CspSource, *};
    use crate::design::OperatorSources;

    fn owned(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    fn policy(settings: &PageSettings, asked: Option<&str>, nonce: Option<&str>) -> String {
        let policy = ClientPolicy::new(settings, "frame-ancestors 'none'").unwrap();
        policy.with(asked, nonce).to_str().unwrap().to_owned()
    }

    fn sources_of(policy: &str, directive: &str) -> String {
        let found = policy.split("; ").find_map(|part| part.strip_prefix(directive));
        found
            .unwrap_or_else(|| panic!("no {directive} in {policy}"))
            .trim()
            .to_owned()
    }

    /// What people upload lies at the same origin, below `/download`.
    #[test]
    fn scripts_and_style_sheets_are_the_clients_files_at_any_of_our_names() {
        let settings = PageSettings::of_a_test();
        let scripts = |asked, nonce| sources_of(&policy(&settings, Some(asked), nonce), "script-src");
        let public = "https://conf.example.org/conference/assets/ https://conf.example.org/conference/r/ \
                      https://conf.example.org/assets/";
        assert_eq!(
            scripts("conf.example.org", None),
            format!("{public} 'wasm-unsafe-eval'")
        );
        assert_eq!(
            scripts("meet.example.org:8443", Some("abc")),
            format!(
                "{public} https://meet.example.org:8443/conference/assets/ https://meet.example.org:8443/conference/r/ \
                 https://meet.example.org:8443/assets/ 'wasm-unsafe-eval' 'nonce-abc'"
            )
        );
        assert_eq!(
            scripts("[::1]:8443", None),
            format!("{public} 'self' 'wasm-unsafe-eval'")
        );
        assert_eq!(scripts("a;b", None), format!("{public} 'wasm-unsafe-eval'"));
        let at_root = PageSettings {
            mount: String::new(),
            ..settings.clone()
        };
        let styles = sources_of(&policy(&at_root, None, None), "style-src");
        assert_eq!(
            styles,
            "https://conf.example.org/assets/ https://conf.example.org/r/ 'unsafe-inline'"
        );
    }

    /// A hash takes the effect from the operator's word that every script in the page may run.
    #[test]
    fn our_own_script_is_allowed_by_its_hash() {
        let mut settings = PageSettings {
            scripts: owned(&["'sha256-abc='"]),
            ..PageSettings::of_a_test()
        };
        let own = "https://conf.example.org/conference/assets/ https://conf.example.org/conference/r/ \
                   https://conf.example.org/assets/ 'wasm-unsafe-eval'";
        let scripts = |settings: &PageSettings| sources_of(&policy(settings, None, None), "script-src");
        assert_eq!(scripts(&settings), format!("{own} 'sha256-abc='"));
        let all = vec![CspSource::parse("'unsafe-inline'").unwrap()];
        settings.csp_sources.set("script-src", all).unwrap();
        assert_eq!(scripts(&settings), format!("{own} 'unsafe-inline'"));
    }

    #[test]
    fn the_operators_designs_and_the_clients_files_elsewhere_are_opened() {
        let settings = PageSettings {
            operator_sources: OperatorSources {
                styles: owned(&["https://css.example.org"]),
                images: owned(&["https://img.example.org:8443"]),
            },
            assets_origin: Some("https://cdn.example.net".to_owned()),
            ..PageSettings::of_a_test()
        };
        let policy = policy(&settings, None, None);
        let own = "https://conf.example.org/conference/assets/ https://conf.example.org/conference/r/ \
                   https://conf.example.org/assets/";
        for (directive, expected) in [
            (
                "script-src",
                format!("{own} 'wasm-unsafe-eval' https://cdn.example.net data:"),
            ),
            ("worker-src", "'self' blob: https://cdn.example.net".to_owned()),
            (
                "style-src",
                format!("{own} 'unsafe-inline' https://css.example.org"),
            ),
            (
                "img-src",
                "'self' data: blob: https: https://img.example.org:8443 https://css.example.org https://cdn.example.net"
                    .to_owned(),
            ),
            (
                "font-src",
                "'self' data: https://css.example.org https://cdn.example.net".to_owned(),
            ),
            ("media-src", "'self' blob: https: https://cdn.example.net".to_owned()),
            (
                "connect-src",
                "'self' ws: wss: https://conf.example.org https://cdn.example.net".to_owned(),
            ),
        ] {
            assert_eq!(sources_of(&policy, directive), expected, "{directive}");
        }
    }
}
