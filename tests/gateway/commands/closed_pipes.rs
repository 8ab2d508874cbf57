//! A reader that closes its end of a pipe, as `head -1` does, ends no command with a panic.

use std::{
    io,
    path::Path,
    process::{Output, Stdio},
};

use tempfile::TempDir;

use crate::support::{
    API_KEY, SECRET,
    binary::{anywhere, program},
    folder_of,
};

/// A pipe whose reader has gone.
fn unread() -> Stdio {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn folder() -> TempDir {
    let configured = format!("[plugnmeet]\napi_key = '{API_KEY}'\nsecret = '{SECRET}'\n");
    folder_of(&[
        ("gateway.toml", configured.as_str()),
        ("broken.toml", "[limits]\nuser = '0/min'\n"),
        ("body.json", "{}"),
        ("good.json", r##"{"primary_color":"#004d90"}"##),
        ("bad.json", r#"{"primary_color":"no colour"}"#),
    ])
}

/// A command with this as its standard output.
async fn answered_to(stdout: impl Into<Stdio>, folder: &Path, arguments: &[&str]) -> Output {
    let mut command = program(folder, arguments, &anywhere());
    // `output` would put a pipe of its own there.
    let running = command.stdout(stdout).spawn().unwrap();
    running.wait_with_output().await.unwrap()
}

/// The status of a command that nobody reads on standard output, and what it says on standard error.
async fn unheard(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = answered_to(unread(), folder, arguments).await;
    let errors = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), errors)
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_no_error() {
    let folder = folder();
    for arguments in [
        &["config", "schema"][..],
        &["config", "show"],
        &["reference"],
        &["check"],
        &["check", "--json"],
        &["explain", "/ws"],
        &["check-design", "good.json"],
        &["check-design", "--canonical", "good.json"],
        &["sign", "body.json", "--config", "gateway.toml"],
        &["--help"],
        &["--version"],
    ] {
        let (status, errors) = unheard(folder.path(), arguments).await;
        assert_eq!(status, Some(0), "{arguments:?}: {errors}");
        // `check` names what is unwise there.
        let remarks = errors
            .lines()
            .all(|line| line.starts_with("warning: ") || line.starts_with("note: "));
        assert!(remarks, "{arguments:?}: {errors}");
    }
    let unsound = ["check", "--json", "--config", "broken.toml"];
    assert_eq!(unheard(folder.path(), &unsound).await, (Some(1), String::new()));
    let (status, errors) = unheard(folder.path(), &["check-design", "--canonical", "bad.json"]).await;
    assert_eq!(status, Some(1));
    assert!(errors.starts_with("check-design: primary_color: "), "{errors}");
}

#[tokio::test]
async fn an_error_that_nobody_reads_leaves_its_status() {
    let folder = folder();
    for (arguments, expected) in [
        (&["check", "--config", "broken.toml"][..], 1),
        (&["serve", "--config", "broken.toml"], 1),
        (&["config", "show", "--config", "broken.toml"], 1),
        (&["check-design", "bad.json"], 1),
        (&["status"], 1),
        (&["no-command"], 2),
    ] {
        let mut command = program(folder.path(), arguments, &anywhere());
        let status = command.stdout(unread()).stderr(unread()).status().await.unwrap();
        assert_eq!(status.code(), Some(expected), "{arguments:?}");
    }
}

/// `/dev/full` takes nothing, as a full disk.
#[tokio::test]
async fn an_answer_that_can_t_be_written_is_an_error() {
    let folder = folder();
    let full = std::fs::File::create("/dev/full").unwrap();
    let output = answered_to(full, folder.path(), &["config", "schema"]).await;
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        errors.starts_with("standard output can't be written: "),
        "{errors}"
    );
}
