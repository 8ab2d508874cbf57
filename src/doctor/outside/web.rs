//! Names, ports, TLS, the page and its files.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::{Method, Request, StatusCode};
use tokio::{net::TcpStream, time::timeout};
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{ANSWER, CONNECT, MAX_BYTES, Outside, header, meeting::page_of, own_words, shown};
use crate::{
    doctor::finding::{Said, all_or},
    proxy::{OwnClient, addresses},
};

/// Certificates are renewed in the last third of their life; in the last part of so many a renewal has failed already.
const PARTS: i64 = 5;
/// `nbf` and `exp` are taken with a minute's leeway.
const MOST_SECONDS_APART: i64 = 60;

pub async fn names(outside: Arc<Outside>) -> Vec<Said> {
    let host = &outside.host;
    let found = match timeout(ANSWER, addresses(host, outside.port)).await {
        Ok(Ok(found)) if !found.is_empty() => found,
        Ok(Err(error)) => {
            return vec![Said::fail(
                format!("{host} has no address: {error}"),
                "make an A record (and an AAAA one, if the machine has IPv6)",
            )];
        }
        Ok(Ok(_)) | Err(_) => return vec![Said::fail(format!("{host} has no address"), "make an A record")],
    };
    let mut wrong = Vec::new();
    for at in &found {
        let kind = if at.is_ipv6() { "AAAA" } else { "A" };
        let connected = timeout(CONNECT, TcpStream::connect(at)).await;
        if !matches!(connected, Ok(Ok(_))) {
            wrong.push(Said::fail(
                format!(
                    "{host} has the {kind} record {}, and nobody answers there at port {}",
                    at.ip(),
                    at.port()
                ),
                "take the record away, or let the gateway listen there, and open the firewall",
            ));
        }
    }
    let mut all: Vec<String> = found.iter().map(|at| at.ip().to_string()).collect();
    all.dedup();
    all_or(wrong, format!("{host} is {}", all.join(", ")))
}

async fn plain(outside: &Outside, path: &str) -> Result<hyper::Response<Bytes>, String> {
    let host = outside.settings.url.host_str().unwrap_or_default();
    let address = match outside.settings.http {
        80 => format!("http://{host}{path}"),
        port => format!("http://{host}:{port}{path}"),
    };
    let request = Request::get(address)
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let own_client = OwnClient::plain(ANSWER, MAX_BYTES);
    own_client
        .send(request, None)
        .await
        .map_err(|error| error.to_string())
}

pub async fn http(outside: Arc<Outside>) -> Vec<Said> {
    let answer = match plain(&outside, "/").await {
        Ok(answer) => answer,
        Err(why) => {
            return vec![Said::warn(
                why,
                "let the gateway listen on port 80 (listen.http), and open the firewall: people who type the name come there",
            )];
        }
    };
    let to = header(&answer, "location").to_owned();
    let wanted = format!("https://{}", outside.authority());
    if answer.status().is_redirection() && to.starts_with(&wanted) {
        return vec![Said::ok(format!("{} to {wanted}", answer.status().as_u16()))];
    }
    let found = if to.is_empty() {
        answer.status().to_string()
    } else {
        format!("leads to {to}")
    };
    vec![Said::fail(
        found,
        format!("something else answers on port 80: it has to lead to {wanted}"),
    )]
}

pub async fn challenges(outside: Arc<Outside>) -> Vec<Said> {
    let path = "/.well-known/acme-challenge/plugnmeet-gateway-doctor";
    match plain(&outside, path).await {
        Err(_) => vec![Said::skip("nobody answers on port 80; see outside.http")],
        Ok(answer) if answer.status() == StatusCode::NOT_FOUND => vec![Said::ok("404 for what no CA asks")],
        Ok(answer) if answer.status().is_redirection() && header(&answer, "location").ends_with(path) => {
            vec![Said::ok("leads to HTTPS, at the same path")]
        }
        Ok(answer) => vec![Said::warn(
            format!("{} below /.well-known/acme-challenge/", answer.status()),
            "a CA that checks by port 80 gets this: let [acme] answer it, or acme.pass_to whoever renews",
        )],
    }
}

