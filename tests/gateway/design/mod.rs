//! Designs, over real sockets: those that the operator has named, who may bring one, and the endpoint at which integrators
//! have theirs checked.

mod check;
mod links;
mod named;

use crate::support::{Gateway, client::Answer};

fn path_of(gateway: &Gateway) -> String {
    format!("/conference/s/{}/", gateway.keys.tag("room01", "ann"))
}

fn cookie(gateway: &Gateway) -> String {
    format!("pnm_access_token={}", gateway.token("room01", "ann"))
}

async fn follow_link(gateway: &Gateway, rest: &str) -> Answer {
    let token = gateway.token("room01", "ann");
    gateway
        .get(&format!("/conference/?access_token={token}&{rest}"), &[])
        .await
}

async fn reload(gateway: &Gateway, query: &str) -> Answer {
    let target = format!("{}?{query}", path_of(gateway));
    gateway.get(&target, &[("Cookie", &cookie(gateway))]).await
}

fn assert_redirect(answer: &Answer, location: &str) {
    assert_eq!(
        (answer.status, answer.header("location")),
        (303, Some(location)),
        "{answer:?}"
    );
}

fn assert_refused(answer: &Answer, words: &str) {
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.text().contains(words), "{words}: {}", answer.text());
    assert_eq!(answer.header("set-cookie"), None);
}
