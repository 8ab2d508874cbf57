//! What Prometheus is told, in both of its formats.

use std::collections::BTreeSet;

use super::*;

async fn metrics(gateway: &Gateway, accept: &str) -> RawAnswer {
    let stream = TcpStream::connect(gateway.admin).await.unwrap();
    let mut connection = Raw::over(stream);
    connection
        .send(format!(
            "GET /metrics HTTP/1.1\r\nHost: {}\r\n{accept}\r\n",
            gateway.admin
        ))
        .await;
    connection.answer().await
}

#[tokio::test]
async fn open_metrics_is_told_only_to_those_who_name_it() {
    let gateway = Gateway::embedded().await;
    let open = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    let text = "text/plain; version=0.0.4; charset=utf-8";
    for (accept, media) in [
        ("", text),
        ("Accept: */*\r\n", text),
        ("Accept: text/html\r\nAccept: */*;q=0.8\r\n", text),
        (
            "Accept: text/plain\r\nAccept: application/openmetrics-text;q=0.9\r\n",
            text,
        ),
        (
            "Accept: text/plain;q=0.5\r\nAccept: application/openmetrics-text\r\n",
            open,
        ),
        (
            "Accept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n",
            open,
        ),
    ] {
        let answer = metrics(&gateway, accept).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(media)),
            "{accept}"
        );
        assert_eq!(answer.header("vary"), Some("Accept"), "{accept}");
        assert_eq!(answer.text().ends_with("# EOF\n"), media == open, "{accept}");
    }
}

/// As `promtool check metrics` has it: each sample has a type and a help under its own name, a counter ends in `_total`, and
/// nothing else does.
#[tokio::test]
async fn each_metric_has_a_help_and_a_type_under_its_own_name() {
    let upstream = RawUpstream::content().await;
    let gateway = to(&upstream.url()).await;
    for target in ["/api/x", "/conference/", "/nowhere"] {
        gateway.get(target, &[]).await;
    }
    gateway.ask_for_token("{}", &[]).await;
    let text = metrics(&gateway, "").await.text();
    let (mut helped, mut typed, mut sampled) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut histograms = BTreeSet::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(help.len() > 10, "{line}");
            assert!(helped.insert(name), "told twice: {line}");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert!(matches!(kind, "counter" | "gauge" | "histogram"), "{line}");
            if kind == "histogram" {
                histograms.insert(name);
            }
            assert_eq!(name.ends_with("_total"), kind == "counter", "{line}");
            assert!(typed.insert(name), "told twice: {line}");
        } else {
            let name = line.split(['{', ' ']).next().unwrap();
            // A histogram's samples have three names of their own.
            let of_histogram = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|part| name.strip_suffix(part))
                .find(|name| histograms.contains(name));
            let name = of_histogram.unwrap_or(name);
            assert!(name.starts_with("plugnmeet_gateway_"), "{line}");
            assert!(helped.contains(name) && typed.contains(name), "{line}");
            line.rsplit(' ').next().unwrap().parse::<f64>().unwrap();
            sampled.insert(name);
        }
    }
    assert_eq!((&helped, &typed), (&sampled, &sampled));
    for name in [
        "requests_total",
        "tokens_total",
        "tunnels",
        "upstream_connections",
        "upstream_local_ports",
        "upstream_address_passed_over",
        "upstream_full_total",
    ] {
        assert!(
            sampled.contains(format!("plugnmeet_gateway_{name}").as_str()),
            "{name}\n{text}"
        );
    }
}
