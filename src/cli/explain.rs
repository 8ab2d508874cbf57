//! `explain`: what would happen to a request, and why: its target, the row of the URL space, who may send it, where it goes and
//! with which header fields. Nothing is sent, and no upstream is asked.
//!
//! Of a query only the names of its parameters are shown: their values may be tokens.

use std::fmt::Write as _;

use hyper::{Method, Request, Uri, header};

use super::Refused;
use crate::{
    config::{Config, Plan},
    issue::Mode,
    observe::redacted,
    proxy::Target,
    query::Query,
    route::{BadTarget, CanonicalTarget, known_method},
    urls::{Action, Content, Form, Found, Guard, Issues, Leads, Step, Takes, To, Watch},
};

pub(super) fn answer(config: &Config, url: &str, method: &str) -> Result<String, Refused> {
    let origin = config.public_origin_at(config.listen.https_port());
    let authority = origin.authority();
    let whole = if url.starts_with('/') {
        format!("https://{authority}{url}")
    } else {
        url.to_owned()
    };
    // SECURITY: what can't be read is not shown either, as nobody knows which part of it is a secret.
    let uri: Uri = whole
        .parse()
        .map_err(|error| format!("this is no address of a request: {error}"))?;
    let named = uri
        .authority()
        .map_or(authority, |named| named.as_str().to_owned());
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let method: Method = method
        .parse()
        .map_err(|_| format!("{method}: no method of HTTP"))?;
    let request = Request::builder()
        .method(&method)
        .uri(target)
        .header(header::HOST, named)
        .body(())
        .map_err(|error| format!("this is no request: {error}"))?;
    Ok(explained(config, &request))
}

fn explained(config: &Config, request: &Request<()>) -> String {
    let (hosts, table) = Plan::paths(config);
    let path = request.uri().path();
    let mut said = Said::default();
    said.line("target", &target(request));
    let found = table.find(path);
    match CanonicalTarget::of(request, &hosts) {
        Ok(target) => said.line("host", &format!("{} is one of ours", target.our_name)),
        Err(BadTarget::NotOurs) => {
            said.line("host", "none of ours: public_origin and hosts do not name it");
            said.line("answer", "421");
            return said.0;
        }
        Err(bad) => {
            said.line("answer", &format!("400, as {bad}"));
            return said.0;
        }
    }
    if known_method(request.method()).is_err() {
        said.line("answer", "405, as this method is taken nowhere");
        return said.0;
    }
    said.line("route", found.row.name);
    said.line("guard", &guard(config, found.row.guard));
    if let Some(takes) = takes(found.row.takes) {
        said.line("tokens", takes);
    }
    said.line("does", &action(config, found));
    if let Some(to) = upstream_of(config, found.row.action) {
        upstream(config, to, found, request, &mut said);
    }
    if let Some(watch) = watch(found.row.watch) {
        said.line("looks for", watch);
    }
    said.line("errors", form(found.row.errors));
    said.line("headers", &headers(config, found.row.content));
    said.0
}

/// Lines of a name and what is to be said of it.
#[derive(Default)]
struct Said(String);

impl Said {
    fn line(&mut self, name: &str, what: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        write!(self.0, "{name:<10} {what}").ok();
    }
}

fn target(request: &Request<()>) -> String {
    let path = redacted(request.uri().path());
    let names = Query(request.uri().query().unwrap_or_default()).names();
    let names: Vec<String> = names.iter().map(|name| shown(name)).collect();
    let query = if names.is_empty() {
        String::new()
    } else {
        format!(", with {}", names.join(", "))
    };
    format!("{} {path}{query}", request.method())
}

/// A parameter's name, in one line. An encoded `=` does not make a name of a value.
fn shown(name: &str) -> String {
    let name = name.split('=').next().unwrap_or_default();
    let each = name.chars().map(|letter| {
        if letter.is_control() {
            letter.escape_default().to_string()
        } else {
            letter.to_string()
        }
    });
    each.collect()
}

fn guard(config: &Config, guard: Guard) -> String {
    match guard {
        Guard::Open => "open to every client".into(),
        Guard::Internal if config.trust.internal.is_empty() => {
            "open to every client, as trust.internal is empty".into()
        }
        Guard::Internal => "clients of trust.internal alone; 403 for others".into(),
    }
}

fn takes(takes: Takes) -> Option<&'static str> {
    match takes {
        Takes::Any => None,
        Takes::Join => Some("a join token, if any; one of another kind is 401"),
        Takes::JoinInForm => Some("a join token, if any, also in a form field; one of another kind is 401"),
        Takes::Lti => Some("a token of LTI's, if any; one of another kind is 401"),
        Takes::LtiInForm => {
            Some("a token of LTI's, if any, also in a form field; one of another kind is 401")
        }
        Takes::Download => Some("a token for a download, in the path; one of another kind is 401"),
    }
}

