//! Tables of any depth: what is wrong with them, in the file and in the environment.

use super::{parse, told, variables};
use crate::config::{Config, rows};

fn of_variables(pairs: &[(&str, &str)]) -> Config {
    Config::parse("", "gateway.toml", &variables(pairs)).unwrap()
}

#[test]
fn a_caller_can_come_from_the_environment_alone() {
    let config = of_variables(&[
        ("PNM_GATEWAY__CALLERS__0__NAME", "moodle"),
        ("PNM_GATEWAY__CALLERS__0__API_KEY", "k"),
        (
            "PNM_GATEWAY__CALLERS__0__SECRET",
            "0123456789abcdef0123456789abcdef",
        ),
        ("PNM_GATEWAY__CALLERS__0__ROOMS", "a,b-*"),
        ("PNM_GATEWAY__CALLERS__0__LIMITS__USER", "5/min"),
        ("PNM_GATEWAY__CALLERS__0__ENABLED", "false"),
        ("PNM_GATEWAY__DESIGNS__DARK__PRIMARY_COLOR", "#000000"),
        ("PNM_GATEWAY__HEADERS__CSP_SOURCES__IMG_SRC", "https:"),
        ("PNM_GATEWAY__CLIENT__CONFIG__ENABLESIMULCAST", "true"),
        ("PNM_GATEWAY__CLIENT__CONFIG__VIDEOCODEC", "vp9"),
    ]);
    let caller = &config.callers[0];
    assert_eq!(caller.settings.name, "moodle");
    assert_eq!(caller.settings.rooms, ["a", "b-*"]);
    assert!(!caller.settings.enabled && caller.limits.user.is_some());
    assert!(config.designs.contains_key("dark"));
    assert_eq!(config.client.config["enableSimulcast"], true);
    assert_eq!(config.client.config["videoCodec"], "vp9");
    let whole = of_variables(&[(
        "PNM_GATEWAY__CALLERS",
        "[{ name = 'a', api_key = 'k', secret = '0123456789abcdef0123456789abcdef' }]",
    )]);
    assert_eq!(whole.callers[0].settings.name, "a");
}

#[test]
fn a_variable_wins_over_a_key_of_a_table_in_the_file() {
    let text = "[[callers]]\nname = 'a'\napi_key = 'k'\nsecret = '0123456789abcdef0123456789abcdef'\n\
                [client.config]\nenableSimulcast = false\nmyOwn = 1\n";
    let pairs = [
        ("PNM_GATEWAY__CALLERS__0__API_KEY", "other"),
        ("PNM_GATEWAY__CLIENT__CONFIG__ENABLESIMULCAST", "true"),
    ];
    let config = Config::parse(text, "gateway.toml", &variables(&pairs)).unwrap();
    assert_eq!(config.callers[0].settings.api_key, "other");
    assert_eq!(config.client.config["enableSimulcast"], true);
    assert_eq!(config.client.config["myOwn"], 1);
}

#[test]
fn a_variable_that_is_no_key_is_told() {
    for (name, allowed) in [
        (
            "PNM_GATEWAY_LIMITS__USER",
            "perhaps PNM_GATEWAY__LIMITS__USER is meant",
        ),
        (
            "PNM_GATEWAY__LIMITS_USER",
            "perhaps PNM_GATEWAY__LIMITS__USER is meant",
        ),
        (
            "PNM_GATEWAY__CALLERS__0__NAMES",
            "perhaps PNM_GATEWAY__CALLERS__0__NAME is meant",
        ),
        ("PNM_GATEWAY__LIMITS__USER__X", "write PNM_GATEWAY__SECTION__KEY"),
        ("PNM_GATEWAY", "write PNM_GATEWAY__SECTION__KEY"),
    ] {
        let begins = format!("environment: {name}: is no variable of the gateway; {allowed}");
        let told = told("limits.user = '1/min'", &[(name, "1/min")]);
        assert!(told.iter().any(|line| line.starts_with(&begins)), "{told:?}");
    }
    let told = told("", &[("PNM_GATEWAY__CLIENT__CONFIG__MYOWN", "1")]);
    assert!(
        told[0].starts_with(
            "environment: PNM_GATEWAY__CLIENT__CONFIG__MYOWN: client.config.myown: is not known by name, and variables \
             have no case; keys that a variable can have by name are customLogo,"
        ),
        "{told:?}"
    );
}

#[test]
fn near_names_are_suggested_in_tables_of_any_depth() {
    for (text, near) in [
        (
            "[[callers]]\nrom = ['a']",
            "perhaps callers.rooms is meant: [[callers]] has name, api_key,",
        ),
        (
            "[[callers]]\nlimits.usr = '1/min'",
            "perhaps callers.limits.user is meant: limits has user, room, caller",
        ),
        (
            "[designs.a]\nprimery_color = 'red'",
            "perhaps primary_color is meant: a design has primary_color,",
        ),
        (
            "[headers.csp_sources]\nimg-scr = []",
            "perhaps img-src is meant: write default-src,",
        ),
    ] {
        let told = told(text, &[]);
        assert!(told.iter().any(|line| line.contains(near)), "{text}: {told:?}");
    }
}

/// With a default in place of a refused value, the modules can check all other values too.
#[test]
fn a_refused_value_leaves_its_default() {
    let config = Config::draft_of("limits.user = '0/min'\ntls.certs = ''\n", "gateway.toml", &[]).unwrap();
    assert!(!config.is_sound() && config.is_refused(&["tls.certs"]));
    assert_eq!(config.tls.certs, std::path::Path::new("certs"));
    assert_eq!(config.limits.rates, parse("").unwrap().limits.rates);
    assert_eq!(config.refused.len(), 2);
}

#[test]
fn redis_can_be_named_in_a_file_of_its_own() {
    use std::{fs::Permissions, os::unix::fs::PermissionsExt};
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redis");
    std::fs::write(&file, "redis://:hunter2@127.0.0.1:6379\n").unwrap();
    std::fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let config = parse(&format!("limits.store_file = '{}'", file.display())).unwrap();
    assert!(matches!(
        config.limits.store,
        crate::limits::StoreSettings::Redis(_)
    ));
    std::fs::write(&file, "redis://:hunter2").unwrap();
    let told = told(&format!("limits.store_file = '{}'", file.display()), &[]);
    assert_eq!(
        told,
        [
            "gateway.toml:1: limits.store_file: \"redis://***\" has no host that could be called; name a readable file that \
          holds the address of Redis"
        ]
    );
}

#[test]
fn every_key_has_a_variable_and_a_line_of_documentation() {
    for row in rows() {
        assert!(row.variable.starts_with("PNM_GATEWAY__"), "{row:?}");
        let of_another = ["callers.limits.", "designs.NAME.", "headers.csp_sources."];
        if !of_another.iter().any(|table| row.key.starts_with(table)) {
            assert!(row.doc.ends_with(['.', '?']), "{row:?}");
        }
    }
}
