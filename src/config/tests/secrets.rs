//! Secrets: the one place from which each comes, who may have a hand in its file, and that none is shown.

use std::{fs::Permissions, os::unix::fs::PermissionsExt};

use super::{parse, told, variables};
use crate::config::Config;

#[test]
fn a_secret_comes_from_one_place() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "\u{feff}a secret of a file that is long enough \t\r\n\n").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let file = file.to_str().unwrap();
    let by_file = format!("[plugnmeet]\nsecret_file = '{file}'\n");
    let secret = |text: &str, pairs: &[(&str, &str)]| {
        let config = Config::parse(text, "gateway.toml", &variables(pairs)).unwrap();
        assert_eq!(config.warnings, [""; 0]);
        config.plugnmeet.secret.unwrap().expose().clone()
    };
    assert_eq!(secret(&by_file, &[]), "a secret of a file that is long enough");
    let written = "a written secret that is long enough";
    assert_eq!(
        secret(&by_file, &[("PNM_GATEWAY__PLUGNMEET__SECRET", written)]),
        written
    );
    let by_text = format!("[plugnmeet]\nsecret = '{written}'\n");
    let variable = ("PNM_GATEWAY__PLUGNMEET__SECRET_FILE", file);
    assert_eq!(
        secret(&by_text, &[variable]),
        "a secret of a file that is long enough"
    );
    assert_eq!(
        told(&format!("{by_text}secret_file = '{file}'\n"), &[]),
        ["gateway.toml:3: plugnmeet.secret_file: is given beside plugnmeet.secret; write one of the two"]
    );
    std::fs::write(file, "a secret of a file that is long enough\nanother").unwrap();
    assert_eq!(
        told(&by_file, &[]),
        [format!(
            "gateway.toml:2: plugnmeet.secret_file: \"{file}\" has several lines; leave the secret alone in it"
        )]
    );
    std::fs::write(file, "\n").unwrap();
    assert_eq!(
        told(&by_file, &[]),
        [
            "gateway.toml:2: plugnmeet.secret_file: is empty, so anybody could sign; name a readable file that holds the \
             server's client_info.secret"
        ]
    );
}

#[test]
fn a_secret_file_that_others_had_a_hand_in_is_refused_and_one_that_they_may_read_is_warned_about() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "a secret of a file that is long enough").unwrap();
    let file = path.to_str().unwrap();
    let chmod = |mode| std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    let caller = "[[callers]]\nname = 'a'\napi_key = 'k'\n";
    let other = "secret = 'zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6'\n";
    for (text, place) in [
        (
            format!("[plugnmeet]\nsecret_file = '{file}'\n"),
            "gateway.toml:2: plugnmeet.secret_file",
        ),
        (
            format!("{caller}secret_file = '{file}'\n"),
            "gateway.toml:4: callers.secret_file",
        ),
        (
            format!("{caller}{other}old_secret_file = '{file}'\n"),
            "gateway.toml:5: callers.old_secret_file",
        ),
    ] {
        for mode in [0o640, 0o604] {
            chmod(mode);
            let what = format!("can be read by others than its owner (mode {mode:o}): chmod 600 it");
            assert_eq!(
                parse(&text).unwrap().warnings,
                [format!("{place}: \"{file}\" {what}")]
            );
        }
        for mode in [0o620, 0o602] {
            chmod(mode);
            let what = format!(
                "may be written by others (mode {mode:o}); chmod 600 it, and make a new secret if others had it"
            );
            assert_eq!(told(&text, &[]), [format!("{place}: \"{file}\" {what}")]);
        }
    }
}

/// People often write a secret at the key of its file, and the message about that goes into logs.
#[test]
fn a_secret_at_the_key_of_its_file_is_not_shown() {
    let long = "k".repeat(300);
    for secret in [
        "zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6",
        "a/b+c=",
        "/x/y",
        " ",
        &long,
    ] {
        let caller = "[[callers]]\nname = 'a'\napi_key = 'k'\n";
        let text = format!("[plugnmeet]\nsecret_file = '{secret}'\n{caller}secret_file = '{secret}'\n");
        let told = told(&text, &[]);
        assert_eq!(told.len(), 2, "{told:?}");
        for (told, place) in told
            .iter()
            .zip(["2: plugnmeet.secret_file", "6: callers.secret_file"])
        {
            let start = format!("gateway.toml:{place}: names a file that can't be read: ");
            assert!(told.starts_with(&start), "{told}");
            assert!(secret.trim().is_empty() || !told.contains(secret), "{told}");
        }
    }
}

#[test]
fn a_short_secret_is_warned_about_and_never_shown() {
    let secret = "zumyyYWqv7KR";
    let config = parse(&format!("[plugnmeet]\nsecret = '{secret}'\n")).unwrap();
    assert_eq!(
        config.warnings,
        [
            "gateway.toml:2: plugnmeet.secret: is only 12 bytes long, and short secrets can be guessed; use 32 random \
             bytes or more"
        ]
    );
    assert!(!format!("{config:?}").contains(secret));
    for text in [
        format!("[plugnmeet]\nsecret = ['{secret}']\n"),
        format!("[plugnmeet]\nsecret = '{secret}'\nsecret = '{secret}'\n"),
        format!("[plugnmeet]\nsecret = '{secret}\n"),
        format!("[plugnmeet]\nsecret = {secret}\n"),
        format!("[plugnmeet]\nsecrte = '{secret}'\n"),
        format!("plugnmeet = '{secret}'\n"),
        format!("secret = '{secret}'\n"),
        format!("[plugnmeet]\nsecret = '{secret}'\nsecret_file = 'x'\n"),
        format!("[plugnmeet.secret]\nvalue = '{secret}'\n"),
    ] {
        let told = told(&text, &[]);
        assert!(!told.is_empty() && !told.concat().contains(secret), "{told:?}");
    }
    let variable = [("PNM_GATEWAY__PLUGNMEET__SECRTE", secret)];
    assert!(!told("", &variable).concat().contains(secret));
}
