//! No secret is ever written.

use plugnmeet_gateway::{clock::Clock, secret::Secret, token::RequestKey};

use super::{ISSUE, client_of, empty, keys, serving};
use crate::support::{
    API_KEY, SECRET,
    binary::{Serving, anywhere},
    plugnmeet, sign, token_request,
};

#[tokio::test]
async fn no_secret_token_or_signature_is_ever_written() {
    let folder = empty();
    let variables = [
        ("PLUGNMEET__SECRET", SECRET),
        ("LOG__LEVEL", "trace"),
        ("UPSTREAMS__LIVEKIT", "http://127.0.0.1:1"),
    ];
    let serving = serving(folder.path(), &variables).await;
    let client = client_of(folder.path(), &serving);
    let now = Clock::system().unix();
    let token = |exp| sign(&keys(), &Clock::system(), |claims| claims.exp = exp);
    let (good, expired) = (token(now + 600), token(now - 700));
    let body = token_request("room01", "ann");
    let signature = keys().requests().signature(body.as_bytes());
    let guessed = "0123456789abcdef0123456789abcdef";

    for token in [&good, &expired] {
        for target in [
            format!("/conference/?access_token={token}"),
            format!("/conference/?access_token={token}&access_token={token}"),
            format!("/conference/assets/{token}"),
            format!("/livekit/rtc?access_token={token}"),
            format!("/download/recording/{token}"),
            format!("/{token}/bigbluebutton/api/join?checksum={guessed}"),
            format!("/nowhere/{token}?{token}"),
            format!("//{token}"),
            format!("//download/recording/{guessed}"),
            format!("/download//uploadedFile/{guessed}/a.pdf"),
            format!("/%64ownload/recording/{guessed}"),
            format!("/download%2Frecording%2F{guessed}"),
            format!("/x/../download/artifact/{guessed}"),
            format!("/whip/{guessed}"),
            format!("/whip/{guessed}/resource"),
            format!("//whip/{guessed}"),
            format!("/conference/whip/{guessed}"),
            format!("/{guessed}//bigbluebutton/api/join"),
            format!("/conference/{guessed}/bigbluebutton/api/join"),
        ] {
            let cookie = format!("pnm_access_token={token}");
            let headers = [("Cookie", cookie.as_str()), ("Authorization", token)];
            client.request("GET", &target, &headers, b"").await;
        }
    }
    for signature in [signature.as_str(), guessed] {
        let headers = [("API-KEY", API_KEY), ("HASH-SIGNATURE", signature)];
        client.request("POST", ISSUE, &headers, body.as_bytes()).await;
        client
            .request("POST", "/auth/room/create", &headers, body.as_bytes())
            .await;
    }
    let issued = client
        .request(
            "POST",
            ISSUE,
            &[("API-KEY", API_KEY), ("HASH-SIGNATURE", &signature)],
            body.as_bytes(),
        )
        .await
        .json()["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let wrong_key = [("API-KEY", guessed), ("HASH-SIGNATURE", signature.as_str())];
    client.request("POST", ISSUE, &wrong_key, body.as_bytes()).await;

    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    assert_eq!(status, Some(0));
    assert!(said.matches("\"Request\"").count() >= 20, "{said}");
    let last_part = |token: &str| token.rsplit('.').next().unwrap().to_owned();
    for secret in [
        SECRET.to_owned(),
        last_part(&good),
        last_part(&expired),
        last_part(&issued),
        signature,
        guessed.to_owned(),
    ] {
        assert!(!said.contains(&secret), "{secret} in\n{said}");
    }

    let made = empty();
    let serving = self::serving(made.path(), &[("LOG__LEVEL", "trace")]).await;
    let secret = std::fs::read_to_string(made.path().join("certs/plugnmeet-secret")).unwrap();
    serving.signal("TERM").await;
    assert!(!serving.end().await.1.contains(secret.trim()));
}

/// With callers, whose requests are signed anew, and the other joins, whose credentials stand elsewhere.
#[tokio::test]
async fn no_callers_secret_token_or_checksum_is_ever_written() {
    let server = plugnmeet::server().await;
    let folder = empty();
    let caller = "callers-own-secret-0123456789abcdef";
    let file = folder.path().join("gateway.toml");
    let text = format!(
        "issuer.mode = 'upstream'\nupstreams.server = ['{}']\nplugnmeet.secret = '{SECRET}'\nlog.level = 'trace'\n\
         [[callers]]\nname = 'lms'\napi_key = 'lms-key'\nsecret = '{caller}'\n",
        server.url()
    );
    std::fs::write(&file, text).unwrap();
    let arguments = ["serve", "--config", file.to_str().unwrap()];
    let serving = Serving::start(folder.path(), &arguments, &anywhere()).await;
    let client = client_of(folder.path(), &serving);

    let own = RequestKey::new(&Secret::new(caller.into()));
    let body = token_request("room01", "ann");
    let (given, anew) = (
        own.signature(body.as_bytes()),
        keys().requests().signature(body.as_bytes()),
    );
    let headers = [("API-KEY", "lms-key"), ("HASH-SIGNATURE", given.as_str())];
    let mut tokens = Vec::new();
    for path in [ISSUE, "/auth/room/isRoomActive"] {
        let answer = client.request("POST", path, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        tokens.extend(answer.json()["token"].as_str().map(str::to_owned));
    }
    let join = plugnmeet::bbb_target("join", "meetingID=room01&userID=ann");
    let checksum = join.rsplit('=').next().unwrap();
    client.request("GET", &join, &[], b"").await;
    let authorization = [
        ("Authorization", tokens[0].as_str()),
        ("Content-Type", "application/protobuf"),
    ];
    for path in ["/api/breakoutRoom/join", "/lti/v1/api/room/join"] {
        client.request("POST", path, &authorization, b"").await;
        let in_query = format!("{path}?Authorization={}", tokens[0]);
        client.request("POST", &in_query, &[], b"").await;
    }

    serving.signal("TERM").await;
    let (status, said) = serving.end().await;
    assert_eq!(status, Some(0));
    assert!(
        said.contains("\"passed_on\"") && said.contains("\"issued\""),
        "{said}"
    );
    let parts = tokens[0].split('.').skip(1).map(str::to_owned);
    for secret in [SECRET, caller, given.as_str(), anew.as_str(), checksum]
        .map(str::to_owned)
        .into_iter()
        .chain(parts)
    {
        assert!(!said.contains(&secret), "{secret} in\n{said}");
    }
}