pub async fn tls(outside: Arc<Outside>) -> Vec<Said> {
    let stream = match outside
        .connect(&outside.host, outside.port, &[b"h2", b"http/1.1"])
        .await
    {
        Ok(stream) => stream,
        Err(why) => return vec![Said::fail(why, advice(&outside))],
    };
    let (_, session) = stream.get_ref();
    let version = session
        .protocol_version()
        .map_or(String::new(), |version| format!("{version:?}"));
    let group = session.negotiated_key_exchange_group();
    let group = group.map_or(String::new(), |group| format!("{:?}", group.name()));
    let alpn = String::from_utf8_lossy(session.alpn_protocol().unwrap_or_default()).into_owned();
    let chain = session.peer_certificates().unwrap_or_default();
    let life = chain.first().and_then(|leaf| {
        let (_, leaf) = X509Certificate::from_der(leaf).ok()?;
        let life = leaf.validity();
        Some((life.not_before.timestamp(), life.not_after.timestamp()))
    });
    let (begins, ends) = life.unwrap_or_default();
    let left = ends - outside.settings.now;
    let days = left / 86_400;
    let mut wrong = Vec::new();
    if left * PARTS < ends - begins {
        wrong.push(Said::warn(
            format!("the certificate ends in {days} days, and nobody has renewed it"),
            "look at plugnmeet-gateway status, or at certbot's log",
        ));
    }
    if version != "TLSv1_3" {
        wrong.push(Said::warn(
            format!("{version} and not 1.3"),
            "something else ends TLS in front of the gateway",
        ));
    }
    if alpn != "h2" {
        wrong.push(Said::warn(
            "no HTTP/2: files come one after another",
            "something else ends TLS in front of the gateway",
        ));
    }
    all_or(
        wrong,
        format!("{version}, {group}, {alpn}; the certificate has {days} days"),
    )
}

fn advice(outside: &Outside) -> String {
    let why = outside.away.as_deref().unwrap_or_default();
    if why.contains("certificate") {
        "serve a certificate for this name, with its chain; a CA of your own is named by --roots".into()
    } else {
        "let the gateway listen at this port on all addresses, and open the firewall".into()
    }
}

pub async fn clock(outside: Arc<Outside>) -> Vec<Said> {
    let answer = match outside.get("/healthCheck", &[]).await {
        Ok(answer) => answer,
        Err(why) => return vec![Said::fail(why, "see outside.page")],
    };
    let Ok(there) = httpdate::parse_http_date(header(&answer, "date")) else {
        return vec![Said::skip("the answer has no date")];
    };
    let there = there.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let apart = (i64::try_from(there.as_secs()).unwrap_or_default() - outside.settings.now).abs();
    if apart > MOST_SECONDS_APART {
        return vec![Said::fail(
            format!("the clocks of this machine and that one are {apart} s apart"),
            "switch on NTP on whichever is wrong: tokens of another hour are refused",
        )];
    }
    vec![Said::ok("the clocks agree")]
}

pub async fn page(outside: Arc<Outside>) -> Vec<Said> {
    let target = format!("{}/", outside.mount);
    let answer = match outside.get(&target, &[("accept", "text/html")]).await {
        Ok(answer) => answer,
        Err(why) => return vec![Said::fail(why, "look at the gateway's log")],
    };
    let is_html = header(&answer, "content-type").starts_with("text/html");
    if !is_html || answer.status().is_server_error() || answer.status() == StatusCode::NOT_FOUND {
        return vec![Said::fail(
            format!("{} for {target}", answer.status()),
            "name the mount in the address (https://HOST/conference), and look at client.path",
        )];
    }
    if answer.status() == StatusCode::MISDIRECTED_REQUEST {
        return vec![Said::fail(
            "421: the gateway does not know this name",
            "write it as public_origin, or into hosts",
        )];
    }
    if header(&answer, "content-security-policy").is_empty() {
        return vec![Said::warn(
            "the page has no Content-Security-Policy",
            "is it the gateway that answers here?",
        )];
    }
    vec![Said::ok(format!("{} with a policy", answer.status().as_u16()))]
}

