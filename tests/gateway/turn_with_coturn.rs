//! TURN through the door with real programs on both sides: coturn as LiveKit's stand-in, which reads PROXY headers as LiveKit
//! does, and coturn's client, which offers `http/1.1` and speaks TURN.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use crate::support::{Gateway, browser::Browser, coturn::Coturn};
use serde_json::json;
use tokio::{io::AsyncReadExt, process::Command, time::timeout};

/// coturn's client sends twenty messages of media to itself through the door, over TLS, one each 200 ms on each of its four
/// connections. How many have come back: of those that come in one moment it leaves all but the first in its TLS library until
/// more comes, and so it may miss the last ones of a connection if the machine is so busy that several come at once.
async fn media_through(gateway: SocketAddr) -> (usize, String) {
    let mut client = Command::new("turnutils_uclient")
        .args([
            "-t", "-S", "-y", "-n", "5", "-m", "1", "-z", "200", "-u", "ann", "-w", "secret", "-p",
        ])
        .arg(gateway.port().to_string())
        .arg(gateway.ip().to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let (mut out, mut err) = (client.stdout.take().unwrap(), client.stderr.take().unwrap());
    let (mut said, mut told) = (String::new(), String::new());
    let ends = async {
        out.read_to_string(&mut said).await.unwrap();
        err.read_to_string(&mut told).await.unwrap();
        client.wait().await.unwrap()
    };
    let status = timeout(Duration::from_secs(300), ends).await;
    assert!(status.is_ok(), "the client hangs");
    let said = said + &told;
    let last = said.rsplit("tot_recv_msgs=").next().unwrap();
    let digits: String = last.chars().take_while(char::is_ascii_digit).collect();
    (digits.parse().unwrap_or_else(|_| panic!("{said}")), said)
}

#[tokio::test]
async fn media_passes_with_and_without_a_proxy_header() {
    for reads_headers in [true, false] {
        let coturn = Coturn::that_reads_headers(reads_headers).await;
        let gateway = Gateway::with(&format!("turn.upstream = '{}'", coturn.addr())).await;
        let mut tries = 0;
        // What its client leaves lying is no fault of the way there: a way that loses something loses it each time.
        loop {
            let (received, said) = media_through(gateway.https).await;
            tries += 1;
            if received >= 16 {
                break;
            }
            assert!(tries < 5, "{reads_headers}: {said}\n{}", coturn.said());
        }
    }
}

/// Two ends in one page, which reach each other by relays alone; and the address at which TURN sees the page.
const BY_RELAYS_ALONE: &str = r#"
(async () => {
  const urls = `turns:localhost:${location.port}?transport=tcp`;
  const iceServers = [{ urls, username: "ann", credential: "secret" }];
  const ends = [0, 1].map(() => new RTCPeerConnection({ iceServers, iceTransportPolicy: "relay" }));
  const types = new Set();
  ends.forEach((end, at) => {
    end.onicecandidate = ({ candidate }) => {
      if (!candidate?.candidate) return;
      types.add(`${candidate.type} by ${candidate.relayProtocol}`);
      ends[1 - at].addIceCandidate(candidate);
    };
  });
  const [one, other] = ends;
  const channel = one.createDataChannel("chat");
  channel.onopen = () => channel.send("through the relay");
  const heard = new Promise((hear) => {
    other.ondatachannel = (event) => { event.channel.onmessage = ({ data }) => hear(data); };
  });
  await one.setLocalDescription();
  await other.setRemoteDescription(one.localDescription);
  await other.setLocalDescription();
  await one.setRemoteDescription(other.localDescription);
  const open = new RTCPeerConnection({ iceServers });
  open.createDataChannel("chat");
  const seen = new Promise((see) => {
    open.onicecandidate = ({ candidate }) => { if (candidate?.type === "relay") see(candidate.relatedAddress); };
  });
  await open.setLocalDescription();
  return { heard: await heard, types: [...types], seen: await seen };
})()
"#;

#[tokio::test]
async fn a_browser_is_relayed_under_the_sites_own_name() {
    for reads_headers in [true, false] {
        let coturn = Coturn::that_reads_headers(reads_headers).await;
        let gateway = Gateway::with(&format!("turn.upstream = '{}'", coturn.addr())).await;
        let rule = format!("--host-resolver-rules=MAP localhost {}", gateway.https.ip());
        let switches = [
            rule.as_str(),
            "--ignore-certificate-errors",
            "--allow-loopback-in-peer-connection",
        ];
        let mut browser = Browser::with(&switches, &json!({}));
        let page = format!("https://localhost:{}/conference/", gateway.https.port());
        browser.step(json!({"tab": 1, "goto": page})).await;
        let told = browser.step(json!({"tab": 1, "run": BY_RELAYS_ALONE})).await;
        println!("{}", told.value());
        assert_eq!(told.value()["heard"], "through the relay", "{}", coturn.said());
        assert_eq!(told.value()["types"], json!(["relay by tls"]));
        assert_eq!(told.value()["seen"], "127.0.0.1");
        browser.close().await;
    }
}
