//! livekit.yaml, ingress.yaml, sip.yaml: the parts that carry media, against the server's file and ours.

use url::Url;

use super::{
    files::{Files, Part, is_local},
    finding::{Said, all_or},
    server::{ours, pair_of_livekit},
};
use crate::{
    official::{Found, Yaml},
    proxy::Target,
};

/// From this version on `LiveKit` knows `turn.proxy_protocol`.
pub const READS_HEADERS: [u32; 3] = [1, 13, 7];

pub fn port(files: &Files<'_>) -> Vec<Said> {
    let port = files.livekit.number(&["port"]).map_or(7880, |port| port.value);
    let place = files.livekit.place(&["port"]);
    ours(
        files,
        "upstreams.livekit",
        files.gateway.upstreams.livekit.iter(),
        port,
        place,
    )
}

pub fn webhook_url(files: &Files<'_>) -> Vec<Said> {
    let key = ["webhook", "urls"];
    let urls = files.livekit.texts(&key);
    let server = files
        .config
        .number(&["client", "port"])
        .map_or(8080, |port| port.value);
    let direct = |found: &&Found<String>| {
        Url::parse(&found.value).is_ok_and(|url| {
            url.host_str().is_some_and(is_local)
                && url.port_or_known_default().map(u64::from) == Some(server)
                && url.path() == "/webhook"
        })
    };
    if urls.iter().any(|found| direct(&found)) {
        return vec![Said::ok("the server directly, on this machine")];
    }
    // One that leads to the server is enough.
    let place = files.livekit.place(&key);
    let judged =
        |found: Option<Found<String>>| files.leads_to_us(found, place.clone(), (&["https"], "/webhook"));
    let all: Vec<Vec<Said>> = urls.into_iter().map(|found| judged(Some(found))).collect();
    let good = all
        .iter()
        .find(|said| said.iter().all(|said| said.advice.is_none()));
    good.or(all.first()).cloned().unwrap_or_else(|| judged(None))
}

pub fn webhook_key(files: &Files<'_>) -> Vec<Said> {
    let found = files.livekit.text(&["webhook", "api_key"]);
    let servers = files.config.text(&["livekit_info", "api_key"]);
    match found {
        None => vec![
            Said::fail("is not set, so LiveKit signs no webhook", "write a key of keys")
                .at(files.livekit.place(&["webhook", "api_key"])),
        ],
        Some(found) if !files.livekit.has(&["keys", &found.value]) => {
            vec![Said::fail("is none of LiveKit's keys", "write a key of keys").at(found.origin)]
        }
        Some(found) if servers.is_some_and(|key| key.value != found.value) => vec![
            Said::fail(
                "is another key than the server's, which refuses such webhooks",
                "write livekit_info.api_key of config.yaml",
            )
            .at(found.origin),
        ],
        Some(_) => vec![Said::ok("the server's key")],
    }
}

pub fn ingress_urls(files: &Files<'_>) -> Vec<Said> {
    let mut wrong = Vec::new();
    let whip = ["ingress", "whip_base_url"];
    if let Some(found) = files.livekit.text(&whip) {
        wrong.extend(files.leads_to_us(Some(found), files.livekit.place(&whip), (&["https"], "/whip")));
    }
    if let Some(found) = files.livekit.text(&["ingress", "rtmp_base_url"]) {
        let host = Url::parse(&found.value)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned));
        let origin = files.origin().and_then(|url| url.host_str().map(str::to_owned));
        if origin.is_some() && host != origin {
            let advice = format!("write rtmp://{}/live", origin.unwrap_or_default());
            wrong.push(
                Said::fail(format!("is {}, which does not lead here", found.value), advice).at(found.origin),
            );
        }
    }
    wrong.retain(|said| said.advice.is_some());
    all_or(wrong, "streams come to the public address")
}

