//! What is at such an address, and what the page says of it.

use super::{
    ASK_AGAIN, FOR_GOOD, LAZY_STYLE, LOCALE, MAIN, STYLE, UNKNOWN, VENDOR, build, config_of, gateway, page,
    release_of, seen, write,
};

#[tokio::test]
async fn the_page_names_by_the_release_what_has_no_hash_in_its_name() {
    let client = tempfile::tempdir().unwrap();
    write(client.path(), "1");
    for (toml, mount) in [("", "/conference"), ("client.mount = '/'", "")] {
        let gateway = gateway(client.path(), toml).await;
        let page = page(&gateway, mount).await;
        let html = page.text();
        let release = release_of(&html);
        let config = config_of(&html);
        let by_release = format!("{mount}/r/{release}");
        // Nothing else of the page has changed.
        let expected = build("1")[0]
            .1
            .replace("<head>", &format!("<head><base href=\"{mount}/\">"))
            .replace("./assets/imgs", &format!("{by_release}/assets/imgs"))
            .replace("./assets/config.js", config)
            .replace(&format!("./{STYLE}"), &format!("{by_release}/{STYLE}"))
            // The one for which a script looks can be found by its name, too.
            .replace(
                &format!("./{LAZY_STYLE}\">"),
                &format!(
                    "{by_release}/{LAZY_STYLE}\"><link rel=\"stylesheet\" href=\"{mount}/{LAZY_STYLE}\" disabled>"
                ),
            );
        assert_eq!(html, expected);
        let hash = config.strip_prefix(&format!("{by_release}/assets/config."));
        assert_eq!(hash.unwrap().len(), UNKNOWN.len() + ".js".len(), "{config}");
        // What is told ahead is what the page asks for, or it would come twice.
        let link = [
            format!("<{by_release}/{LAZY_STYLE}>; rel=preload; as=style; crossorigin"),
            format!("<{by_release}/{STYLE}>; rel=preload; as=style; crossorigin"),
            format!("<{config}>; rel=preload; as=script"),
            format!("<{mount}/{MAIN}>; rel=modulepreload; crossorigin"),
            format!("<{mount}/{VENDOR}>; rel=modulepreload; crossorigin"),
        ];
        assert_eq!(page.header("link"), Some(&*link.join(", ")));
        for address in [config.to_owned(), format!("{by_release}/{STYLE}")] {
            let answer = gateway.get(&address, &[]).await;
            assert_eq!((answer.status, answer.header("cache-control")), (200, FOR_GOOD));
        }
    }
}

#[tokio::test]
async fn every_file_of_the_build_may_be_kept_for_good_there() {
    let client = tempfile::tempdir().unwrap();
    write(client.path(), "1");
    let gateway = gateway(client.path(), "").await;
    let html = page(&gateway, "/conference").await.text();
    let release = release_of(&html);
    for (name, content) in build("1") {
        if ["index.html", "login.html", "assets/config.js"].contains(&name) {
            continue;
        }
        let by_name = gateway.get(&format!("/conference/{name}"), &[]).await;
        let path = format!("/conference/r/{release}/{name}");
        let by_release = gateway.get(&path, &[]).await;
        assert_eq!(seen(&by_release), (200, FOR_GOOD, content), "{name}");
        // All else is as it is by the name alone.
        let (mut expected, mut found) = (by_name.headers, by_release.headers);
        let etag = found["etag"].to_str().unwrap().to_owned();
        for headers in [&mut expected, &mut found] {
            headers.remove("cache-control");
            headers.remove("date");
        }
        assert_eq!(found, expected, "{name}");
        assert_eq!(found["access-control-allow-origin"], "*");
        let again = gateway.get(&path, &[("If-None-Match", &etag)]).await;
        assert_eq!(seen(&again), (304, FOR_GOOD, String::new()), "{name}");
    }
    let path = format!("/conference/r/{release}/{LOCALE}");
    let part = gateway.get(&path, &[("Range", "bytes=2-8")]).await;
    assert_eq!(seen(&part), (206, FOR_GOOD, "version".to_owned()));
    let none = gateway.get(&path, &[("Range", "bytes=99-")]).await;
    assert_eq!((none.status, none.header("cache-control")), (416, None));
    let client = gateway.client();
    let head = client.request("HEAD", &path, &[], b"").await;
    assert_eq!(seen(&head), (200, FOR_GOOD, String::new()));
    let post = client.request("POST", &path, &[], b"x").await;
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
    let preflight = [
        ("Origin", "https://lms.example.org"),
        ("Access-Control-Request-Method", "GET"),
    ];
    let answer = client.request("OPTIONS", &path, &preflight, b"").await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (204, Some("*"))
    );
}

