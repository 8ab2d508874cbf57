//! What can be asked of a configuration without a running gateway.

use serde_json::{Value, json};

use super::told;
use crate::support::{
    binary::{anywhere, run},
    folder_of,
};

#[tokio::test]
async fn check_tells_programs_all_that_is_wrong_on_one_line() {
    let folder = folder_of(&[
        ("gateway.toml", "[limits]\nuser = '0/min'\n"),
        ("broken.toml", "[limits\n"),
        ("good.toml", "[plugnmeet]\nsecret = 'short'\n"),
    ]);
    let check = |file: &'static str| {
        let folder = &folder;
        async move {
            let arguments = ["check", "--json", "--config", file];
            let (status, line, errors) = told(&run(folder.path(), &arguments, &anywhere()).await);
            assert_eq!((line.lines().count(), errors.as_str()), (1, ""), "{line}");
            (status, serde_json::from_str::<Value>(&line).unwrap())
        }
    };
    let (status, said) = check("gateway.toml").await;
    assert_eq!((status, &said["sound"]), (1, &json!(false)));
    assert_eq!(
        said["problems"],
        json!([{
            "file": "gateway.toml",
            "line": 2,
            "key": "limits.user",
            "found": "\"0/min\" would refuse every request",
            "allowed": "write 1/min or more",
        }])
    );
    let (status, said) = check("broken.toml").await;
    assert_eq!((status, &said["problems"][0]["line"]), (1, &json!(1)));
    let (status, said) = check("good.toml").await;
    assert_eq!(
        (status, &said["sound"], &said["problems"]),
        (0, &json!(true), &json!([]))
    );
    let warning = said["warnings"][0].as_str().unwrap();
    assert!(
        warning.starts_with("good.toml:2: plugnmeet.secret: is only 5 bytes long"),
        "{said}"
    );
}

#[tokio::test]
async fn config_show_has_the_origin_of_each_value_and_no_secret() {
    let folder = folder_of(&[("gateway.toml", "[limits]\nuser = '5/min'\n")]);
    let variables = [
        ("PLUGNMEET__SECRET", "hidden-value-0123456789abcdef0123"),
        ("HOSTS", "a.example"),
    ];
    let arguments = ["config", "show", "--config", "gateway.toml"];
    let (status, shown, errors) = told(&run(folder.path(), &arguments, &variables).await);
    assert_eq!(status, 0, "{errors}");
    for line in [
        "user = \"5/min\"  # gateway.toml:2",
        "room = \"1200/min\"  # default",
        "hosts = [\"a.example\"]  # environment: PNM_GATEWAY__HOSTS",
        "secret = \"***\"  # environment: PNM_GATEWAY__PLUGNMEET__SECRET",
    ] {
        assert!(
            shown.lines().any(|shown| shown == line),
            "{line} is not in\n{shown}"
        );
    }
    assert!(!(shown + &errors).contains("hidden-value"));
    let (status, shown, errors) = told(&run(folder.path(), &arguments, &[("LIMITS__USER", "x")]).await);
    assert_eq!((status, shown.as_str()), (1, ""));
    assert!(errors.contains("limits.user"), "{errors}");
}

#[tokio::test]
async fn explain_tells_where_a_request_goes_and_asks_nobody() {
    let folder = folder_of(&[]);
    let variables = [
        ("PUBLIC_ORIGIN", "https://conf.example.org"),
        ("UPSTREAMS__NATS", "http://127.0.0.1:8222"),
    ];
    let of = |url: &'static str| {
        let (folder, variables) = (folder.path(), &variables);
        async move { run(folder, &["explain", url], variables).await }
    };
    let (status, said, _) = told(&of("https://conf.example.org/ws?a=hidden-value").await);
    assert_eq!(status, 0);
    assert!(said.contains("upstreams.nats: http://127.0.0.1:8222"), "{said}");
    assert!(
        said.contains("GET /ws, with a") && !said.contains("hidden-value"),
        "{said}"
    );
    let (_, said, _) = told(&of("https://192.0.2.7/").await);
    assert!(said.contains("public_origin and hosts do not name it"), "{said}");
    assert_eq!(told(&of("no address").await).0, 1);
}

#[tokio::test]
async fn the_version_names_its_commit_and_its_build() {
    let folder = folder_of(&[]);
    let (status, said, _) = told(&run(folder.path(), &["--version"], &[]).await);
    assert_eq!(status, 0);
    let rest = said.strip_prefix("plugnmeet-gateway ").unwrap();
    let (version, build) = rest.trim_end().split_once(" (").unwrap();
    assert_eq!(version, env!("CARGO_PKG_VERSION"));
    let parts: Vec<_> = build.trim_end_matches(')').split(", ").collect();
    assert_eq!(parts.len(), 3, "{said}");
    assert!(
        ["debug", "release"].contains(&parts[1]) && parts[2].contains("linux"),
        "{said}"
    );
}
