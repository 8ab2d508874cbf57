//! Optimised builds are compiled with the profile of their compiler, and everything else as it was asked for.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

/// What a compiler that calls itself so is given for these arguments, where there is a profile for 1.95.0.
fn given(compiler: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/profile/rustc");
    fs::copy(ours, folder.join("rustc")).unwrap();
    fs::write(folder.join("1.95.0.profdata"), "").unwrap();
    let script =
        format!("#!/bin/sh\nif [ \"$1\" = --version ]; then echo '{compiler}'; else echo \"$@\"; fi\n");
    fs::write(folder.join("compiler"), script).unwrap();
    fs::set_permissions(folder.join("compiler"), fs::Permissions::from_mode(0o755)).unwrap();
    let told = Command::new(folder.join("rustc"))
        .arg(folder.join("compiler"))
        .args(arguments)
        .output()
        .unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    told.trim().replace(folder.to_str().unwrap(), "HERE")
}

#[test]
fn what_is_optimised_gets_the_profile_of_its_compiler() {
    let released = "rustc 1.95.0 (59807616e 2026-04-14)";
    let optimised = ["--crate-name", "a", "-C", "opt-level=3"];
    assert_eq!(
        given(released, &optimised),
        "--crate-name a -C opt-level=3 -Cprofile-use=HERE/1.95.0.profdata -Cllvm-args=-no-pgo-warn-mismatch"
    );
    let plain = "--crate-name a -C opt-level=3";
    assert_eq!(given("rustc 1.96.0 (0123456789 2026-05-28)", &optimised), plain);
    assert_eq!(
        given("rustc 1.95.0-nightly (0123456789 2026-02-28)", &optimised),
        plain
    );
    let packaged = format!("{released} (built from a source tarball)");
    assert_eq!(given(&packaged, &optimised), plain);
    assert_eq!(given(released, &["--crate-name", "a"]), "--crate-name a");
}

/// As `CARGO_BIN_EXE_plugnmeet-gateway` does, by which tests find the program.
#[test]
fn variables_reach_the_compiler_whatever_their_names_are() {
    assert_eq!(
        option_env!("CARGO_BIN_EXE_plugnmeet-gateway").map(str::is_empty),
        Some(false)
    );
}
