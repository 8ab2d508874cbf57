//! The program itself: its commands, what it writes, its exit status, and how it stops.

mod adopting;
mod adopting_parts;
mod asking;
mod closed_pipes;
mod faults;
mod hints;
mod leaks;
mod logging;
mod official_machine;
mod probing;
mod secrets;
mod starting;
mod stopping;
mod swapping;

use std::{path::Path, process::Output};

use plugnmeet_gateway::{secret::Secret, token::TokenKeys};
use tempfile::TempDir;

use crate::support::{
    API_KEY, SECRET,
    binary::{Serving, anywhere},
    client::Client,
    folder_of,
};

/// For a link of Ann's into room01.
const WANTED: [&str; 7] = [
    "join-link",
    "--room",
    "room01",
    "--name",
    "Ann",
    "--user-id",
    "ann",
];

const ISSUE: &str = "/auth/room/getJoinToken";

fn empty() -> TempDir {
    folder_of(&[])
}

/// A gateway on ports of its own, with more variables.
async fn serving(directory: &Path, more: &[(&str, &str)]) -> Serving {
    let variables = [&anywhere()[..], more].concat();
    Serving::start(directory, &["serve"], &variables).await
}

fn client_of(directory: &Path, serving: &Serving) -> Client {
    Client::trusting(&directory.join("certs/development.pem"), serving.https)
}

/// Status, standard output and standard error of a command.
fn told(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

fn keys() -> TokenKeys {
    TokenKeys::new(API_KEY.into(), &Secret::new(SECRET.into())).unwrap()
}