pub fn port_ranges(files: &Files<'_>) -> Vec<Said> {
    let number =
        |path: &[&str], default: u64| files.livekit.number(path).map_or(default, |found| found.value);
    let rtc = (
        number(&["rtc", "port_range_start"], 50_000),
        number(&["rtc", "port_range_end"], 60_000),
    );
    let place = files.livekit.place(&["rtc", "port_range_start"]);
    if rtc.0 > rtc.1 {
        return vec![
            Said::fail(
                "begins behind its end",
                "write port_range_start below port_range_end",
            )
            .at(place),
        ];
    }
    let mut wrong = Vec::new();
    if let Some(found) = files.sip.text(&["rtp_port"])
        && let Some((from, to)) = found.value.split_once('-')
        && let (Ok(from), Ok(to)) = (from.trim().parse::<u64>(), to.trim().parse::<u64>())
        && from <= rtc.1
        && rtc.0 <= to
    {
        let both = format!("{from}-{to} and LiveKit's {}-{} share ports", rtc.0, rtc.1);
        wrong.push(Said::fail(both, "keep them apart: rtp_port: 10000-20000").at(found.origin));
    }
    if let Some(udp) = files.livekit.number(&["turn", "udp_port"])
        && (rtc.0..=rtc.1).contains(&udp.value)
    {
        let advice = "write udp_port: 443, or 3478";
        wrong.push(Said::fail("is one of the ports of media", advice).at(udp.origin));
    }
    all_or(
        wrong,
        format!("media at {}-{}, and nobody else there", rtc.0, rtc.1),
    )
}

/// The check page looks for what `LiveKit` has.
pub fn check_page(files: &Files<'_>) -> Vec<Said> {
    let page = &files.gateway.check_page;
    if !page.enabled {
        return vec![Said::ok("there is no check page")];
    }
    let mut wrong = Vec::new();
    if let Some(ours) = page.udp_port {
        let there = files
            .livekit
            .number(&["turn", "udp_port"])
            .map(|found| found.value);
        if there != Some(u64::from(ours.get())) {
            let there = there.map_or("none".to_owned(), |port| port.to_string());
            wrong.push(
                Said::warn(
                    format!("is {ours}, and LiveKit's turn.udp_port is {there}: the page finds UDP blocked for everybody"),
                    "write the same, or \"\" for none",
                )
                .at(files.ours("check_page.udp_port")),
            );
        }
    }
    if let Some((key, secret)) = &page.livekit {
        let key_at = files.ours("check_page.livekit_key");
        let judged = pair_of_livekit(files, key, secret.expose(), &key_at, &key_at);
        wrong.extend(judged.into_iter().filter(|said| said.advice.is_some()));
    }
    all_or(wrong, "the check page looks for what LiveKit has")
}

pub fn version(files: &Files<'_>) -> Vec<Said> {
    let place = files.compose.place(&["services", "livekit", "image"]);
    let Some(image) = image(&files.compose, "livekit/livekit-server") else {
        return vec![Said::skip("no service of LiveKit's image")];
    };
    let wants = files.livekit.is_true(&["turn", "proxy_protocol"]);
    match tag(&image) {
        Some(version) if wants && version < READS_HEADERS => vec![
            Said::fail(
                format!("{image} does not know turn.proxy_protocol, which livekit.yaml has"),
                "take LiveKit 1.13.7 or later",
            )
            .at(place),
        ],
        Some(_) => vec![Said::ok(image)],
        None => vec![Said::skip(format!("{image} has no tag that says a version"))],
    }
}

/// A service's image that begins like this.
pub fn image(compose: &Yaml<'_>, beginning: &str) -> Option<String> {
    let services = compose.names(&["services"]);
    let mut images = services
        .iter()
        .filter_map(|service| compose.text(&["services", service, "image"]));
    images
        .find(|found| found.value.split(':').next() == Some(beginning))
        .map(|found| found.value)
}

/// The version of an image's tag; none for `latest` and the like.
pub fn tag(image: &str) -> Option<[u32; 3]> {
    let (_, tag) = image.split_once(':')?;
    let mut parts = tag.trim_start_matches('v').split(['.', '-']).map(str::parse);
    let first = parts.next()?.ok()?;
    let mut next = || parts.next().and_then(Result::ok).unwrap_or(u32::MAX);
    Some([first, next(), next()])
}