#[tokio::test]
async fn a_name_without_a_release_is_kept_as_ever() {
    let client = tempfile::tempdir().unwrap();
    write(client.path(), "1");
    let gateway = gateway(client.path(), "").await;
    for (name, keep) in [
        (MAIN, FOR_GOOD),
        (STYLE, FOR_GOOD),
        (LOCALE, ASK_AGAIN),
        ("assets/fonts/a.woff2", ASK_AGAIN),
        ("assets/config.js", ASK_AGAIN),
    ] {
        for folder in ["/conference", ""] {
            let answer = gateway.get(&format!("{folder}/{name}"), &[]).await;
            assert_eq!(
                (answer.status, answer.header("cache-control")),
                (200, keep),
                "{name}"
            );
        }
    }
    let config = gateway.get("/conference/assets/config.js", &[]).await.text();
    assert!(
        config.contains("\"staticAssetsPath\":\"/conference/assets\""),
        "{config}"
    );
}

#[tokio::test]
async fn config_js_is_there_by_its_hash_and_leads_to_the_release() {
    let client = tempfile::tempdir().unwrap();
    write(client.path(), "1");
    let gateway = gateway(client.path(), "").await;
    let html = page(&gateway, "/conference").await.text();
    let release = release_of(&html);
    let expected = format!(
        "window.plugNmeetConfig = {{\"serverUrl\":\"{}\",\
         \"staticAssetsPath\":\"/conference/r/{release}/assets\",\"own\":1}};\n",
        gateway.origin()
    );
    let found = gateway.get(config_of(&html), &[]).await;
    assert_eq!(seen(&found), (200, FOR_GOOD, expected.clone()));
    // Another replica may have another configuration for a while: its pages need one all the same.
    let of_another = format!("/conference/r/{release}/assets/config.{UNKNOWN}.js");
    let found = gateway.get(&of_another, &[]).await;
    assert_eq!(seen(&found), (200, ASK_AGAIN, expected));
    // The hash of the release says nothing of it.
    let unhashed = format!("/conference/r/{release}/assets/config.js");
    let found = gateway.get(&unhashed, &[]).await;
    let by_name = gateway.get("/conference/assets/config.js", &[]).await.text();
    assert_eq!(seen(&found), (200, ASK_AGAIN, by_name));
}

#[tokio::test]
async fn the_operators_own_config_js_keeps_its_text() {
    let client = tempfile::tempdir().unwrap();
    write(client.path(), "1");
    let own = "window.plugNmeetConfig = { staticAssetsPath: './assets' }; // own";
    let file = client.path().join("own.js");
    std::fs::write(&file, own).unwrap();
    let toml = format!("client.config_file = '{}'", file.display());
    let gateway = gateway(client.path(), &toml).await;
    let html = page(&gateway, "/conference").await.text();
    let found = gateway.get(config_of(&html), &[]).await;
    assert_eq!(seen(&found), (200, FOR_GOOD, own.to_owned()));
}

#[tokio::test]
async fn where_the_files_are_elsewhere_the_client_looks_there() {
    let client = tempfile::tempdir().unwrap();
    write(client.path(), "1");
    let cdn = "[client.config]\nstaticAssetsPath = 'https://cdn.example.net/assets'";
    let gateway = gateway(client.path(), cdn).await;
    let html = page(&gateway, "/conference").await.text();
    let found = gateway.get(config_of(&html), &[]).await.text();
    assert!(
        found.contains("\"staticAssetsPath\":\"https://cdn.example.net/assets\""),
        "{found}"
    );
}