/// The pages that name files of the client's, one after the other; with the keys the client's own page, too.
async fn pages(outside: &Outside) -> String {
    let mut html = String::new();
    for target in ["", "login.html"].map(|name| format!("{}/{name}", outside.mount)) {
        if let Ok(answer) = outside.get(&target, &[("accept", "text/html")]).await {
            html.push_str(&String::from_utf8_lossy(answer.body()));
        }
    }
    if let Some(token) = &outside.token()
        && let Ok(page) = page_of(outside, token).await
    {
        html.push_str(&String::from_utf8_lossy(page.body()));
    }
    html
}

fn no_script(outside: &Outside) -> Vec<Said> {
    vec![Said::skip(if outside.has_keys() {
        "the page names no script"
    } else {
        "the page names no script; with --api-key and --secret-file the client's page is looked at"
    })]
}

pub async fn files(outside: Arc<Outside>) -> Vec<Said> {
    let html = pages(&outside).await;
    let Some(script) = file_of(&html, "js") else {
        return no_script(&outside);
    };
    let target = format!("{}/{script}", outside.mount);
    let answer = match outside.get(&target, &[("accept-encoding", "br")]).await {
        Ok(answer) => answer,
        Err(why) => {
            return vec![Said::fail(
                format!("{target}: {why}"),
                "look at the gateway's log",
            )];
        }
    };
    if answer.status() != StatusCode::OK {
        return vec![Said::fail(
            format!("{} for {target}", answer.status()),
            "the page and the files are of different releases: look at client.path",
        )];
    }
    let mut wrong = Vec::new();
    let kind = header(&answer, "content-type");
    if !kind.starts_with("text/javascript") {
        wrong.push(Said::fail(
            format!("{target} is {kind:?}, and browsers run no such module"),
            "something in front of the gateway changes Content-Type",
        ));
    }
    if header(&answer, "content-encoding") != "br" {
        wrong.push(Said::warn(
            format!("{target} does not come as brotli: the first visit takes longer"),
            "wait until the gateway has compressed it (plugnmeet-gateway prepare); or something in front takes Accept-Encoding away",
        ));
    }
    all_or(wrong, format!("{target} as brotli, text/javascript"))
}

/// A browser compiles what is `application/wasm` while it comes, and nothing else; virtual backgrounds need one.
pub async fn wasm(outside: Arc<Outside>) -> Vec<Said> {
    let html = pages(&outside).await;
    let Some(script) = file_of(&html, "js") else {
        return no_script(&outside);
    };
    let target = format!("{}/{script}", outside.mount);
    let text = match outside.get(&target, &[]).await {
        Ok(answer) => String::from_utf8_lossy(answer.body()).into_owned(),
        Err(why) => return vec![Said::skip(format!("{target}: {why}; see outside.files"))],
    };
    let Some(module) = file_of(&text, "wasm") else {
        return vec![Said::skip(format!("{target} names no .wasm file"))];
    };
    let target = format!("{}/{module}", outside.mount);
    match outside.get(&target, &[]).await {
        Ok(answer) if answer.status() != StatusCode::OK => vec![Said::warn(
            format!("{} for {target}", answer.status()),
            "the client's folder is not whole: unpack its release anew",
        )],
        Ok(answer) if header(&answer, "content-type") != "application/wasm" => vec![Said::warn(
            format!(
                "{target} is {:?}, and not application/wasm",
                header(&answer, "content-type")
            ),
            "something in front of the gateway changes Content-Type",
        )],
        Ok(_) => vec![Said::ok(format!("{target} is application/wasm"))],
        Err(why) => vec![Said::warn(
            format!("{target}: {why}"),
            "look at the gateway's log",
        )],
    }
}

