//! Which files of a folder are pairs, what is told of those that are not, and which pair is served.

use std::fs;

use tempfile::TempDir;

use super::*;
use crate::tls::testing::{DAY, NOW, made};

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn load(dir: &TempDir, public: &str, hosts: &[&str]) -> Result<CertStore, Vec<TlsProblem>> {
    let names = CoveredNames {
        public: public.into(),
        hosts: hosts.iter().map(ToString::to_string).collect(),
    };
    CertStore::load(dir.path(), None, &names, NOW)
}

/// As shown, without the folder's own path.
fn shown(dir: &TempDir, lines: &[impl ToString]) -> Vec<String> {
    let path = format!("{}/", dir.path().display());
    lines
        .iter()
        .map(|line| line.to_string().replace(&path, ""))
        .collect()
}

#[test]
fn a_folder_that_fails_keeps_nothing_of_the_other_from_being_served() {
    let (dir, acme) = (folder(), folder());
    let names = CoveredNames {
        public: "a.example".into(),
        hosts: vec!["b.example".into()],
    };
    made(&["a.example"]).write(&dir, "a");
    let renewed = |days: i64| {
        made(&["b.example"])
            .valid(NOW - (90 - days) * DAY, NOW + days * DAY)
            .write(&acme, "b.example");
    };
    renewed(10);
    let acme_path = Some(acme.path());
    let store = CertStore::load(dir.path(), acme_path, &names, NOW).unwrap();
    let ends = |store: &CertStore| ["a.example", "b.example"].map(|name| store.ends(NOW)[name]);
    let [of_a, _] = ends(&store);
    fs::write(dir.path().join("a.key"), made(&["a.example"]).key()).unwrap();
    renewed(80);
    let (next, aside) = store.next_of_each(dir.path(), acme_path, &names, NOW).unwrap();
    assert_eq!(ends(&next), [of_a, NOW + 80 * DAY]);
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert!(aside[0].file.starts_with(dir.path()), "{aside:?}");
    // The other way round: the one that was ordered stays too.
    made(&["a.example"])
        .valid(NOW - DAY, NOW + 70 * DAY)
        .write(&dir, "a");
    fs::write(acme.path().join("b.example.key"), made(&["b.example"]).key()).unwrap();
    let (last, aside) = next.next_of_each(dir.path(), acme_path, &names, NOW).unwrap();
    assert_eq!(ends(&last), [NOW + 70 * DAY, NOW + 80 * DAY]);
    assert!(
        aside.iter().all(|problem| problem.file.starts_with(acme.path())),
        "{aside:?}"
    );
    assert!(store.next(dir.path(), None, &names, NOW).is_ok());
}

#[test]
fn names_every_pair_that_is_no_pair() {
    let dir = folder();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    made(&["a.example"]).write(&dir, "a-good");
    made(&["b.example"]).write(&dir, "b-mismatch");
    write("b-mismatch.key", &made(&["b.example"]).key());
    write("e-keyless.pem", &made(&["e.example"]).pem());
    write("f-bare.key", &made(&["f.example"]).key());
    made(&["g.example"]).write(&dir, "g-unreadable");
    fs::remove_file(dir.path().join("g-unreadable.key")).unwrap();
    fs::create_dir(dir.path().join("g-unreadable.key")).unwrap();
    made(&["h.example"]).write(&dir, "h-swapped");
    fs::rename(dir.path().join("h-swapped.pem"), dir.path().join("h")).unwrap();
    fs::rename(dir.path().join("h-swapped.key"), dir.path().join("h-swapped.pem")).unwrap();
    fs::rename(dir.path().join("h"), dir.path().join("h-swapped.key")).unwrap();
    write("README.md", "not looked at");
    let problems = load(&dir, "a.example", &[]).unwrap_err();
    assert_eq!(
        shown(&dir, &problems),
        [
            "b-mismatch.key: is not the key of the first certificate in b-mismatch.pem",
            "e-keyless.pem: is a certificate without a key: e-keyless.key is missing",
            "f-bare.key: is a key without a certificate: f-bare.pem is missing",
            "g-unreadable.key: can't be read: Is a directory (os error 21)",
            "h-swapped.key: holds no private key: allowed are RSA, ECDSA and Ed25519, in PEM form and not encrypted",
        ]
    );
}

#[test]
fn an_empty_folder_and_a_missing_one_are_named() {
    let dir = folder();
    let path = dir.path().display();
    assert_eq!(
        load(&dir, "a.example", &[]).unwrap_err()[0].to_string(),
        format!("{path}: holds no certificate: write NAME.pem, and NAME.key beside it")
    );
    fs::remove_dir(dir.path()).unwrap();
    assert_eq!(
        load(&dir, "a.example", &[]).unwrap_err()[0].to_string(),
        format!("{path}: can't be read: No such file or directory (os error 2)")
    );
}

#[test]
fn a_key_that_others_may_write_is_refused_and_one_that_they_may_read_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;

    let dir = folder();
    made(&["a.example"]).write(&dir, "a");
    let chmod =
        |mode| fs::set_permissions(dir.path().join("a.key"), fs::Permissions::from_mode(mode)).unwrap();
    chmod(0o640);
    let store = load(&dir, "a.example", &[]).unwrap();
    assert_eq!(
        shown(&dir, store.warnings()),
        ["a.key: can be read by others than its owner (mode 640): chmod 600 it"]
    );
    chmod(0o660);
    assert_eq!(
        shown(&dir, &load(&dir, "a.example", &[]).unwrap_err()),
        ["a.key: may be written by others (mode 660): chmod 600 it, and make a new secret if others had it"]
    );
}

