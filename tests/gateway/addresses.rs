//! Listeners with several addresses: all of them are served, told, handed over, and opened together or not at all.

use std::{
    fs,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::support::{
    addr::free_port,
    binary::{Serving, run},
    client::{Client, plain_get},
    folder_of,
};

/// On both of this machine's loopback addresses, at ports that the system chooses.
const BOTH: &str = "127.0.0.1:0, [::1]:0";

async fn started(folder: &Path, variables: &[(&str, &str)]) -> Serving {
    let variables = [&[("LOG__FORMAT", "json")], variables].concat();
    Serving::start(folder, &["serve"], &variables).await
}

async fn status(folder: &TempDir) -> Value {
    let said = run(folder.path(), &["status", "--json"], &[]).await;
    serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{error}: {said:?}"))
}

fn addresses(status: &Value, of: &str) -> Vec<SocketAddr> {
    let all = status["listeners"][of].as_array();
    let all = all.unwrap_or_else(|| panic!("{of} has not several addresses: {status}"));
    all.iter()
        .map(|one| one.as_str().unwrap().parse().unwrap())
        .collect()
}

async fn page_at(folder: &TempDir, addr: SocketAddr) -> u16 {
    let certificate = folder.path().join("certs/development.pem");
    let client = Client::trusting(&certificate, addr);
    client.request("GET", "/conference/", &[], b"").await.status
}

#[tokio::test]
async fn every_address_is_served_and_told() {
    let folder = folder_of(&[]);
    let tcp = "[{ listen = ['127.0.0.1:0', '[::1]:0'], upstream = '127.0.0.1:1' }]";
    let variables = [
        ("LISTEN__HTTPS", BOTH),
        ("LISTEN__HTTP", BOTH),
        ("LISTEN__ADMIN", BOTH),
        ("TCP", tcp),
    ];
    let serving = started(folder.path(), &variables).await;
    let told = status(&folder).await;
    for of in ["https", "http", "admin", "tcp"] {
        let all = addresses(&told, of);
        assert_eq!(
            all.iter().map(SocketAddr::ip).collect::<Vec<_>>(),
            [
                "127.0.0.1".parse().unwrap(),
                "::1".parse::<std::net::IpAddr>().unwrap()
            ]
        );
        for addr in &all {
            assert!(
                serving.said.contains(&format!("on {addr}")),
                "{of} {addr}: {}",
                serving.said
            );
        }
    }
    assert_eq!(told["listeners"]["plain"], Value::Null);
    for addr in addresses(&told, "https") {
        assert_eq!(page_at(&folder, addr).await, 200, "{addr}");
    }
    // Wherever it was asked, the redirect leads to the first of HTTPS.
    let port = serving.https.port();
    for addr in addresses(&told, "http") {
        let answer = plain_get(addr, "/a").await;
        let to = format!("https://{}:{port}/a", addr.ip());
        let to = to.replace("::1", "[::1]");
        assert_eq!(
            (answer.status, answer.header("location")),
            (308, Some(to.as_str()))
        );
    }
    for addr in addresses(&told, "admin") {
        assert_eq!(plain_get(addr, "/livez").await.status, 200, "{addr}");
    }
    serving.signal("TERM").await;
    assert_eq!(serving.end().await.0, Some(0));
    for of in ["https", "http", "admin", "tcp"] {
        for addr in addresses(&told, of) {
            assert!(TcpStream::connect(addr).await.is_err(), "{addr} listens still");
        }
    }
}

#[tokio::test]
async fn where_one_address_is_taken_none_is_opened() {
    let folder = folder_of(&[]);
    let held = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).unwrap();
    let (free, taken) = (free_port(), held.local_addr().unwrap().port());
    let https = format!("127.0.0.1:{free}, [::1]:{taken}");
    let variables = [
        ("LISTEN__HTTPS", https.as_str()),
        ("LISTEN__HTTP", ""),
        ("LISTEN__ADMIN", ""),
        ("LOG__FORMAT", "json"),
    ];
    let said = run(folder.path(), &["serve"], &variables).await;
    assert_eq!(said.status.code(), Some(1));
    let out = String::from_utf8(said.stdout).unwrap();
    let problem = format!(
        "listen.https: can't listen on [::1]:{taken}: Address already in use (os error 98); unless it is this gateway, stop what \
         listens there, or write another port"
    );
    assert!(out.contains(&problem), "{out}");
    assert!(!out.contains("HTTPS on"), "{out}");
    let checked = run(folder.path(), &["check"], &variables).await;
    let warned = String::from_utf8(checked.stderr).unwrap();
    assert!(checked.status.success() && warned.contains(&problem), "{warned}");
}

/// Linux has IPv4 at `[::]` unless it is told otherwise, and then nobody else can have it.
#[tokio::test]
async fn all_of_ipv6_has_ipv4_too_unless_ipv4_has_an_address_of_its_own() {
    for both in [false, true] {
        let folder = folder_of(&[]);
        let port = free_port();
        let https = if both {
            format!("[::]:{port}, 0.0.0.0:{port}")
        } else {
            format!("[::]:{port}")
        };
        let variables = [
            ("LISTEN__HTTPS", https.as_str()),
            ("LISTEN__HTTP", ""),
            ("LISTEN__ADMIN", ""),
            ("HOSTS", "127.0.0.1, ::1, localhost"),
            ("TLS__CERTS", "certs"),
        ];
        let serving = started(folder.path(), &variables).await;
        for addr in [
            (Ipv4Addr::LOCALHOST, port).into(),
            (Ipv6Addr::LOCALHOST, port).into(),
        ] {
            assert_eq!(page_at(&folder, addr).await, 200, "{https} {addr}");
        }
        serving.signal("TERM").await;
        assert_eq!(serving.end().await.0, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_has_all_addresses_and_a_reload_names_what_waits() {
    let folder = folder_of(&[]);
    let file = |https: &str| {
        let text = format!("[listen]\nhttps = {https}\nhttp = []\nadmin = ['127.0.0.1:0', '[::1]:0']\n");
        fs::write(folder.path().join("gateway.toml"), text).unwrap();
    };
    let port = free_port();
    let (v4, v6) = (format!("127.0.0.1:{port}"), format!("[::1]:{port}"));
    file(&format!("['{v4}', '{v6}']"));
    let arguments = ["--config", "gateway.toml", "serve"];
    let mut first = Serving::start(folder.path(), &arguments, &[("LOG__FORMAT", "json")]).await;
    let before = addresses(&status(&folder).await, "admin");
    let command = async |what: &str| run(folder.path(), &["--config", "gateway.toml", what], &[]).await;
    let upgraded = command("upgrade").await;
    assert!(upgraded.status.success(), "{upgraded:?}");
    first.says("Handed over").await;
    let told = status(&folder).await;
    assert_ne!(told["process"], first.pid());
    assert_eq!(addresses(&told, "admin"), before);
    for addr in addresses(&told, "https") {
        assert_eq!(page_at(&folder, addr).await, 200, "{addr}");
    }
    file(&format!("'{v4}'"));
    let reloaded = command("reload").await;
    let said = String::from_utf8(reloaded.stdout).unwrap();
    assert!(said.contains("listen.https"), "{said}");
    let upgraded = command("upgrade").await;
    assert!(upgraded.status.success(), "{upgraded:?}");
    let told = status(&folder).await;
    assert_eq!(told["listeners"]["https"], v4);
    let pid = told["process"].as_u64().unwrap().to_string();
    let stopped = std::process::Command::new("kill").arg(pid).status();
    assert!(stopped.unwrap().success());
}
