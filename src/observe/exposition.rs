//! The two text formats in which Prometheus reads metrics, and which of them is asked for.
//!
//! OpenMetrics names a counter without the `_total` of its sample, which the older format does not know: read as that,
//! each counter is one without type and help.
//!
//! Sources: OpenMetrics 1.0 "Text format"; Prometheus "Exposition formats", version 0.0.4.

use std::fmt::Write as _;

/// A text format for metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    OpenMetrics,
    /// Prometheus' own format, version 0.0.4, which every collector reads.
    Text,
}

impl Exposition {
    /// The media type of the format.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// OpenMetrics only where `Accept` names it, in a version that is written here, and wants nothing else more.
    pub fn wanted(accept: &str) -> Self {
        let (mut open, mut text) = (0, 0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            let (mut weight, mut version) = (1000, None);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                let value = value.trim().trim_matches('"');
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => weight = thousandths(value),
                    "version" => version = Some(value),
                    _ => {}
                }
            }
            match media.to_ascii_lowercase().as_str() {
                "application/openmetrics-text" if matches!(version, None | Some("1.0.0" | "0.0.1")) => {
                    open = weight.max(open);
                }
                "text/plain" if matches!(version, None | Some("0.0.4")) => text = weight.max(text),
                _ => {}
            }
        }
        if open > 0 && open >= text {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }
}

/// A weight in thousandths (RFC 9110 section 12.4.2). An invalid weight counts as 0.
fn thousandths(weight: &str) -> u16 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits = fraction.len() <= 3 && fraction.bytes().all(|b| b.is_ascii_digit());
    match whole {
        "1" => 1000,
        "0" if digits => format!("{fraction:0<3}").parse().unwrap_or_default(),
        _ => 0,
    }
}

/// OpenMetrics' text as Prometheus' own: a counter's type and help have the name of its sample.
pub(super) fn as_text(open: &str) -> String {
    let mut text = String::with_capacity(open.len());
    let mut help = None;
    for line in open.lines() {
        if let Some(of) = line.strip_prefix("# HELP ") {
            help = of.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|of| of.split_once(' ')) {
            let total = if kind == "counter" { "_total" } else { "" };
            if let Some((_, help)) = help.take().filter(|(helped, _)| *helped == name) {
                writeln!(text, "# HELP {name}{total} {help}").ok();
            }
            writeln!(text, "# TYPE {name}{total} {kind}").ok();
        } else if !line.starts_with("# ") {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_name_it() {
        for accept in [
            "application/openmetrics-text",
            "Application/OpenMetrics-Text; version=1.0.0; charset=utf-8",
            // Prometheus 2 and 3.
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
             text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
        ] {
            assert_eq!(Exposition::wanted(accept), Exposition::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain",
            "application/*",
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;q=0.000",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0.5, text/plain;version=0.0.4",
            "application/openmetrics-text;q=much",
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
        ] {
            assert_eq!(Exposition::wanted(accept), Exposition::Text, "{accept}");
        }
    }

    #[test]
    fn in_prometheus_own_format_a_counter_has_its_samples_name() {
        let open = "# HELP a_requests Requests, by # HELP and status.\n# TYPE a_requests counter\n\
                    a_requests_total{route=\"x\"} 2\n# HELP a_tunnels Open.\n# TYPE a_tunnels gauge\na_tunnels 1\n# EOF\n";
        let text = "# HELP a_requests_total Requests, by # HELP and status.\n# TYPE a_requests_total counter\n\
                    a_requests_total{route=\"x\"} 2\n# HELP a_tunnels Open.\n# TYPE a_tunnels gauge\na_tunnels 1\n";
        assert_eq!(as_text(open), text);
    }
}
