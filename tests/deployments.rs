//! What `deploy/` says of containers fits together, and to the program: versions, ports, times, the configuration of a pod.
//!
//! `deploy/try` tries what needs a built package: the image itself, and whether Kubernetes takes the manifests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy").join(name);
    fs::read_to_string(path).unwrap()
}

/// All values of a key in YAML, of those that stand on its line.
fn values<'t>(text: &'t str, key: &str) -> Vec<&'t str> {
    let lines = text.lines().map(|line| line.trim().trim_start_matches("- "));
    let values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    values.map(str::trim).filter(|value| !value.is_empty()).collect()
}

/// The gateway.toml in the `ConfigMap`.
fn configuration() -> String {
    let manifest = text("kubernetes/configuration.yaml");
    let (_, block) = manifest.split_once("  gateway.toml: |\n").unwrap();
    let lines = block
        .lines()
        .map(|line| line.strip_prefix("    ").unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

/// A key's value in gateway.toml, without quotes.
fn configured(key: &str) -> String {
    let toml = configuration();
    let line = toml
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
    line.unwrap_or_else(|| panic!("{key}"))
        .trim_matches('"')
        .to_owned()
}

fn seconds(text: &str) -> u32 {
    text.strip_suffix('s').unwrap().parse().unwrap()
}

#[test]
fn the_configuration_of_a_pod_is_sound() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("gateway.toml"), configuration()).unwrap();
    fs::write(at("plugnmeet-secret"), "zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6").unwrap();
    // As a Secret of type tls is mounted.
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(["conf.example.org".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    fs::create_dir(at("certs")).unwrap();
    fs::write(at("certs/tls.crt"), certificate.pem()).unwrap();
    fs::write(at("certs/tls.key"), key.serialize_pem()).unwrap();
    for name in ["plugnmeet-secret", "certs/tls.key"] {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(at(name), mode).unwrap();
    }
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/client");
    let checked = Command::new(env!("CARGO_BIN_EXE_plugnmeet-gateway"))
        .args(["check", "--config", "gateway.toml"])
        .current_dir(folder.path())
        .env("PNM_GATEWAY__PLUGNMEET__SECRET_FILE", at("plugnmeet-secret"))
        .env("PNM_GATEWAY__TLS__CERTS", at("certs"))
        .env("PNM_GATEWAY__CLIENT__PATH", client)
        .env("PNM_GATEWAY__CLIENT__CACHE", at("cache"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

/// Kubernetes and Docker kill whoever takes longer.
#[test]
fn a_stop_of_a_container_is_over_before_it_is_killed() {
    let grace = text("kubernetes/deployment.yaml");
    let grace: u32 = values(&grace, "terminationGracePeriodSeconds")
        .concat()
        .parse()
        .unwrap();
    let drain = seconds(&configured("drain_delay")) + seconds(&configured("drain"));
    assert!(grace >= drain + 5, "{grace} {drain}");
    let compose = text("compose.yaml");
    let drain = seconds(&values(&compose, "PNM_GATEWAY__TIMEOUTS__DRAIN").concat());
    let grace = seconds(&values(&compose, "stop_grace_period").concat());
    assert!(grace >= drain + 5, "{grace} {drain}");
}

#[test]
fn ports_of_a_pod_are_where_the_gateway_listens() {
    let deployment = text("kubernetes/deployment.yaml");
    let listening =
        ["https", "http", "admin"].map(|key| configured(key).split_once(':').unwrap().1.to_owned());
    assert_eq!(values(&deployment, "containerPort"), listening);
    assert_eq!(values(&deployment, "port"), ["admin", "admin", "admin"]);
    assert_eq!(values(&deployment, "path"), ["/livez", "/livez", "/readyz"]);
    let image = text("image");
    for port in ["8443", "8880"] {
        assert!(image.contains(&format!("--config.exposedports {port}/tcp")));
    }
    let service = text("kubernetes/service.yaml");
    assert_eq!(values(&service, "port"), ["443", "80"]);
    assert_eq!(values(&service, "targetPort"), ["https", "http"]);
}

#[test]
fn everybody_names_the_image_of_this_version_and_its_user() {
    let image = format!("plugnmeet-gateway:{}", env!("CARGO_PKG_VERSION"));
    let deployment = text("kubernetes/deployment.yaml");
    for manifest in [&deployment, &text("compose.yaml")] {
        assert_eq!(values(manifest, "image"), [image.as_str()]);
    }
    for key in ["runAsUser", "runAsGroup", "fsGroup"] {
        assert_eq!(values(&deployment, key), ["65532"], "{key}");
    }
    assert!(text("image").contains("\nuser=65532\n"));
}

/// The same words in the image and in the file of compose, and the program knows them.
#[test]
fn the_health_check_is_a_command_of_the_program() {
    let compose = values(&text("compose.yaml"), "test").concat();
    let words: Vec<&str> = compose.trim_matches(['[', ']']).split(", ").collect();
    let quoted = words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>();
    assert!(
        text("image").contains(&format!("\"Test\": [{}]", quoted.join(", "))),
        "{compose}"
    );
    let [cmd, program, arguments @ ..] = &words[..] else {
        panic!("{compose}");
    };
    assert_eq!((*cmd, *program), ("CMD", "/usr/bin/plugnmeet-gateway"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gateway.toml");
    fs::write(&file, "listen.admin = ''").unwrap();
    let file = file.to_str().unwrap();
    let arguments = arguments.iter().map(|word| {
        if word.ends_with("gateway.toml") {
            file
        } else {
            word
        }
    });
    let asked = Command::new(env!("CARGO_BIN_EXE_plugnmeet-gateway"))
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8(asked.stderr).unwrap();
    assert_eq!(said, "listen.admin is not set, and nobody else can be asked\n");
}
