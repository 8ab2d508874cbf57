//! What HTTP says of files that have several forms, case by case, over real sockets.
//!
//! Sources: RFC 9110 (the section of each case stands beside it), RFC 9111 section 4.1.

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{
    Gateway,
    client::Answer,
    folder_of,
    node::{run_node, trust},
};

const SCRIPT: &str = "/conference/assets/js/main-module.Cq0qsXkl.js";
const PICTURE: &str = "/conference/assets/imgs/a.png";
const SMALL: &str = "/conference/small.txt";
const CODINGS: [&str; 3] = ["br", "zstd", "gzip"];

fn script() -> String {
    let line = |n| format!("export const v{n} = () => import('./c{}.js');\n", n * 7 % 97);
    (0..400).map(line).collect::<Vec<_>>().concat()
}

fn client() -> TempDir {
    folder_of(&[
        (
            "index.html",
            &format!(
                "<!doctype html><html><head><script type=module crossorigin src=.{}></script>{}</head></html>",
                SCRIPT.trim_start_matches("/conference"),
                "<!-- -->".repeat(99)
            ),
        ),
        ("assets/js/main-module.Cq0qsXkl.js", &script()),
        ("assets/imgs/a.png", &"picture".repeat(100)),
        ("small.txt", "0123456789"),
    ])
}