/// A key on one line is the most common damage by copying, and parsers like to quote the line.
#[test]
fn a_damaged_key_is_not_quoted() {
    let dir = folder();
    let key = made(&["a.example"]).write(&dir, "a").key().replace('\n', " ");
    fs::write(dir.path().join("a.key"), &key).unwrap();
    let problems = format!("{:?}", load(&dir, "a.example", &[]).unwrap_err());
    assert!(
        problems.contains("NotAKey") && !problems.contains(&key[40..60]),
        "{problems}"
    );
}

#[test]
fn takes_a_key_under_haproxys_name() {
    let dir = folder();
    made(&["a.example", "*.b.example", "192.0.2.7"]).write(&dir, "a");
    fs::rename(dir.path().join("a.key"), dir.path().join("a.pem.key")).unwrap();
    let store = load(&dir, "a.example", &["www.b.example", "192.0.2.7"]).unwrap();
    assert_eq!(
        shown(&dir, &store.files()),
        ["a.pem for a.example, *.b.example, 192.0.2.7, until 2026-09-23"]
    );
    assert_eq!(store.warnings(), []);
}

#[test]
fn warns_of_what_expires_soon_and_of_hosts_without_a_certificate() {
    let dir = folder();
    made(&["b.example"]).write(&dir, "b");
    made(&["*.a.example"])
        .valid(NOW - 30 * DAY, NOW + 13 * DAY)
        .write(&dir, "a");
    let store = load(&dir, "a.example", &["b.example", "deep.er.a.example"]).unwrap();
    assert_eq!(
        shown(&dir, store.warnings()),
        [
            "a.pem: expires on 2026-08-07",
            "no certificate covers a.example: a.pem is served there",
            "no certificate covers deep.er.a.example: a.pem is served there",
        ]
    );
}

/// HAProxy starts likewise: whoever is kept out by one name's certificate is not kept out of all.
#[test]
fn what_is_past_its_days_is_told_and_served_to_those_who_have_no_other() {
    let dir = folder();
    let (expired, early) = ((NOW - 90 * DAY, NOW - DAY), (NOW + DAY, NOW + 30 * DAY));
    made(&["a.example"]).valid(expired.0, expired.1).write(&dir, "a");
    made(&["b.example"]).valid(early.0, early.1).write(&dir, "b");
    made(&["www.c.example"])
        .valid(expired.0, expired.1)
        .write(&dir, "c-old");
    made(&["*.c.example"]).write(&dir, "c-wild");
    let store = load(&dir, "a.example", &["www.c.example"]).unwrap();
    assert_eq!(
        shown(&dir, store.warnings()),
        [
            "a.pem: expired on 2026-07-24: clients of a.example get it and refuse it",
            "b.pem: is not valid before 2026-07-26",
            "c-old.pem: expired on 2026-07-24",
        ]
    );
    let served: Vec<String> = store.files().iter().map(|file| file.names.concat()).collect();
    assert_eq!(served, ["a.example", "b.example", "*.c.example"]);
    assert_eq!(store.ends(NOW)["a.example"], NOW - DAY);
}

#[test]
fn of_two_that_are_alike_the_newest_counts() {
    let dir = folder();
    made(&["a.example"])
        .valid(NOW - 9 * DAY, NOW + 81 * DAY)
        .write(&dir, "a");
    made(&["a.example"])
        .valid(NOW - DAY, NOW + 45 * DAY)
        .write(&dir, "b");
    made(&["a.example"])
        .valid(NOW - 60 * DAY, NOW + 90 * DAY)
        .write(&dir, "c");
    assert_eq!(
        load(&dir, "a.example", &[]).unwrap().ends(NOW)["a.example"],
        NOW + 45 * DAY
    );
}

#[test]
fn a_worse_file_keeps_the_old_certificate() {
    let dir = folder();
    let names = CoveredNames {
        public: "a.example".into(),
        hosts: Vec::new(),
    };
    let good = (NOW - 9 * DAY, NOW + 81 * DAY);
    made(&["a.example"]).valid(good.0, good.1).write(&dir, "a");
    let store = load(&dir, "a.example", &[]).unwrap();
    let next = |dir: &TempDir| {
        let (next, aside) = store.next(dir.path(), None, &names, NOW).unwrap();
        (next.ends(NOW)["a.example"], shown(dir, &aside))
    };
    made(&["a.example"])
        .valid(NOW - 90 * DAY, NOW - DAY)
        .write(&dir, "a");
    assert_eq!(next(&dir), (good.1, vec!["a.pem: expired on 2026-07-24".into()]));
    made(&["a.example"])
        .valid(NOW - 30 * DAY, NOW + 60 * DAY)
        .write(&dir, "a");
    let older = "a.pem: is older than the certificate in use, which ends on 2026-10-14";
    assert_eq!(next(&dir), (good.1, vec![older.into()]));
    // A shorter life is no older age.
    made(&["a.example"])
        .valid(NOW - DAY, NOW + 5 * DAY)
        .write(&dir, "a");
    assert_eq!(next(&dir), (NOW + 5 * DAY, Vec::new()));
    fs::write(dir.path().join("a.key"), made(&["a.example"]).key()).unwrap();
    assert!(store.next(dir.path(), None, &names, NOW).is_err());
}

#[test]
fn debug_shows_no_key() {
    let dir = folder();
    made(&["a.example"]).write(&dir, "a");
    let store = load(&dir, "a.example", &[]).unwrap();
    assert_eq!(
        shown(&dir, &[format!("{store:?} {:?}", store.by_name)]),
        [concat!(
            r#"CertStore { files: [CertificateFile { file: "a.pem", names: ["a.example"], "#,
            r#"last_day: "2026-09-23" }], .. } {"a.example"}"#
        )]
    );
}
