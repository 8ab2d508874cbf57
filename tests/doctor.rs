//! `doctor` over copies of the installer's files, each with one defect: the very check that is for it says so, and no other.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path};

use plugnmeet_gateway::{
    clock::Clock,
    config::Config,
    doctor::{
        CHECKS, Check, DoctorSettings, Finding, Findings, Look, Ours, Places, Said, Standpoint, Verdict, look,
    },
};
use tempfile::TempDir;

/// Files of an official installation where all is well, and the gateway's beside them.
const FILES: [(&str, &str); 9] = [
    ("opt/config.yaml", include_str!("support/installed/config.yaml")),
    ("opt/livekit.yaml", include_str!("support/installed/livekit.yaml")),
    ("opt/ingress.yaml", include_str!("support/installed/ingress.yaml")),
    ("opt/sip.yaml", include_str!("support/installed/sip.yaml")),
    (
        "opt/nats-server.conf",
        include_str!("support/installed/nats-server.conf"),
    ),
    (
        "opt/docker-compose.yaml",
        include_str!("support/installed/docker-compose.yaml"),
    ),
    (
        "opt/client/dist/assets/config.js",
        include_str!("support/installed/config.js"),
    ),
    (
        "haproxy/haproxy.cfg",
        include_str!("support/official/haproxy.cfg"),
    ),
    ("gateway.toml", include_str!("support/installed/gateway.toml")),
];

/// A machine with these files; paths of the gateway's are the folder's.
struct Machine(TempDir);

impl Machine {
    fn healthy() -> Self {
        let machine = Self(tempfile::tempdir().unwrap());
        for (name, text) in FILES {
            let here = machine.0.path().display();
            machine.write(
                name,
                &text
                    .replace("path = \"opt", &format!("path = \"{here}/opt"))
                    .replace(
                        "[turn]\n",
                        &format!("[tls]\ncerts = \"{here}/certs\"\n\n[turn]\n"),
                    ),
            );
        }
        machine.write("opt/client/old/index.html", "<head></head>");
        machine.certificate(&["conf.example.org", "turn.example.org"]);
        machine
    }