/// The first file of the client's with this end that a text names, relative to the mount.
fn file_of<'t>(text: &'t str, end: &str) -> Option<&'t str> {
    text.split(['"', '\'', '`']).find_map(|part| {
        let path = part.split_once("assets/")?.1;
        let whole = part.get(part.len() - path.len() - "assets/".len()..)?;
        let is_name = |char: char| char.is_ascii_alphanumeric() || "-_./".contains(char);
        (whole.rsplit('.').next() == Some(end)
            && !whole.starts_with("assets/config.")
            && !whole.contains("..")
            && whole.chars().all(is_name))
        .then_some(whole)
    })
}

pub async fn health(outside: Arc<Outside>) -> Vec<Said> {
    match outside.get("/healthCheck", &[]).await {
        Ok(answer) if answer.status() == StatusCode::OK => vec![Said::ok("plugnmeet-server is well")],
        Ok(answer) => vec![Said::fail(
            format!("{}: {}", answer.status(), shown(answer.body())),
            "the server says what it misses; look at systemctl status plugnmeet",
        )],
        Err(why) => vec![Said::fail(why, "look at the gateway's log")],
    }
}

pub async fn webhook(outside: Arc<Outside>) -> Vec<Said> {
    let headers = [("content-type", "application/webhook+json")];
    match outside.ask(Method::POST, "/webhook", &headers, b"{}").await {
        Ok(answer) if answer.status() == StatusCode::FORBIDDEN && own_words(&answer).is_some() => {
            vec![Said::skip(
                "the gateway lets plugNmeet's own machines alone there (trust.internal), and not this one",
            )]
        }
        Ok(answer) if matches!(answer.status().as_u16(), 401 | 403) && own_words(&answer).is_none() => {
            vec![Said::ok(format!(
                "{} without a signature",
                answer.status().as_u16()
            ))]
        }
        Ok(answer) => vec![Said::fail(
            format!(
                "{} for a webhook without a signature, and not 403",
                answer.status()
            ),
            "LiveKit's webhooks get the same: is plugnmeet-server running, and webhook.urls right?",
        )],
        Err(why) => vec![Said::fail(why, "look at the gateway's log")],
    }
}

pub async fn whip(outside: Arc<Outside>) -> Vec<Said> {
    let headers = [("content-type", "application/sdp")];
    match outside
        .ask(Method::POST, "/whip/plugnmeet-gateway-doctor", &headers, b"")
        .await
    {
        Ok(answer) if answer.status().is_server_error() => vec![Said::fail(
            answer.status().to_string(),
            "the ingress does not answer: docker compose ps, and upstreams.ingress",
        )],
        Ok(answer) => match own_words(&answer) {
            Some(_) if answer.status() == StatusCode::NOT_FOUND => {
                vec![Said::skip("the gateway has no ingress (upstreams.ingress)")]
            }
            Some(words) => vec![Said::warn(
                format!("{}: {}", answer.status(), shown(words.as_bytes())),
                "the gateway says so, and has not asked the ingress: look at its log",
            )],
            None => vec![Said::ok(format!(
                "{} for a stream that is none",
                answer.status().as_u16()
            ))],
        },
        Err(why) => vec![Said::fail(why, "look at the gateway's log")],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_found_in_a_page_and_the_settings_are_none() {
        let page = r#"<script src="./assets/config.js"></script><script type="module" src="./assets/js/main-module.AbCd1234.js">"#;
        assert_eq!(file_of(page, "js"), Some("assets/js/main-module.AbCd1234.js"));
        let by_release = page.replace(
            "./assets/config.js",
            "/c/r/AAAAAAAAAAAAAAAAAAAAAA/assets/config.BBBB.js",
        );
        assert_eq!(
            file_of(&by_release, "js"),
            Some("assets/js/main-module.AbCd1234.js")
        );
        assert_eq!(file_of(r#"<script src="assets/<b>.js">"#, "js"), None);
        assert_eq!(file_of("e(`assets/x/a.wasm`)", "wasm"), Some("assets/x/a.wasm"));
        assert_eq!(file_of("'assets/../a.wasm'", "wasm"), None);
    }
}