fn keys(files: &Files<'_>, yaml: &Yaml<'_>) -> Vec<Said> {
    let (key, secret) = (yaml.text(&["api_key"]), yaml.text(&["api_secret"]));
    let (Some(key), Some(secret)) = (key, secret) else {
        return vec![
            Said::fail(
                "has no api_key or no api_secret",
                "write a pair of livekit.yaml's keys",
            )
            .at(yaml.place(&["api_secret"])),
        ];
    };
    pair_of_livekit(files, &key.value, &secret.value, &key.origin, &secret.origin)
}

fn ws_url(files: &Files<'_>, yaml: &Yaml<'_>) -> Vec<Said> {
    let found = yaml.text(&["ws_url"]);
    let port = files.livekit.number(&["port"]).map_or(7880, |port| port.value);
    let direct = found.as_ref().is_some_and(|found| {
        Url::parse(&found.value).is_ok_and(|url| {
            url.host_str().is_some_and(is_local) && url.port_or_known_default().map(u64::from) == Some(port)
        })
    });
    if direct {
        return vec![Said::ok("LiveKit directly, on this machine")];
    }
    files.leads_to_us(found, yaml.place(&["ws_url"]), (&["https", "wss"], "/livekit"))
}

pub fn ingress_keys(files: &Files<'_>) -> Vec<Said> {
    keys(files, &files.ingress)
}

pub fn ingress_ws_url(files: &Files<'_>) -> Vec<Said> {
    ws_url(files, &files.ingress)
}

pub fn sip_keys(files: &Files<'_>) -> Vec<Said> {
    keys(files, &files.sip)
}

pub fn sip_ws_url(files: &Files<'_>) -> Vec<Said> {
    ws_url(files, &files.sip)
}

pub fn rtmp(files: &Files<'_>) -> Vec<Said> {
    let port = files
        .ingress
        .number(&["rtmp_port"])
        .map_or(1935, |port| port.value);
    let place = files.ingress.place(&["rtmp_port"]);
    if port == 1935 {
        return vec![Said::ok("the ingress listens on 1935 itself")];
    }
    let to = |relay: &crate::config::Tcp| matches!(&relay.upstream, Target::Tcp { port: to, .. } if u64::from(*to) == port);
    if files.gateway.tcp.iter().any(to) {
        return vec![Said::ok(format!("[[tcp]] leads to port {port}"))];
    }
    vec![
        Said::fail(
            format!("the ingress takes RTMP on port {port}, and nothing leads there"),
            format!("write [[tcp]] with listen = \"0.0.0.0:1935\" and upstream = \"127.0.0.1:{port}\" into gateway.toml"),
        )
        .at(place),
    ]
}

pub fn whip(files: &Files<'_>) -> Vec<Said> {
    let port = files
        .ingress
        .number(&["whip_port"])
        .map_or(8080, |port| port.value);
    let place = files.ingress.place(&["whip_port"]);
    ours(
        files,
        "upstreams.ingress",
        files.gateway.upstreams.ingress.iter(),
        port,
        place,
    )
}

pub fn etherpad(files: &Files<'_>) -> Vec<Said> {
    let key = ["shared_notepad", "etherpad_hosts"];
    if !files.config.has(&key) {
        return vec![Said::ok("not used")];
    }
    let place = files.config.place(&key);
    let server = image(&files.compose, "mynaparrot/plugnmeet-server").and_then(|image| tag(&image));
    if server.is_some_and(|version| version >= [2, 4, 0]) {
        return vec![
            Said::warn(
                "is configured, and plugnmeet-server has a notepad of its own since 2.4",
                "take it out, and the container with it",
            )
            .at(place),
        ];
    }
    if files.has(Part::Gateway) && files.gateway.upstreams.etherpad.is_none() {
        return vec![
            Said::fail(
                "is configured, and nothing leads there",
                "write etherpad = \"http://127.0.0.1:9001\" into [upstreams] of gateway.toml",
            )
            .at(place),
        ];
    }
    vec![Said::ok("the gateway leads there")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_of_tags() {
        assert_eq!(tag("livekit/livekit-server:v1.13.5"), Some([1, 13, 5]));
        assert_eq!(tag("nats:2.12-alpine"), Some([2, 12, u32::MAX]));
        assert_eq!(tag("a/b:v2"), Some([2, u32::MAX, u32::MAX]));
        assert_eq!(tag("a/b:latest"), None);
        assert_eq!(tag("a/b"), None);
    }
}