    fn certificate(&self, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::new(names)
            .unwrap()
            .self_signed(&key)
            .unwrap();
        self.write("certs/a.pem", &made.pem());
        self.write("certs/a.key", &key.serialize_pem());
        let key = self.0.path().join("certs/a.key");
        fs::set_permissions(key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn write(&self, name: &str, text: &str) {
        let file = self.0.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// Puts `new` in the place of `old`, which has to be there.
    fn change(&self, name: &str, old: &str, new: &str) {
        let text = fs::read_to_string(self.0.path().join(name)).unwrap();
        assert!(text.contains(old), "{old:?} is not in {name}");
        self.write(name, &text.replacen(old, new, 1));
    }

    fn look(&self, only: Option<&str>) -> Findings {
        let root = self.0.path();
        // What is refused is said by the configuration's own check.
        let config = Config::draft(Some(&root.join("gateway.toml")), &[]).unwrap();
        let ours = Ours {
            config: Ok(Some(&config)),
            checked: vec![Said::ok("sound")],
            running: Vec::new(),
        };
        wait(look(&asked(root, only), &ours, &Clock::system())).unwrap()
    }
}

/// What is to be waited for, ended.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(future)
}

fn asked(root: &Path, only: Option<&str>) -> DoctorSettings {
    DoctorSettings {
        places: Places {
            from: root.join("opt"),
            haproxy: root.join("haproxy"),
            root: root.to_owned(),
        },
        only: only.map(str::to_owned),
        without: Vec::new(),
        from: Standpoint::Files,
    }
}

fn wrong(findings: &Findings) -> Vec<&Finding> {
    let all = findings.0.iter();
    all.filter(|finding| finding.said.verdict != Verdict::Ok)
        .collect()
}

#[test]
fn where_all_is_well_nothing_is_said() {
    let findings = Machine::healthy().look(None);
    assert!(wrong(&findings).is_empty(), "{findings}");
    assert_eq!(findings.status(), 0);
    let seen: BTreeSet<&str> = findings.0.iter().map(|finding| finding.id).collect();
    let of_files = CHECKS
        .iter()
        .filter(|check| matches!(check.look, Look::Files(..) | Look::Configuration));
    assert_eq!(seen.len(), of_files.count());
}

use Verdict::{Fail, Warn};

const C: &str = "opt/config.yaml";
const L: &str = "opt/livekit.yaml";
const G: &str = "gateway.toml";

/// The lines of `defects.txt`: a file, what is in it, what is there instead; the check that finds it, how bad it is, and the
/// end of its place.
fn defects() -> Vec<[String; 6]> {
    let lines = include_str!("support/installed/defects.txt").lines().skip(1);
    let read = lines.map(|line| {
        let fields: Vec<String> = line
            .split(" | ")
            .map(|field| field.replace("\\n", "\n"))
            .collect();
        fields.try_into().unwrap_or_else(|_| panic!("{line}"))
    });
    read.collect()
}

#[test]
fn each_defect_is_found_by_the_check_that_is_for_it_and_by_no_other() {
    let defects = defects();
    assert!(defects.len() > 50);
    let mut others = Vec::new();
    for [name, old, new, id, verdict, place] in &defects {
        let machine = Machine::healthy();
        machine.change(name, old, new);
        let findings = machine.look(None);
        let wrong = wrong(&findings).into_iter();
        let wrong: Vec<&Finding> = wrong
            .filter(|finding| finding.said.verdict != Verdict::Skip)
            .collect();
        let is_that = |finding: &&Finding| {
            let said = &finding.said;
            let at = said.place.as_deref().unwrap_or_default();
            let is = (finding.id, said.verdict.word()) == (id.as_str(), verdict.as_str());
            is && said.advice.is_some() && at.ends_with(place.as_str())
        };
        if wrong.len() != 1 || !wrong.iter().all(is_that) {
            let found: Vec<String> = wrong.iter().map(ToString::to_string).collect();
            others.push(format!(
                "{name}: {old:?} -> {new:?}, {verdict} {id} {place}: {found:#?}"
            ));
        }
    }
    assert!(others.is_empty(), "{}", others.join("\n"));
}

#[test]
fn an_image_without_a_version_is_not_said_to_be_well() {
    let machine = Machine::healthy();
    machine.change(
        "opt/docker-compose.yaml",
        "livekit/livekit-server:v1.13.11",
        "livekit/livekit-server:latest",
    );
    let findings = machine.look(None);
    let [only] = wrong(&findings)[..] else {
        panic!("{findings}")
    };
    assert_eq!((only.id, only.said.verdict), ("livekit.version", Verdict::Skip));
    assert_eq!(
        only.said.found,
        "livekit/livekit-server:latest has no tag that says a version"
    );
}

/// What a lost file takes with it is skipped, and nothing is guessed.
#[test]
fn without_a_file_its_checks_are_skipped() {
    let machine = Machine::healthy();
    fs::remove_file(machine.0.path().join(L)).unwrap();
    let findings = machine.look(None);
    for finding in wrong(&findings) {
        assert_eq!(finding.said.verdict, Verdict::Skip, "{finding}");
        assert_eq!(finding.said.found, "there is no livekit.yaml", "{finding}");
    }
    assert!(wrong(&findings).len() > 10);
    assert_eq!(findings.status(), 0);
}

#[test]
fn what_is_left_of_the_old_front_is_found() {
    let hook = "etc/letsencrypt/renewal-hooks/post/001-restart-haproxy";
    let boot = "etc/systemd/system/multi-user.target.wants/haproxy.service";
    let renewal = "etc/letsencrypt/renewal/conf.example.org.conf";
    let of_certbot = "[renewalparams]\nauthenticator = standalone\nhttp01_port = 9081\n";
    for (name, text, id, verdict, place) in [
        (hook, "#!/bin/bash", "front.hook", Warn, hook),
        (boot, "", "front.boot", Fail, boot),
        (
            renewal,
            of_certbot,
            "front.certbot",
            Fail,
            "conf.example.org.conf:3 http01_port",
        ),
    ] {
        let machine = Machine::healthy();
        machine.write(name, text);
        let findings = machine.look(None);
        let [only] = wrong(&findings)[..] else {
            panic!("{findings}")
        };
        assert_eq!((only.id, only.said.verdict), (id, verdict));
        assert!(only.said.place.as_deref().unwrap().ends_with(place), "{only}");
        // Behind HAProxy all of it has its use.
        machine.change(
            G,
            "[listen]",
            "[trust]\nproxies = [\"127.0.0.1\"]\n\n[listen]\nproxy_protocol = true",
        );
        machine.change(
            "haproxy/haproxy.cfg",
            "127.0.0.1:81 check send-proxy",
            "127.0.0.1:8443 check send-proxy-v2 ssl verify none",
        );
        let findings = machine.look(None);
        assert!(wrong(&findings).is_empty(), "{findings}");
    }
}

#[test]
fn a_gateway_behind_haproxy_needs_a_line_with_headers_there() {
    let machine = Machine::healthy();
    machine.change(
        G,
        "[listen]",
        "[trust]\nproxies = [\"127.0.0.1\"]\n\n[listen]\nproxy_protocol = true",
    );
    let behind = |machine: &Machine| machine.look(Some("front.behind")).0[0].said.found.clone();
    assert_eq!(
        behind(&machine),
        "no server of haproxy.cfg leads to the gateway's port 8443"
    );
    machine.change(
        "haproxy/haproxy.cfg",
        "127.0.0.1:81 check send-proxy",
        "127.0.0.1:8443 check ssl verify none",
    );
    assert_eq!(
        behind(&machine),
        "the gateway waits for PROXY headers, and HAProxy sends none"
    );
}

#[test]
fn a_certificate_without_the_name_of_turn_is_found() {
    let machine = Machine::healthy();
    machine.certificate(&["conf.example.org"]);
    let findings = machine.look(None);
    let [only] = wrong(&findings)[..] else {
        panic!("{findings}")
    };
    assert_eq!((only.id, only.said.verdict), ("turn.certificate", Fail));
    machine.certificate(&["*.example.org"]);
    assert!(wrong(&machine.look(None)).is_empty());
}

#[test]
fn a_secret_that_everybody_knows_or_can_guess_is_told() {
    for (secret, verdict) in [
        ("zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6", Fail),
        ("hunter2hunter2", Warn),
    ] {
        let machine = Machine::healthy();
        for file in [C, G] {
            machine.change(file, "0123456789abcdef0123456789abcdef0123", secret);
        }
        let findings = machine.look(None);
        let [only] = wrong(&findings)[..] else {
            panic!("{findings}")
        };
        assert_eq!((only.id, only.said.verdict), ("server.secret-strength", verdict));
    }
}

/// SECURITY: findings end in tickets and chats.
#[test]
fn no_secret_is_printed_whatever_is_wrong() {
    let secrets = [
        "0123456789abcdef",
        "9123456789abcdef",
        "livekitlivekit",
        "Livekitlivekit",
        "SUAINIQNZGDC",
        "SAAI3ZLNZDLI",
        "SXABYM645",
        "hunter2",
        "zumyyYWqv7KR",
    ];
    for [name, old, new, ..] in &defects() {
        let machine = Machine::healthy();
        machine.change(name, old, new);
        let findings = machine.look(None);
        let said = format!("{findings}\n{}", findings.json());
        for secret in secrets {
            assert!(!said.contains(secret), "{secret} is shown: {said}");
        }
    }
}

#[test]
fn one_check_or_one_area_can_be_asked_for() {
    let machine = Machine::healthy();
    let ids = |only: &str| -> Vec<&str> {
        machine
            .look(Some(only))
            .0
            .iter()
            .map(|finding| finding.id)
            .collect()
    };
    assert_eq!(ids("nats.xkey"), ["nats.xkey"]);
    assert_eq!(
        ids("ingress"),
        ["ingress.keys", "ingress.ws-url", "ingress.rtmp", "ingress.whip"]
    );
    let ours = Ours {
        config: Ok(None),
        checked: Vec::new(),
        running: Vec::new(),
    };
    let unknown = wait(look(
        &asked(machine.0.path(), Some("nat")),
        &ours,
        &Clock::system(),
    ))
    .unwrap_err();
    assert!(
        unknown.starts_with("there is no check nat; the areas are files, gateway, server, "),
        "{unknown}"
    );
}

/// The page and the table have the same checks, in the same order.
#[test]
fn the_page_has_every_check() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/doctor.md")).unwrap();
    let rows = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
    let explained: Vec<&str> = rows.map(|(id, _)| id).collect();
    let there: Vec<&str> = CHECKS.iter().map(|check| check.id).collect();
    assert_eq!(explained, there);
    let areas: BTreeSet<&str> = CHECKS.iter().map(Check::area).collect();
    for area in areas {
        assert!(page.contains(&format!("\n## {area}")), "{area} has no section");
    }
}
