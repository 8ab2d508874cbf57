//! Which commit is built, and how, for `--version`.
//!
//! `GATEWAY_COMMIT` names it where there is no repository, as in a package's build. A build for development does not ask
//! git: it would be made anew after each commit.

use std::{env, process::Command};

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build by variables, long before there is a command line"
)]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=GATEWAY_COMMIT");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let profile = variable("PROFILE");
    let commit = match variable("GATEWAY_COMMIT") {
        named if !named.is_empty() => named,
        _ if profile == "release" => of_repository().unwrap_or_else(|| "no commit known".to_owned()),
        _ => "for development".to_owned(),
    };
    let target = variable("TARGET");
    // Not with the prefix of the configuration's variables: cargo sets it for what it runs, too.
    println!("cargo::rustc-env=GATEWAY_BUILD={commit}, {profile}, {target}");
}

fn of_repository() -> Option<String> {
    for name in ["HEAD", "logs/HEAD"] {
        if let Some(path) = git(&["rev-parse", "--git-path", name]) {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "--short=12", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let text = text.trim();
    (output.status.success() && !text.is_empty()).then(|| text.to_owned())
}
