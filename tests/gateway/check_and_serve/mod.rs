//! `check` and `serve` say the same of a configuration: what is wrong, what is unwise, and that nothing is.
//!
//! The program itself is asked, in a folder of its own for each configuration. `check` leaves nothing behind.

mod cases;

use std::{
    collections::BTreeSet,
    fs::{self},
    net::TcpListener,
    path::{Path, PathBuf},
};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use self::cases::{CASES, write};
use crate::support::{
    addr::{free, free_port, own},
    binary::{anywhere, program, run},
};

/// What both have to say: nothing, a warning with these words, or problems with each of these words.
enum Said {
    Nothing,
    Warning(&'static str),
    Note(&'static str),
    Problems(&'static [&'static str]),
}

use Said::{Note, Nothing, Problems, Warning};

/// What is to be there, the configuration, what is said.
type Case = (fn(&Path), &'static str, Said);

/// What `check` and `serve` have in common.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    sound: bool,
    /// Each in a line, without what kind it is.
    problems: BTreeSet<String>,
    warnings: BTreeSet<String>,
    notes: BTreeSet<String>,
}

impl Verdict {
    fn of(sound: bool, lines: &str) -> Self {
        let mut verdict = Self {
            sound,
            problems: BTreeSet::new(),
            warnings: BTreeSet::new(),
            notes: BTreeSet::new(),
        };
        for line in lines.lines() {
            if let Some(warning) = line.strip_prefix("warning: ") {
                verdict.warnings.insert(warning.to_owned());
            } else if let Some(note) = line.strip_prefix("note: ") {
                verdict.notes.insert(note.to_owned());
            } else {
                verdict.problems.insert(line.to_owned());
            }
        }
        verdict
    }
}

async fn check(folder: &Path, variables: &[(&str, &str)]) -> Verdict {
    let output = run(folder, &["check", "--config", "gateway.toml"], variables).await;
    let errors = String::from_utf8(output.stderr).unwrap();
    Verdict::of(output.status.success(), &errors)
}

async fn serve(folder: &Path, variables: &[(&str, &str)]) -> Verdict {
    let mut child = program(folder, &["serve", "--config", "gateway.toml"], variables)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = Vec::new();
    let mut started = false;
    while let Some(line) = lines.next_line().await.unwrap() {
        let line: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let message = line["message"].as_str().unwrap().to_owned();
        let mut words = vec![message.clone()];
        for (name, value) in line.as_object().unwrap() {
            if !["timestamp", "level", "target", "message"].contains(&name.as_str()) {
                words.push(format!("{name}={value}").replace('"', ""));
            }
        }
        if line["level"] == "WARN" {
            told.push(format!("warning: {}", words.join(" ")));
        } else if line["level"] == "ERROR" {
            told.push(message.clone());
        } else if message.starts_with("design.css_hosts is empty") {
            told.push(format!("note: {message}"));
        }
        if message.starts_with("Try next") {
            started = true;
            break;
        }
    }
    child.start_kill().unwrap();
    let mut errors = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .await
        .unwrap();
    child.wait().await.unwrap();
    told.push(errors);
    Verdict::of(started, &told.join("\n"))
}

fn all_files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(all_files(&path));
        }
        found.insert(path);
    }
    found
}

#[tokio::test]
async fn check_and_serve_say_the_same_of_every_configuration() {
    assert!(CASES.len() >= 40, "{}", CASES.len());
    let mut wrong = Vec::new();
    for (prepare, toml, said) in CASES {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        prepare(folder);
        let toml = toml
            .replace("PORT", &free_port().to_string())
            .replace("FREE", &free().to_string());
        write(folder, "gateway.toml", &toml, 0o644);
        // What the file says of listeners counts.
        let variables: Vec<_> = anywhere()
            .into_iter()
            .filter(|(name, _)| {
                let key = name.to_lowercase().replace("__", ".");
                let (section, key) = key.split_once('.').unwrap();
                !toml.contains(&format!("{section}.{key}")) && !toml.contains(&format!("\n{key} ="))
            })
            .collect();
        let before = all_files(folder);
        let checked = check(folder, &variables).await;
        assert_eq!(all_files(folder), before, "left behind: {toml}");
        let served = serve(folder, &variables).await;
        if checked != served {
            wrong.push(format!("{toml}\ncheck {checked:#?}\nserve {served:#?}"));
        } else if !said.is_what(&checked) {
            wrong.push(format!("{toml}\n{checked:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

impl Said {
    fn is_what(&self, told: &Verdict) -> bool {
        let all = |lines: &BTreeSet<String>| lines.iter().cloned().collect::<Vec<_>>().join("\n");
        let problems = all(&told.problems);
        match self {
            Nothing => told.sound && told.warnings.is_empty() && told.notes.is_empty(),
            Warning(words) => told.sound && all(&told.warnings).contains(words),
            Note(words) => told.sound && all(&told.notes).contains(words),
            // What is allowed is said as well.
            Problems(words) => {
                !told.sound
                    && words.iter().all(|words| problems.contains(words))
                    && problems.lines().all(|line| line.contains("; "))
            }
        }
    }
}

/// Who looks whether the configuration is sound has the gateway running, mostly.
#[tokio::test]
async fn a_port_that_is_taken_stops_a_start_and_is_a_warning_of_check() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let taken = TcpListener::bind(own()).unwrap();
    let addr = taken.local_addr().unwrap();
    write(
        folder,
        "gateway.toml",
        &format!("listen.https = '{addr}'\n"),
        0o644,
    );
    let variables = &anywhere()[1..];
    let told = format!(
        "gateway.toml:1: listen.https: can't listen on {addr}: Address already in use (os error 98); unless it is this \
         gateway, stop what listens there, or write another port"
    );
    assert_eq!(
        check(folder, variables).await,
        Verdict::of(true, &format!("warning: {told}"))
    );
    assert_eq!(serve(folder, variables).await, Verdict::of(false, &told));
}