/// The client asks for `en-US` before `en` at every visit.
#[tokio::test]
async fn that_a_release_has_no_such_file_may_be_kept_too() {
    let client = tempfile::tempdir().unwrap();
    write(client.path(), "1");
    let gateway = gateway(client.path(), "").await;
    let html = page(&gateway, "/conference").await.text();
    let path = format!(
        "/conference/r/{}/assets/locales/en-US/translation.json",
        release_of(&html)
    );
    for accept in ["text/html", "*/*"] {
        let answer = gateway.get(&path, &[("Accept", accept)]).await;
        assert_eq!(seen(&answer), (404, FOR_GOOD, String::new()));
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    }
    let post = gateway.post(&path, &[], b"x").await;
    assert_eq!(
        (post.status, post.header("cache-control")),
        (405, Some("no-store"))
    );
}

#[tokio::test]
async fn of_a_release_that_is_not_known_here_the_newest_is_served_and_nobody_keeps_it() {
    let client = tempfile::tempdir().unwrap();
    write(client.path(), "1");
    let gateway = gateway(client.path(), "").await;
    let html = page(&gateway, "/conference").await.text();
    for name in [MAIN, STYLE, LOCALE, "assets/config.js"] {
        let by_name = gateway.get(&format!("/conference/{name}"), &[]).await.text();
        let path = format!("/conference/r/{UNKNOWN}/{name}");
        let found = gateway.get(&path, &[]).await;
        assert_eq!(seen(&found), (200, ASK_AGAIN, by_name), "{name}");
    }
    let config = gateway.get(config_of(&html), &[]).await.text();
    let path = format!("/conference/r/{UNKNOWN}/assets/config.{UNKNOWN}.js");
    assert_eq!(seen(&gateway.get(&path, &[]).await), (200, ASK_AGAIN, config));
    for path in ["assets/locales/en-US/translation.json", "assets/js/main.js", "x"] {
        let answer = gateway.get(&format!("/conference/r/{UNKNOWN}/{path}"), &[]).await;
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (404, Some("no-store")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn neither_a_page_nor_anything_by_a_trick_is_there() {
    let client = tempfile::tempdir().unwrap();
    write(client.path(), "1");
    let gateway = gateway(client.path(), "upstreams.expose = ['login']").await;
    let html = page(&gateway, "/conference").await.text();
    let release = release_of(&html).to_owned();
    for release in [release.as_str(), UNKNOWN] {
        for name in ["", "index.html", "login.html", "%6cogin.html", "s/", "r/", ".env"] {
            for accept in ["text/html", "*/*"] {
                let path = format!("/conference/r/{release}/{name}");
                let answer = gateway.get(&path, &[("Accept", accept)]).await;
                assert_eq!(answer.status, 404, "{path}");
                let text = answer.text();
                assert!(!text.contains("<title>1") && !text.contains("secret?"), "{text}");
            }
        }
    }
    for path in [
        format!("/conference/r/{release}"),
        "/conference/r/".to_owned(),
        format!("/conference/r/x/{LOCALE}"),
        format!("/conference/R/{release}/{LOCALE}"),
        format!("/conference/r/{release}/r/{release}/{LOCALE}"),
        // Only `assets` is at the root too.
        format!("/r/{release}/{LOCALE}"),
        format!("/assets/r/{release}/{LOCALE}"),
    ] {
        assert_eq!(gateway.get(&path, &[]).await.status, 404, "{path}");
    }
    for path in [
        format!("/conference/r/{release}/../{LOCALE}"),
        format!("/conference/r/{release}/%2e%2e/{LOCALE}"),
        format!("/conference/r/{release}%2f{LOCALE}"),
        format!("/conference/r/{release}//{LOCALE}"),
        format!("/conference/r/{release}/assets/%zz"),
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let answer = gateway.client().send_raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path} {answer}");
    }
    let spelled = format!("/conference/%72/{release}/assets/locales/en/tr%61nslation.json");
    let answer = gateway.get(&spelled, &[]).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, FOR_GOOD));
}
