//! Configurations, with what is to be there and what is said of each.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use super::{
    Case,
    Said::{Note, Nothing, Problems, Warning},
};
use crate::support::SECRET;

const DAY: i64 = 24 * 3600;

const SECRETS: &str = "plugnmeet.secret = 'zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6'\n";

pub(super) fn nothing(_: &Path) {}

pub(super) fn write(folder: &Path, name: &str, text: &str, mode: u32) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
}

fn secret_file(folder: &Path, mode: u32) {
    write(folder, "secret", SECRET, mode);
}

/// `certs/a.pem` and its key, for a host, with so many days before its last.
fn certificate(folder: &Path, host: &str, days: i64) {
    let mut params = rcgen::CertificateParams::new(vec![host.to_owned()]).unwrap();
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let at = |unix: i64| {
        x509_parser::time::ASN1Time::from_timestamp(unix)
            .unwrap()
            .to_datetime()
    };
    let now = i64::try_from(now).unwrap();
    params.not_before = at(now - 30 * DAY);
    params.not_after = at(now + days * DAY);
    let key = rcgen::KeyPair::generate().unwrap();
    let made = params.self_signed(&key).unwrap();
    write(folder, "certs/a.pem", &made.pem(), 0o644);
    write(folder, "certs/a.key", &key.serialize_pem(), 0o600);
}

fn good_certificate(folder: &Path) {
    certificate(folder, "conf.example.org", 90);
}

fn client(folder: &Path) {
    write(folder, "client/index.html", "<head></head>", 0o644);
}

const PUBLIC: &str = "public_origin = 'https://conf.example.org'\n";

