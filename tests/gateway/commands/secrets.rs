//! Secrets: where they come from, who may read them, and where they never stand.

use std::os::unix::fs::PermissionsExt;

use super::{empty, serving, told};
use crate::support::{
    SECRET,
    binary::{anywhere, run},
    folder_of,
};

#[tokio::test]
async fn an_empty_secret_stops_the_start() {
    let folder = folder_of(&[("empty", ""), ("line", "\n")]);
    for variable in [
        ("PLUGNMEET__SECRET", ""),
        ("PLUGNMEET__SECRET_FILE", "empty"),
        ("PLUGNMEET__SECRET_FILE", "line"),
    ] {
        let output = run(
            folder.path(),
            &["serve"],
            &[&anywhere()[..], &[variable]].concat(),
        )
        .await;
        let (status, text, errors) = told(&output);
        assert_eq!((status, text.as_str()), (1, ""), "{variable:?}");
        assert!(
            errors.contains("empty, so anybody could sign"),
            "{variable:?} {errors}"
        );
    }
    assert!(!folder.path().join("certs").exists());
}

#[tokio::test]
async fn a_short_secret_is_warned_about_at_every_start() {
    let folder = empty();
    let secret = [("PLUGNMEET__SECRET", "thirty-one-bytes-are-too-short!")];
    for _ in 0..2 {
        let serving = serving(folder.path(), &secret).await;
        let warning = serving
            .said
            .lines()
            .find(|line| line.contains("\"WARN\""))
            .unwrap();
        assert!(
            warning.contains("plugnmeet.secret") && warning.contains("32"),
            "{warning}"
        );
        assert!(!serving.said.contains(secret[0].1));
    }
    let long = serving(
        folder.path(),
        &[("PLUGNMEET__SECRET", "thirty-two-bytes-are-long-enough")],
    )
    .await;
    assert!(!long.said.contains("\"WARN\""), "{}", long.said);
}

/// certbot's and the official installer's keys are their groups'; what others may write is nobody's secret.
#[tokio::test]
async fn secrets_that_others_may_read_are_warned_about_and_those_that_they_may_write_are_refused() {
    let folder = folder_of(&[("secret", "a-secret-in-a-file-of-its-own-0123456789")]);
    let chmod = |file: &str, mode| {
        let file = folder.path().join(file);
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    // The first start makes certificate and key.
    serving(folder.path(), &[]).await.signal("TERM").await;
    let by_file = [("PLUGNMEET__SECRET_FILE", "secret")];
    let none = [("TLS__CERTS", "certs")];
    for (file, variables) in [
        ("secret", by_file),
        ("certs/development.key", by_file),
        ("certs/plugnmeet-secret", none),
    ] {
        for file in ["secret", "certs/development.key", "certs/plugnmeet-secret"] {
            chmod(file, 0o600);
        }
        let name = file.rsplit('/').next().unwrap();
        let (status, _, errors) = told(&run(folder.path(), &["check"], &variables).await);
        assert_eq!((status, errors.as_str()), (0, ""), "{file}");

        chmod(file, 0o640);
        let (status, _, errors) = told(&run(folder.path(), &["check"], &variables).await);
        assert_eq!((status, errors.lines().count()), (0, 1), "{errors}");
        let warned = |text: &str| {
            text.contains(name) && text.contains("can be read by others than its owner (mode 640)")
        };
        assert!(errors.starts_with("warning: ") && warned(&errors), "{errors}");
        for _ in 0..2 {
            let serving = serving(folder.path(), &variables).await;
            let warnings: Vec<_> = serving
                .said
                .lines()
                .filter(|line| line.contains("\"WARN\""))
                .collect();
            assert!(warnings.len() == 1 && warned(warnings[0]), "{file} {warnings:?}");
            serving.signal("TERM").await;
        }

        chmod(file, 0o660);
        let variables = [&anywhere()[..], &variables].concat();
        for command in ["check", "serve"] {
            let (status, text, errors) = told(&run(folder.path(), &[command], &variables).await);
            let said = text + &errors;
            assert_eq!(status, 1, "{command} {file} {said}");
            assert!(
                said.contains("may be written by others (mode 660)"),
                "{command} {file} {said}"
            );
        }
    }
}

#[tokio::test]
async fn a_secret_at_the_key_of_its_file_is_not_printed() {
    let folder = empty();
    for command in ["check", "serve"] {
        let variables = [&anywhere()[..], &[("PLUGNMEET__SECRET_FILE", SECRET)]].concat();
        let (status, text, errors) = told(&run(folder.path(), &[command], &variables).await);
        assert_eq!(status, 1);
        assert!(
            errors.contains("plugnmeet.secret_file: names a file that can't be read: "),
            "{errors}"
        );
        assert!(!(text + &errors).contains(SECRET), "{errors}");
    }
}

/// The server checks the address of a launch without its port (docs/plugnmeet.md section 5).
#[tokio::test]
async fn an_origin_with_a_port_is_warned_about_as_lti_fails_there() {
    let folder = empty();
    for (origin, warned) in [
        ("https://conf.example.org:8443", true),
        ("https://conf.example.org", false),
        ("https://conf.example.org:443", false),
        ("", false),
    ] {
        let variables = [("PUBLIC_ORIGIN", origin)];
        let (status, _, errors) = told(&run(folder.path(), &["check"], &variables).await);
        assert_eq!(status, 0, "{errors}");
        let begins = "warning: environment: PNM_GATEWAY__PUBLIC_ORIGIN: public_origin: has port 8443, and LTI launches";
        assert_eq!(errors.starts_with(begins), warned, "{errors}");
        assert_eq!(errors.contains("LTI"), warned, "{errors}");
    }
    let serving = serving(folder.path(), &[("PUBLIC_ORIGIN", "https://localhost:8443")]).await;
    let warning = serving
        .said
        .lines()
        .find(|line| line.contains("\"WARN\""))
        .unwrap();
    assert!(
        warning.contains("public_origin") && warning.contains("LTI"),
        "{warning}"
    );
}