fn action(config: &Config, found: Found<'_>) -> String {
    match found.row.action {
        Action::Leads(Leads::ToMount) => {
            "a link with a token is handed off; else 302 to the client's mount".into()
        }
        Action::Leads(Leads::ToSlash) => {
            "a link with a token is handed off; else 308 to the same path with a slash".into()
        }
        Action::Session(Step::Enter) => {
            "a link with a token is handed off (303); a running session gets the client's page".into()
        }
        Action::Session(Step::Leave) => "the session ends".into(),
        Action::Session(Step::Switch) => "asks whether the link's session may replace the running one".into(),
        Action::File => format!("the client's file {}", redacted(found.file())),
        Action::Favicon => "the client's icon".into(),
        Action::Waiting => "how many are let in before the session's person, who waits to join".into(),
        Action::CheckPage => "the page that says whether a browser can get in".into(),
        Action::DesignCheck => "tells whether a design would be taken".into(),
        Action::Issue(Issues::Token) => format!(
            "a join token: key, signature, body and limits are checked, then {}",
            if is_embedded(config) {
                "the gateway signs one itself"
            } else {
                "plugnmeet-server is asked for one"
            }
        ),
        Action::Issue(Issues::Auth(_)) => {
            "the API under /auth: the envelope is checked, a caller of its own is checked whole".into()
        }
        Action::Issue(Issues::Bbb(_)) => "a call of BBB's API: checksum and limits are checked".into(),
        Action::Issue(Issues::LtiJoin) => "a join from a learning platform, checked and counted".into(),
        Action::Issue(Issues::BreakoutJoin) => "a join to a breakout room, checked and counted".into(),
        Action::Issue(Issues::RemoveParticipant) => {
            "a participant is removed; who was blocked is remembered".into()
        }
        Action::Forward(_) => "forwarded as it is".into(),
        Action::Misplaced => "404: the API has no prefix, and the answer says its address".into(),
        Action::Nowhere => "404: nothing is served at this path".into(),
    }
}

fn is_embedded(config: &Config) -> bool {
    matches!(config.issuer.mode, Mode::Embedded(_))
}

fn upstream_of(config: &Config, action: Action) -> Option<To> {
    match action {
        Action::Forward(to) => Some(to),
        Action::Issue(Issues::Token) if is_embedded(config) => None,
        Action::Issue(_) => Some(To::Server),
        Action::Leads(_)
        | Action::Session(_)
        | Action::File
        | Action::Favicon
        | Action::CheckPage
        | Action::DesignCheck
        | Action::Waiting
        | Action::Misplaced
        | Action::Nowhere => None,
    }
}

fn upstream(config: &Config, to: To, found: Found<'_>, request: &Request<()>, said: &mut Said) {
    let upstreams = &config.upstreams;
    let one = |target: &Option<Target>| target.iter().cloned().collect::<Vec<_>>();
    let (name, targets, prefix_off) = match to {
        To::Server => ("server", upstreams.server.clone(), false),
        To::Livekit => ("livekit", one(&upstreams.livekit), true),
        To::Nats => ("nats", one(&upstreams.nats), true),
        To::Etherpad => ("etherpad", one(&upstreams.etherpad), true),
        To::Ingress => ("ingress", one(&upstreams.ingress), false),
    };
    if targets.is_empty() {
        said.line(
            "upstream",
            &format!("none: upstreams.{name} is not configured, so this is 404"),
        );
        return;
    }
    let targets: Vec<String> = targets.iter().map(ToString::to_string).collect();
    said.line("upstream", &format!("upstreams.{name}: {}", targets.join(", ")));
    let seen = if prefix_off {
        found.without_prefix()
    } else {
        request.uri().path()
    };
    said.line("it sees", &format!("{}, the query as it came", redacted(seen)));
    let cookies = if to == To::Etherpad {
        "Cookie without the session's"
    } else {
        "no Cookie"
    };
    said.line(
        "and",
        &format!("Host as it came; X-Forwarded-For, -Proto and -Host made anew; {cookies}"),
    );
}

fn watch(watch: Watch) -> Option<&'static str> {
    match watch {
        Watch::Nothing => None,
        Watch::Page => Some("the client's page, which gets its policy"),
        Watch::Link => Some("a redirect to a link of ours, whose token goes into the cookie"),
        Watch::LinksInXml => Some("links of ours, in a redirect and in BBB's XML"),
        Watch::NewerToken => Some("success, by which a newer token refreshes the cookie"),
        Watch::Upload => {
            Some("success, by which a newer token refreshes the cookie; statuses that are tried again")
        }
        Watch::Prefix(_) => Some("the upstream's own paths, which get their prefix back"),
    }
}