pub(super) const CASES: &[Case] = &[
    (nothing, "", Nothing),
    (nothing, SECRETS, Nothing),
    (
        nothing,
        "plugnmeet.secret = 'short'",
        Warning("short secrets can be guessed"),
    ),
    (
        nothing,
        "plugnmeet.secret = ' '",
        Problems(&["gateway.toml:1: plugnmeet.secret: is empty"]),
    ),
    (
        |folder| secret_file(folder, 0o640),
        "plugnmeet.secret_file = 'secret'",
        Warning(
            "gateway.toml:1: plugnmeet.secret_file: \"secret\" can be read by others than its owner (mode 640)",
        ),
    ),
    (
        |folder| secret_file(folder, 0o666),
        "plugnmeet.secret_file = 'secret'",
        Problems(&["gateway.toml:1: plugnmeet.secret_file: \"secret\" may be written by others"]),
    ),
    (
        nothing,
        "plugnmeet.secret_file = 'secret'",
        Problems(&["gateway.toml:1: plugnmeet.secret_file: names a file that can't be read"]),
    ),
    (
        |folder| write(folder, "certs/plugnmeet-secret", SECRET, 0o640),
        "",
        Warning(
            "built-in defaults: tls.certs: certs/plugnmeet-secret: can be read by others than its owner (mode 640)",
        ),
    ),
    (
        |folder| write(folder, "certs/plugnmeet-secret", "x", 0o600),
        "[tls]\ncerts = 'certs'",
        Problems(&["gateway.toml:2: tls.certs: plugnmeet-secret: it is too short for a secret"]),
    ),
    (
        nothing,
        "limits.user = '0/min'",
        Problems(&["gateway.toml:1: limits.user: \"0/min\" would refuse"]),
    ),
    (
        nothing,
        "limits.usr = '1/min'",
        Problems(&["gateway.toml:1: limits.usr: is no key of the gateway"]),
    ),
    (nothing, "[limits\n", Problems(&["gateway.toml:1"])),
    (
        nothing,
        "limits.replicas = 2",
        Warning("limits.replicas has no effect"),
    ),
    // Certificates.
    (good_certificate, PUBLIC, Nothing),
    (
        |folder| certificate(folder, "other.example.org", 90),
        PUBLIC,
        Warning("tls.certs: no certificate covers conf.example.org: certs/a.pem is served there"),
    ),
    (
        good_certificate,
        "public_origin = 'https://conf.example.org'\nhosts = ['meet.example.org']",
        Warning("tls.certs: no certificate covers meet.example.org"),
    ),
    (
        |folder| certificate(folder, "conf.example.org", 3),
        PUBLIC,
        Warning("tls.certs: certs/a.pem: expires on "),
    ),
    (
        |folder| certificate(folder, "conf.example.org", -1),
        PUBLIC,
        Warning("clients of conf.example.org get it and refuse it"),
    ),
    (
        |folder| {
            good_certificate(folder);
            fs::set_permissions(folder.join("certs/a.key"), Permissions::from_mode(0o644)).unwrap();
        },
        PUBLIC,
        Warning("tls.certs: certs/a.key: can be read by others than its owner (mode 644)"),
    ),
    (
        |folder| {
            good_certificate(folder);
            fs::set_permissions(folder.join("certs/a.key"), Permissions::from_mode(0o666)).unwrap();
        },
        PUBLIC,
        Problems(&["tls.certs: certs/a.key: may be written by others"]),
    ),
    (
        |folder| {
            good_certificate(folder);
            fs::remove_file(folder.join("certs/a.key")).unwrap();
        },
        PUBLIC,
        Problems(&["tls.certs: certs/a.pem: is a certificate without a key"]),
    ),
    (
        |folder| {
            good_certificate(folder);
            let other = rcgen::KeyPair::generate().unwrap();
            write(folder, "certs/a.key", &other.serialize_pem(), 0o600);
        },
        PUBLIC,
        Problems(&["tls.certs: certs/a.key: is not the key of the first certificate in a.pem"]),
    ),
    (
        good_certificate,
        "tls.certs = 'certs/a.pem'",
        Problems(&[
            "gateway.toml:1: tls.certs: certs/a.pem: is a file, and no folder of certificates; name the folder",
        ]),
    ),
    (
        good_certificate,
        "tls.certs = 'certs/a.pem/b'",
        Problems(&["gateway.toml:1: tls.certs: certs/a.pem/b: "]),
    ),
    (
        nothing,
        "public_origin = 'https://conf.example.org'\ntls.certs = 'missing'",
        Warning(
            "tls.certs: the gateway's own certificate is served for conf.example.org, and browsers warn of it",
        ),
    ),
    (
        nothing,
        "public_origin = 'https://conf.example.org:PORT'\nlisten.https = '0.0.0.0:PORT'\ntls.certs = 'missing'",
        Problems(&["gateway.toml:3: tls.certs: missing: holds no certificate for conf.example.org"]),
    ),
    (
        |folder| write(folder, "live/README", "", 0o644),
        "public_origin = 'https://conf.example.org:PORT'\nlisten.https = '0.0.0.0:PORT'\ntls.certs = 'live'",
        Problems(&["gateway.toml:3: tls.certs: live: holds no certificate for conf.example.org"]),
    ),
    // The client.
    (
        nothing,
        "client.path = 'gone'",
        Problems(&["gateway.toml:1: client.path: \"gone\" cannot be read"]),
    ),
    (client, "client.path = 'client'", Nothing),
    (
        |folder| write(folder, "client/other.html", "", 0o644),
        "client.path = 'client'",
        Problems(&["gateway.toml:1: client.path: client has no index.html"]),
    ),
    (
        |folder| {
            write(folder, "client/2.0/index.html", "<title>no head</title>", 0o644);
            write(folder, "client/1.0/index.html", "<head></head>", 0o644);
        },
        "client.path = 'client'",
        Warning("Refused a release of the client"),
    ),
    (
        |folder| {
            client(folder);
            fs::create_dir(folder.join("cache")).unwrap();
            fs::set_permissions(folder.join("cache"), Permissions::from_mode(0o777)).unwrap();
        },
        "[client]\npath = 'client'\ncache = 'cache'",
        Warning(
            "gateway.toml:3: client.cache: cache may be written by others (mode 777), and what lies there is served",
        ),
    ),
    (
        |folder| {
            client(folder);
            write(folder, "cache/file", "", 0o644);
        },
        "[client]\npath = 'client'\ncache = 'cache/file/below'",
        Warning("gateway.toml:3: client.cache: cache/file/below can't be written, so every start compresses"),
    ),
    (
        nothing,
        "client.config_file = 'gone.js'",
        Problems(&["gateway.toml:1: client.config_file: \"gone.js\" cannot"]),
    ),
    (
        |folder| write(folder, "config.js", "window.a = 1", 0o644),
        "client.config_file = 'config.js'\nclient.config.a = 1",
        Warning("client.config has no effect, as client.config_file serves"),
    ),
    (
        |folder| write(folder, "config.js", "window.plugNmeetConfig = { a: 1 };", 0o644),
        "client.config_file = 'config.js'",
        Warning(
            "gateway.toml:1: client.config_file: config.js has no staticAssetsPath, and the client's default is /assets: the client \
             looks for its translations there and not below /conference",
        ),
    ),
    (
        |folder| {
            let script = "window.plugNmeetConfig = { staticAssetsPath: '/conference/assets' };";
            write(folder, "config.js", script, 0o644);
        },
        "client.config_file = 'config.js'",
        Nothing,
    ),
    (
        |folder| {
            client(folder);
            write(folder, "client/assets/config.js", "window.a = 1", 0o644);
        },
        "client.path = 'client'",
        Warning(
            "The client's assets/config.js has no object literal window.plugNmeetConfig that can be read",
        ),
    ),
    (
        |folder| {
            client(folder);
            let script = "window.plugNmeetConfig = { enableSimulcast: true, own: 6 * 60 };";
            write(folder, "client/assets/config.js", script, 0o644);
        },
        "client.path = 'client'",
        Warning("own of the client's assets/config.js is no literal and does not count"),
    ),
    (
        nothing,
        "client.config.designCustomization = { primary_color = 'red;' }",
        Warning("client.config.designCustomization.primary_color: `red;` is not a CSS colour"),
    ),
    // Addresses.
    (
        nothing,
        "public_origin = 'https://localhost'\nlisten.https = 'FREE'",
        Warning("gateway.toml:1: public_origin: is called at port 443, and listen.https is at port "),
    ),
    (
        nothing,
        "public_origin = 'https://localhost:8443'",
        Warning("gateway.toml:1: public_origin: has port 8443, and LTI launches"),
    ),
    (
        nothing,
        "listen.https = '192.0.2.1:PORT'",
        Problems(&["gateway.toml:1: listen.https: can't listen on 192.0.2.1:"]),
    ),
    (
        nothing,
        "[listen]\nhttps = 'FREE'\nhttp = 'FREE'",
        Problems(&["gateway.toml:3: listen.http: "]),
    ),
    (
        nothing,
        "listen.proxy_protocol = true",
        Problems(&["gateway.toml:1: listen.proxy_protocol: true needs to know"]),
    ),
    // Issuers, callers, designs, pages.
    (
        nothing,
        "issuer.mode = 'upstream'",
        Problems(&["gateway.toml:1: issuer.mode: \"upstream\" needs the server's secret"]),
    ),
    (
        nothing,
        "issuer.mode = 'upstream'\nplugnmeet.secret = 'zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6'",
        Note("design.css_hosts is empty"),
    ),
    (
        nothing,
        "public_origin = 'https://localhost'\nsession.login_url = 'https://localhost/conference/'",
        Problems(&["gateway.toml:2: session.login_url: leads to the client"]),
    ),
    (
        nothing,
        "[[callers]]\nname = 'a b'",
        Problems(&["callers.name", "callers.api_key", "callers.secret"]),
    ),
    (
        nothing,
        "[designs.dark]\nprimary_color = 'red;'",
        Problems(&["gateway.toml:2: designs.dark.primary_color: "]),
    ),
    (
        nothing,
        "headers.csp_sources.img-src = [\"'none'\"]",
        Problems(&["gateway.toml:1: headers.csp_sources.img-src: "]),
    ),
    // Several modules at once.
    (
        |folder| {
            good_certificate(folder);
            fs::create_dir(folder.join("client")).unwrap();
        },
        "listen.https = '192.0.2.1:PORT'\nclient.path = 'client'\ntls.certs = 'certs/a.pem'",
        Problems(&[
            "gateway.toml:1: listen.https: ",
            "gateway.toml:2: client.path: ",
            "gateway.toml:3: tls.certs: ",
        ]),
    ),
];