/// A gateway that has made all codings.
async fn gateway() -> Gateway {
    let folder = client();
    let gateway = Gateway::with(&format!("client.path = '{}'", folder.path().display())).await;
    for coding in CODINGS {
        while gateway
            .get(SCRIPT, &[("Accept-Encoding", coding)])
            .await
            .header("content-encoding")
            != Some(coding)
        {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    gateway
}

fn coding(answer: &Answer) -> Option<&str> {
    answer.header("content-encoding")
}

async fn etag(gateway: &Gateway, accept: &str) -> String {
    let answer = gateway.get(SCRIPT, &[("Accept-Encoding", accept)]).await;
    answer.header("etag").unwrap().to_owned()
}

#[tokio::test]
async fn every_coding_is_undone_by_somebody_elses_decoder() {
    let gateway = gateway().await;
    let trust = trust(&gateway.certificate(), gateway.https);
    let hash = digest(&SHA256, script().as_bytes());
    let expected: Vec<_> = hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let expected = expected.concat();
    for coding in CODINGS {
        let ask =
            json!({"url": format!("{}{SCRIPT}", gateway.origin()), "headers": {"accept-encoding": coding}});
        let seen = run_node("fetch.mjs", &ask, &trust).await;
        assert_eq!(seen["status"], 200, "{seen}");
        assert_eq!(seen["headers"]["content-encoding"], coding, "{seen}");
        assert_eq!(seen["headers"]["vary"], "Accept-Encoding", "{seen}");
        assert_eq!(
            seen["headers"]["content-length"],
            seen["coded"].to_string(),
            "{seen}"
        );
        assert!(seen["coded"].as_u64() < Some(script().len() as u64 / 3), "{seen}");
        assert_eq!(seen["sha256"], expected, "{seen}");
    }
}

/// Section 12.5.3.
#[tokio::test]
async fn the_coding_is_the_most_welcome_one() {
    let gateway = gateway().await;
    let mut lens = Vec::new();
    for coding in CODINGS {
        lens.push((
            gateway
                .get(SCRIPT, &[("Accept-Encoding", coding)])
                .await
                .body
                .len(),
            coding,
        ));
    }
    let smallest = lens.iter().min().unwrap().1;
    for (accept, expected) in [
        (&[][..], None),
        (&["gzip, deflate, br, zstd"], Some(smallest)),
        (&["gzip", "br;q=0, zstd;q=0"], Some("gzip")),
        (&["GZIP"], Some("gzip")),
        (&["x-gzip"], Some("gzip")),
        (&["br;q=0.2, gzip;q=0.8"], Some("gzip")),
        (&["zstd;q=1.0, *;q=0.5"], Some("zstd")),
        (&["*"], Some(smallest)),
        (&["identity"], None),
        (&["identity, gzip;q=0.9"], None),
        (&["identity;q=0, gzip"], Some("gzip")),
        // Nothing that we have: as it is, which can be read at least.
        (&["identity;q=0"], None),
        (&["*;q=0"], None),
        (&["deflate"], None),
        (&["gzip;q=2"], None),
        (&[""], None),
    ] {
        let headers: Vec<_> = accept.iter().map(|value| ("Accept-Encoding", *value)).collect();
        let answer = gateway.get(SCRIPT, &headers).await;
        assert_eq!((answer.status, coding(&answer)), (200, expected), "{accept:?}");
        // RFC 9111 section 4.1: a cache has to know that it could have been otherwise.
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{accept:?}");
        assert_eq!(
            answer.header("content-length").unwrap(),
            answer.body.len().to_string()
        );
    }
}

#[tokio::test]
async fn what_has_one_form_does_not_vary() {
    let gateway = gateway().await;
    for path in [PICTURE, SMALL, "/conference/assets/config.js"] {
        let answer = gateway.get(path, &[("Accept-Encoding", "gzip, br, zstd")]).await;
        assert_eq!(
            (answer.status, coding(&answer), answer.header("vary")),
            (200, None, None),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_page_has_its_forms_too() {
    let gateway = gateway().await;
    let session = format!("pnm_access_token={}", gateway.token("room01", "ann"));
    let path = format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"));
    let ask_by = async |accept, more: &[(&str, &str)]| {
        let headers = [&[("Cookie", session.as_str()), ("Accept-Encoding", accept)], more].concat();
        gateway.get(&path, &headers).await
    };
    let ask = async |accept| ask_by(accept, &[]).await;
    let plain = ask("identity").await;
    while coding(&ask("br").await).is_none() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let coded = ask("br").await;
    assert!(coded.body.len() < plain.body.len() / 3);
    assert_ne!(coded.header("etag"), plain.header("etag"));
    for answer in [&plain, &coded] {
        assert_eq!(answer.header("vary"), Some("Accept-Encoding, Sec-CH-UA"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
        // What it needs first, before a byte of it is read.
        let link = format!("<{SCRIPT}>; rel=modulepreload; crossorigin");
        assert_eq!(answer.header("link"), Some(link.as_str()));
    }
    // To what is built from Chromium a module is announced as a script. The page is the same.
    let by_chromium = [("Sec-CH-UA", r#""Chromium";v="140", "Not=A?Brand";v="24""#)];
    let told = ask_by("identity", &by_chromium).await;
    let link = format!("<{SCRIPT}>; rel=preload; as=script; crossorigin");
    assert_eq!(told.header("link"), Some(link.as_str()));
    for name in ["etag", "vary", "cache-control"] {
        assert_eq!(told.header(name), plain.header(name), "{name}");
    }
    assert_eq!(told.body, plain.body);
    let again = [
        &by_chromium[..],
        &[("If-None-Match", plain.header("etag").unwrap())],
    ]
    .concat();
    let again = ask_by("identity", &again).await;
    // What the browser has may be what another one was told.
    for name in ["vary", "link"] {
        assert_eq!(
            (again.status, again.header(name)),
            (304, told.header(name)),
            "{name}"
        );
    }
}

/// Sections 8.8.3.3, 9.3.2.
#[tokio::test]
async fn each_form_has_a_strong_tag_of_its_own_and_head_has_it_too() {
    let gateway = gateway().await;
    let mut tags = Vec::new();
    for accept in ["identity", "br", "zstd", "gzip"] {
        let headers = [("Accept-Encoding", accept)];
        let (mut get, mut head) = (
            gateway.get(SCRIPT, &headers).await,
            gateway.client().request("HEAD", SCRIPT, &headers, b"").await,
        );
        for answer in [&mut get, &mut head] {
            answer.headers.remove("date");
        }
        assert_eq!(
            (head.status, &head.headers, head.body.len()),
            (200, &get.headers, 0)
        );
        tags.push(get.header("etag").unwrap().to_owned());
    }
    assert!(tags.iter().all(|tag| tag.starts_with('"')), "{tags:?}");
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4);
}

/// Sections 13.1.1 to 13.1.4 and 13.2.2: the condition is about the form that would be sent.
#[tokio::test]
async fn conditions_are_about_the_form_that_would_be_sent() {
    let gateway = gateway().await;
    let (plain, gzip, br) = (
        etag(&gateway, "identity").await,
        etag(&gateway, "gzip").await,
        etag(&gateway, "br").await,
    );
    let (weak, several) = (format!("W/{gzip}"), format!("\"x\", {br}, {gzip}"));
    let dates = gateway.get(SCRIPT, &[]).await;
    let modified = dates.header("last-modified").unwrap();
    let (past, future) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Fri, 31 Dec 2100 23:59:59 GMT");
    let gzip = gzip.as_str();
    for (fields, status) in [
        (&[("If-None-Match", gzip)][..], 304),
        (&[("If-None-Match", &weak)], 304),
        (&[("If-None-Match", &several)], 304),
        (&[("If-None-Match", "*")], 304),
        (&[("If-None-Match", &plain)], 200),
        (&[("If-None-Match", &br)], 200),
        (
            &[("If-None-Match", "\"x\""), ("If-Modified-Since", modified)],
            200,
        ),
        (&[("If-None-Match", gzip), ("If-Modified-Since", past)], 304),
        (&[("If-Modified-Since", modified)], 304),
        (&[("If-Modified-Since", future)], 304),
        (&[("If-Modified-Since", past)], 200),
        (&[("If-Modified-Since", "soon")], 200),
        (&[("If-Match", gzip)], 200),
        (&[("If-Match", "*")], 200),
        (&[("If-Match", &weak)], 412),
        (&[("If-Match", &plain)], 412),
        (&[("If-Match", gzip), ("If-None-Match", gzip)], 304),
        (&[("If-Unmodified-Since", modified)], 200),
        (&[("If-Unmodified-Since", past)], 412),
        (&[("If-Match", gzip), ("If-Unmodified-Since", past)], 200),
    ] {
        let headers = [fields, &[("Accept-Encoding", "gzip")]].concat();
        for method in ["GET", "HEAD"] {
            let answer = gateway.client().request(method, SCRIPT, &headers, b"").await;
            assert_eq!(answer.status, status, "{method} {fields:?}");
            assert_eq!(
                answer.header("vary"),
                Some("Accept-Encoding"),
                "{method} {fields:?}"
            );
            if status == 304 {
                assert_eq!(answer.header("etag"), Some(gzip), "{fields:?}");
                assert_eq!(coding(&answer), None, "{fields:?}");
                assert!(answer.body.is_empty());
            }
        }
    }
}

/// Sections 13.1.5, 14.2, 15.3.7: a part is of the form that the client says it has, else of the file as it is.
#[tokio::test]
async fn a_part_is_of_the_form_that_the_client_has() {
    let gateway = gateway().await;
    let whole = gateway.get(SCRIPT, &[("Accept-Encoding", "gzip")]).await;
    let (plain, gzip) = (etag(&gateway, "identity").await, etag(&gateway, "gzip").await);
    let modified = whole.header("last-modified").unwrap();
    let script = script();
    let part = ("Range", "bytes=10-19");
    for (fields, status, form) in [
        (&[part][..], 206, None),
        (&[part, ("Accept-Encoding", "gzip")], 206, None),
        (&[part, ("Accept-Encoding", "identity;q=1, *;q=0")], 206, None),
        (
            &[part, ("Accept-Encoding", "gzip, identity;q=0")],
            206,
            Some("gzip"),
        ),
        (
            &[part, ("Accept-Encoding", "gzip"), ("If-Range", &gzip)],
            206,
            Some("gzip"),
        ),
        (
            &[part, ("Accept-Encoding", "gzip"), ("If-Range", &plain)],
            206,
            None,
        ),
        // It can't be had in that form: the whole, then.
        (&[part, ("If-Range", &gzip)], 200, None),
        (
            &[part, ("Accept-Encoding", "gzip"), ("If-Range", "\"x\"")],
            200,
            Some("gzip"),
        ),
        (
            &[
                part,
                ("Accept-Encoding", "gzip"),
                ("If-Range", &format!("W/{gzip}")),
            ],
            200,
            Some("gzip"),
        ),
        // A date does not say of which form the client has a part.
        (&[part, ("If-Range", modified)], 206, None),
        (
            &[part, ("Accept-Encoding", "gzip"), ("If-Range", modified)],
            200,
            Some("gzip"),
        ),
    ] {
        let answer = gateway.get(SCRIPT, fields).await;
        assert_eq!((answer.status, coding(&answer)), (status, form), "{fields:?}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        let bytes = if form.is_some() {
            &whole.body[..]
        } else {
            script.as_bytes()
        };
        assert_eq!(
            answer.header("etag").unwrap() == gzip,
            form.is_some(),
            "{fields:?}"
        );
        if status == 206 {
            assert_eq!(answer.body, bytes[10..20], "{fields:?}");
            let place = format!("bytes 10-19/{}", bytes.len());
            assert_eq!(answer.header("content-range"), Some(place.as_str()), "{fields:?}");
        } else {
            assert_eq!(answer.body, bytes, "{fields:?}");
            assert_eq!(answer.header("content-range"), None, "{fields:?}");
        }
    }
    let head = gateway.client().request("HEAD", SCRIPT, &[part], b"").await;
    assert_eq!((head.status, head.header("content-range")), (200, None));
}

/// Sections 14.6, 15.3.7.2, 15.5.17.
#[tokio::test]
async fn several_parts_come_in_one_answer() {
    let gateway = gateway().await;
    let script = script();
    let len = script.len();
    let answer = gateway
        .get(SCRIPT, &[("Range", "bytes=100-119, 0-4, -7, 999999-")])
        .await;
    assert_eq!((answer.status, answer.header("content-range")), (206, None));
    let boundary = answer
        .header("content-type")
        .and_then(|value| value.strip_prefix("multipart/byteranges; boundary="))
        .unwrap();
    let part = |from: usize, to: usize| {
        format!(
            "--{boundary}\r\nContent-Type: text/javascript; charset=utf-8\r\nContent-Range: bytes {from}-{to}/{len}\r\n\r\n{}\r\n",
            &script[from..=to]
        )
    };
    let parts = [
        part(100, 119),
        part(0, 4),
        part(len - 7, len - 1),
        format!("--{boundary}--\r\n"),
    ];
    assert_eq!(answer.text(), parts.concat());
    assert_eq!(
        answer.header("content-length").unwrap(),
        answer.body.len().to_string()
    );
    let over_h2 = gateway
        .client()
        .request_h2(
            "GET",
            SCRIPT,
            &[("Range", "bytes=100-119, 0-4, -7, 999999-")],
            b"",
        )
        .await;
    assert_eq!((over_h2.status, over_h2.text()), (206, parts.concat()));

    let answer = gateway
        .get(SCRIPT, &[("Range", "bytes=999999-, 1000000-1000001")])
        .await;
    let nowhere = format!("bytes */{len}");
    assert_eq!(
        (answer.status, answer.header("content-range")),
        (416, Some(nowhere.as_str()))
    );
    assert!(answer.body.is_empty());
}

/// Section 14.2: a short request can't ask for a long answer.
#[tokio::test]
async fn no_ranges_make_an_answer_much_longer_than_the_file() {
    let gateway = gateway().await;
    let len = script().len();
    let many: Vec<String> = (0..200).map(|n| format!("{n}-{n}")).collect();
    let sixteen: Vec<String> = (0..16).map(|n| format!("{0}-{0}", n * 2)).collect();
    for range in [
        "bytes=0-,0-,0-,0-".to_owned(),
        "bytes=0-99,50-149".to_owned(),
        format!("bytes={}", many.join(",")),
    ] {
        let answer = gateway.get(SCRIPT, &[("Range", &range)]).await;
        assert_eq!((answer.status, answer.body.len()), (200, len), "{range}");
    }
    let range = format!("bytes={}", sixteen.join(","));
    let answer = gateway.get(SCRIPT, &[("Range", &range)]).await;
    assert_eq!(answer.status, 206);
    assert!(answer.body.len() < len);
    // Of a file that is smaller than what stands around a part, too.
    let answer = gateway.get(SMALL, &[("Range", "bytes=0-1,5-6")]).await;
    assert_eq!(answer.status, 206);
    assert!(answer.body.len() < 400, "{}", answer.body.len());
}
