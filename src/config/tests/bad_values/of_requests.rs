//! Keys of what becomes of requests: tokens, sessions, designs, limits, deadlines and headers.

use super::{Case, DURATION};

const SIZE: &str = "write a size such as 512B, 32KiB or 64MiB";
const DESIGN_HOST: &str =
    "write a host such as cdn.example.org, all below one as *.example.org, or * for any";
const STORE: &str = "write \"memory\", redis://HOST:PORT, rediss://HOST:PORT or \
                     redis+sentinel://HOST:PORT,HOST:PORT/NAME";
const COALESCE: &str =
    "write true, or false for what was \"0s\"; no answer is kept any more, so there is no time to write";
const RATE: &str = "write a rate such as 10/min, 1/s or 500/h";
const REPORT: &str =
    "write an https address without ; and , such as https://reports.example.org/csp, or \"\" for none";

pub(super) const CASES: &[Case] = &[
    (
        "issuer.mode",
        "\"server\"",
        "\"server\" is not known here",
        "write \"embedded\" or \"upstream\"",
    ),
    (
        "issuer.token_validity",
        "\"0s\"",
        "\"0s\" is out of range",
        "write 1s to 24h",
    ),
    (
        "issuer.token_validity",
        "\"25h\"",
        "\"25h\" is out of range",
        "write 1s to 24h",
    ),
    (
        "session.scope",
        "\"tab\"",
        "\"tab\" is not known here",
        "write \"session\" or \"mount\"",
    ),
    (
        "session.renew_grace",
        "\"3 h\"",
        "\"3 h\" is no duration",
        DURATION,
    ),
    ("session.max_age", "12", "12 is no string", DURATION),
    (
        "session.login_url",
        "\"/login\"",
        "\"/login\" is no address",
        "write an https or http address, such as https://lms.example.org/login, or \"\" for none",
    ),
    (
        "session.frame_ancestors",
        "[\"*\"]",
        "\"*\" is no address",
        "write 'self' or an origin, such as https://lms.example.org or https://*.example.org",
    ),
    (
        "design.on_invalid",
        "\"ignore\"",
        "\"ignore\" is not known here",
        "write \"reject\" or \"strip\"",
    ),
    (
        "design.css_hosts",
        "[\"https://a\"]",
        "\"https://a\" is no host",
        DESIGN_HOST,
    ),
    (
        "design.image_hosts",
        "[\"*.*.a\"]",
        "\"*.*.a\" is no host",
        DESIGN_HOST,
    ),
    (
        "design.from_links",
        "\"no\"",
        "\"no\" is neither true nor false",
        "write true or false",
    ),
    (
        "designs",
        "\"dark\"",
        "is no table of designs",
        "write [designs.NAME] in the file",
    ),
    (
        "limits.user",
        "\"0/min\"",
        "\"0/min\" would refuse every request",
        "write 1/min or more",
    ),
    ("limits.room", "\"10\"", "\"10\" is not a rate", RATE),
    ("limits.caller", "10", "10 is no string", RATE),
    ("limits.failures", "\"1/day\"", "\"1/day\" is not a rate", RATE),
    ("limits.renewal", "\"\"", "\"\" is not a rate", RATE),
    (
        "limits.design",
        "\"0/s\"",
        "\"0/s\" would refuse every request",
        "write 1/min or more",
    ),
    ("limits.store", "\"redis\"", "\"redis\" is not known here", STORE),
    (
        "limits.store",
        "\"redis://:hunter2\"",
        "\"redis://***\" has no host that could be called",
        STORE,
    ),
    (
        "limits.store",
        "\"redis://hunter2@127.0.0.1\"",
        "\"redis://***\" has no :PASSWORD or USER:PASSWORD before the @",
        STORE,
    ),
    (
        "limits.store",
        "\"ann:hunter2@127.0.0.1\"",
        "\"***\" is not known here",
        STORE,
    ),
    ("limits.store", "7", "is no string but integer", STORE),
    (
        "limits.store_file",
        "\"gone\"",
        "names a file that can't be read: No such file or directory (os error 2)",
        "name a readable file that holds the address of Redis",
    ),
    (
        "limits.redis_timeout",
        "\"0ms\"",
        "\"0ms\" is out of range",
        "write 1ms to 1s",
    ),
    (
        "limits.redis_timeout",
        "\"1001ms\"",
        "\"1001ms\" is out of range",
        "write 1ms to 1s",
    ),
    ("limits.redis_timeout", "20", "20 is no string", DURATION),
    (
        "limits.replicas",
        "0",
        "\"0\" is no number of gateways",
        "write how many there are: 1 or more",
    ),
    (
        "limits.replicas",
        "\"+3\"",
        "\"+3\" is no number of gateways",
        "write how many there are: 1 or more",
    ),
    (
        "trust.proxies",
        "[\"self\"]",
        "\"self\" is no network",
        "write a network such as 10.0.0.0/8 or an address such as 192.0.2.7",
    ),
    (
        "trust.internal",
        "[\"10.0.0.0/33\"]",
        "\"10.0.0.0/33\" is no network",
        "write a network such as 10.0.0.0/8, an address such as 192.0.2.7, or self for this machine's own",
    ),
    ("timeouts.handshake", "10", "10 is no string", DURATION),
    (
        "timeouts.header",
        "\"0ms\"",
        "\"0ms\" leaves no time at all",
        "write 1ms or more",
    ),
    ("timeouts.idle", "\"75\"", "\"75\" is no duration", DURATION),
    ("timeouts.connect", "\"-1s\"", "\"-1s\" is no duration", DURATION),
    ("timeouts.upgrade", "12", "12 is no string", DURATION),
    (
        "timeouts.admission",
        "\"0s\"",
        "\"0s\" leaves no time at all",
        "write 1ms or more",
    ),
    (
        "timeouts.response",
        "\"900h\"",
        "\"900h\" is too long",
        "write 720h or less",
    ),
    ("timeouts.drain", "true", "true is no string", DURATION),
    ("timeouts.drain_delay", "true", "true is no string", DURATION),
    ("timeouts.handover", "true", "true is no string", DURATION),
    (
        "timeouts.tunnel_silence",
        "\"999ms\"",
        "\"999ms\" would close WebSockets that are in use",
        "write 1s or more, or 0s for never",
    ),
    (
        "sizes.header",
        "\"4095B\"",
        "\"4095B\" is out of range",
        "write 4KiB to 1MiB",
    ),
    (
        "sizes.token_body",
        "0",
        "\"0\" is out of range",
        "write 1B to 16MiB",
    ),
    (
        "issuer.coalesce",
        "\"10s\"",
        "\"10s\" is neither true nor false",
        COALESCE,
    ),
    ("issuer.coalesce", "10", "10 is neither true nor false", COALESCE),
    (
        "callers",
        "\"moodle\"",
        "is no list of tables",
        "write [[callers]] in the file",
    ),
    (
        "check_page.enabled",
        "\"yes\"",
        "\"yes\" is neither true nor false",
        "write true or false",
    ),
    (
        "check_page.udp_port",
        "65536",
        "\"65536\" is no port",
        "write a port, such as 443, or \"\" for none",
    ),
    (
        "check_page.livekit_key",
        "\"a|b\"",
        "\"a|b\" is no key of LiveKit's",
        "write a key of keys in livekit.yaml, or \"\" for none",
    ),
    (
        "check_page.livekit_key",
        "\"APIkey\"",
        "needs its secret",
        "write check_page.livekit_secret or check_page.livekit_secret_file",
    ),
    (
        "check_page.livekit_secret",
        "\"a secret of LiveKit's that is long enough\"",
        "is of no key",
        "write check_page.livekit_key",
    ),
    (
        "check_page.livekit_secret_file",
        "\"gone\"",
        "names a file that can't be read: No such file or directory (os error 2)",
        "name a readable file that holds the secret of that key in livekit.yaml",
    ),
    (
        "limits.check_page",
        "\"60\"",
        "\"60\" is not a rate",
        "write a rate such as 10/min, 1/s or 500/h",
    ),
    ("sizes.body", "\"64MB\"", "\"64MB\" is no size", SIZE),
    (
        "sizes.body",
        "0",
        "\"0\" would refuse every body",
        "write 1B or more",
    ),
    (
        "sizes.least_rate",
        "\"1KiB\"",
        "\"1KiB\" is no rate of bytes",
        "write a size for each second, such as 1KiB/s",
    ),
    (
        "sizes.least_rate",
        "\"0B/s\"",
        "\"0B/s\" would let a body trickle for ever",
        "write 1B/s or more",
    ),
    (
        "headers.csp",
        "\"on\"",
        "\"on\" is not known here",
        "write \"enforce\", \"report\" or \"off\"",
    ),
    (
        "headers.csp_report",
        "\"http://a.example\"",
        "\"http://a.example\" is not https",
        REPORT,
    ),
    (
        "headers.csp_report",
        "\"https://a.example/a;b\"",
        "\"https://a.example/a;b\" would end the policy that names it",
        REPORT,
    ),
    (
        "headers.hsts",
        "\"half a year\"",
        "\"half a year\" is no duration",
        "write a duration such as 180d or 12h",
    ),
    (
        "headers.csp_sources",
        "\"https:\"",
        "\"https:\" is no table",
        "write [headers.csp_sources] and directives below it, such as img-src = [\"https:\"]",
    ),
];