fn form(form: Form) -> &'static str {
    match form {
        Form::Auth => "the server's JSON, or protobuf where the request was",
        Form::Api => "protobuf where the request was, else the server's JSON",
        Form::Upload => "the server's JSON with 400, so that the uploader gives up",
        Form::Bbb => "BBB's XML",
        Form::ServersJson => "the server's JSON",
        Form::Json => "JSON",
        Form::People | Form::OwnForm => "a page, or JSON for who prefers it",
        Form::Misplaced => "a page for who accepts one, else the server's JSON",
        Form::Machines => "JSON, or a page for who names one in Accept",
    }
}

fn headers(config: &Config, content: Content) -> String {
    let hsts = config.headers.hsts.map_or_else(
        || "no Strict-Transport-Security".to_owned(),
        |time| {
            format!(
                "Strict-Transport-Security: max-age={} for a public name",
                time.as_secs()
            )
        },
    );
    let of_content = match content {
        Content::Plain => "",
        Content::Download => ", and what keeps a browser from running a download",
        Content::Login => ", and what keeps others from framing the page",
    };
    format!("{hsts}{of_content}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOML: &str =
        "public_origin = 'https://conf.example.org'\n[upstreams]\nlivekit = 'http://127.0.0.1:7880'\n";

    fn told(url: &str) -> Vec<(String, String)> {
        let config = Config::parse(TOML, "gateway.toml", &[]).unwrap();
        let text = answer(&config, url, "GET").unwrap();
        text.lines()
            .map(|line| {
                let (name, what) = line.split_at(11);
                (name.trim().to_owned(), what.to_owned())
            })
            .collect()
    }

    fn line(url: &str, name: &str) -> Option<String> {
        told(url)
            .into_iter()
            .find(|(of, _)| of == name)
            .map(|(_, what)| what)
    }

    #[test]
    fn a_request_for_livekit_goes_on_without_its_prefix() {
        let url = "https://conf.example.org/livekit/rtc/validate?access_token=hidden-value";
        assert_eq!(
            line(url, "target").unwrap(),
            "GET /livekit/rtc/validate, with access_token"
        );
        assert_eq!(
            line(url, "upstream").unwrap(),
            "upstreams.livekit: http://127.0.0.1:7880"
        );
        assert_eq!(
            line(url, "it sees").unwrap(),
            "/rtc/validate, the query as it came"
        );
        assert!(told(url).iter().all(|(_, what)| !what.contains("hidden-value")));
    }

    #[test]
    fn no_value_is_shown_and_no_name_makes_a_line_of_its_own() {
        let config = Config::parse(TOML, "gateway.toml", &[]).unwrap();
        for (url, named) in [
            ("/x?a%0Ahost=1&b%1B[31m=2", "GET /x, with a\\nhost, b\\u{1b}[31m"),
            ("/x?access_token%3Dhidden-value", "GET /x, with access_token"),
        ] {
            assert_eq!(line(url, "target").as_deref(), Some(named), "{url}");
        }
        for url in [
            "/conference/?access_token=hidden-value x",
            "conf.example.org/?access_token=hidden-value",
            "https://u:hidden-value@conf.example.org:port/",
        ] {
            let said = answer(&config, url, "GET").unwrap_or_else(|why| why);
            assert!(!said.contains("hidden-value"), "{said}");
        }
    }

    #[test]
    fn a_token_comes_from_whoever_issues_it() {
        let of = |mode: &str| {
            let toml =
                format!("issuer.mode = '{mode}'\nplugnmeet.secret = '0123456789abcdef0123456789abcdef'\n");
            let config = Config::parse(&toml, "gateway.toml", &[]).unwrap();
            answer(&config, "/auth/room/getJoinToken", "POST").unwrap()
        };
        let (embedded, upstream) = (of("embedded"), of("upstream"));
        assert!(
            embedded.contains("then the gateway signs one itself"),
            "{embedded}"
        );
        assert!(!embedded.contains("upstream "), "{embedded}");
        assert!(
            upstream.contains("then plugnmeet-server is asked for one"),
            "{upstream}"
        );
        assert!(
            upstream.contains("upstreams.server: http://127.0.0.1:8080"),
            "{upstream}"
        );
    }

    #[test]
    fn what_is_refused_says_why() {
        assert_eq!(line("https://192.0.2.7/", "answer").unwrap(), "421");
        assert_eq!(
            line("https://conf.example.org/a/%2e%2e/b", "answer").unwrap(),
            "400, as the path has a dot segment"
        );
        assert_eq!(
            line("/ws", "upstream").unwrap(),
            "none: upstreams.nats is not configured, so this is 404"
        );
        assert_eq!(
            line("/nowhere", "does").unwrap(),
            "404: nothing is served at this path"
        );
        let config = Config::parse(TOML, "gateway.toml", &[]).unwrap();
        assert!(answer(&config, "/", "TRACE").unwrap().contains("405"));
    }
}
