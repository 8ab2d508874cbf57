//! What is printed and logged, and on what.

use std::{process::Stdio, time::Duration};

use tokio::time::timeout;

use super::{empty, told};
use crate::support::{
    addr::own,
    binary::{anywhere, program, run},
    folder_of,
};

#[tokio::test]
async fn text_in_a_file_or_a_pipe_has_no_escape_codes() {
    let folder = folder_of(&[("certs/a.pem", "no certificate")]);
    let variables = [&anywhere()[..3], &[("LOG__FORMAT", "text")]].concat();
    let (status, text, errors) = told(&run(folder.path(), &["serve"], &variables).await);
    assert_eq!(status, 1);
    assert!(text.contains("ERROR"), "{text}");
    assert!(!(text + &errors).contains('\u{1b}'));
}

/// On a terminal there are colours, unless somebody wants none (<https://no-color.org>).
#[tokio::test]
async fn text_on_a_terminal_has_colours_unless_no_color_is_set() {
    let folder = folder_of(&[("certs/a.pem", "no certificate")]);
    for (no_color, coloured) in [("", true), ("1", false)] {
        let variables = [&anywhere()[..3], &[("LOG__FORMAT", "text")]].concat();
        // `script` gives its command a terminal of its own.
        let mut command = tokio::process::Command::new("script");
        let ours = program(folder.path(), &[], &variables);
        for (name, value) in ours.as_std().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let output = command
            .args(["-qec", env!("CARGO_BIN_EXE_plugnmeet-gateway"), "/dev/null"])
            .env("NO_COLOR", no_color)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output();
        let Ok(output) = timeout(Duration::from_secs(20), output).await.unwrap() else {
            // No such program here.
            return;
        };
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("ERROR"), "{text}");
        assert_eq!(text.contains('\u{1b}'), coloured, "{text}");
    }
}

#[tokio::test]
async fn an_address_that_is_taken_stops_the_start() {
    let folder = empty();
    let taken = std::net::TcpListener::bind(own()).unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let variables = [&anywhere()[..], &[("LISTEN__HTTPS", addr.as_str())]].concat();
    let (status, text, errors) = told(&run(folder.path(), &[], &variables).await);
    assert_eq!(status, 1);
    let all = text + &errors;
    assert!(
        all.contains(&format!("listen.https: can't listen on {addr}")),
        "{all}"
    );
}
