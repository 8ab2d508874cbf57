//! A person's way in: the API, a join link, the page, frames; BBB's addresses; `LiveKit`.

use std::sync::Arc;

use bytes::Bytes;
use hyper::{Method, Response, StatusCode};
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};

use super::{Outside, ROOM, VALID_SECONDS, header, own_words, shown};
use crate::{
    doctor::finding::{Said, all_or},
    secret::Secret,
};

pub async fn api_key(outside: Arc<Outside>) -> Vec<Said> {
    let Some(keys) = &outside.keys else {
        return no_keys();
    };
    let body = format!("{{\"room_id\":\"{ROOM}\"}}");
    let signature = keys.requests().signature(body.as_bytes());
    let headers = [
        ("content-type", "application/json"),
        ("api-key", keys.api_key()),
        ("hash-signature", signature.as_str()),
    ];
    let answer = match outside
        .ask(Method::POST, "/auth/room/isRoomActive", &headers, body.as_bytes())
        .await
    {
        Ok(answer) => answer,
        Err(why) => return vec![Said::fail(why, "look at the gateway's log")],
    };
    let said: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
    let words = said
        .get("msg")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    match answer.status() {
        StatusCode::OK => vec![Said::ok("a signed request is taken")],
        StatusCode::UNAUTHORIZED => vec![Said::fail(
            format!("401: {}", shown(words.as_bytes())),
            "the key or the secret here and the server's are different",
        )],
        status => vec![Said::fail(
            format!("{status} for a signed request"),
            "is plugnmeet-server running, and upstreams.server right?",
        )],
    }
}

fn no_keys() -> Vec<Said> {
    vec![Said::skip("needs --api-key and --secret-file")]
}

/// Where a link with a token leads, and with which cookies.
async fn handed(
    outside: &Outside,
    token: &Secret<String>,
    into: &'static str,
) -> Result<(Response<Bytes>, Vec<String>), String> {
    let target = format!("{}/?access_token={}", outside.mount, token.expose());
    // As a browser says where it will show the page.
    let headers = [
        ("accept", "text/html"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-dest", into),
        ("sec-fetch-site", "cross-site"),
    ];
    let answer = outside.get(&target, &headers).await?;
    let cookies = answer.headers().get_all("set-cookie").iter();
    let cookies = cookies.filter_map(|cookie| cookie.to_str().ok().map(str::to_owned));
    let cookies = cookies.collect();
    Ok((answer, cookies))
}

/// The page behind a link with a token.
pub async fn page_of(outside: &Outside, token: &Secret<String>) -> Result<Response<Bytes>, String> {
    let (answer, cookies) = handed(outside, token, "document").await?;
    if answer.status() != StatusCode::SEE_OTHER {
        return Err(format!(
            "{} for a link with a token, and not 303",
            answer.status()
        ));
    }
    let to = outside
        .settings
        .url
        .join(&outside.mount)
        .and_then(|base| base.join(header(&answer, "location")))
        .map_err(|error| format!("303 to no address: {error}"))?;
    if to.origin() != outside.settings.url.origin() {
        return Err("303 to another site".into());
    }
    let pairs: Vec<&str> = cookies
        .iter()
        .filter_map(|cookie| cookie.split(';').next())
        .collect();
    if pairs.is_empty() {
        return Err("303 without a cookie".into());
    }
    let cookie = pairs.join("; ");
    outside
        .get(to.path(), &[("accept", "text/html"), ("cookie", &cookie)])
        .await
}

pub async fn join(outside: Arc<Outside>) -> Vec<Said> {
    let Some(token) = outside.token() else {
        return no_keys();
    };
    let advice = "look for this address in the access log: its code says why";
    match page_of(&outside, &token).await {
        Ok(page)
            if page.status() == StatusCode::OK && header(&page, "content-type").starts_with("text/html") =>
        {
            vec![Said::ok("303, a cookie, and the client's page")]
        }
        Ok(page) => vec![Said::fail(format!("{} behind the link", page.status()), advice)],
        Err(why) => vec![Said::fail(why, advice)],
    }
}

pub async fn frames(outside: Arc<Outside>) -> Vec<Said> {
    let target = format!("{}/", outside.mount);
    let answer = match outside.get(&target, &[("accept", "text/html")]).await {
        Ok(answer) => answer,
        Err(why) => return vec![Said::fail(why, "see outside.page")],
    };
    let policy = header(&answer, "content-security-policy");
    let ancestors = policy
        .split(';')
        .find_map(|part| part.trim().strip_prefix("frame-ancestors"))
        .map(str::trim);
    let Some(site) = &outside.settings.frame else {
        let shown = ancestors.unwrap_or("any site");
        return vec![Said::ok(format!(
            "may be framed by {shown}; name a site by --frame to have it looked at"
        ))];
    };
    let mut wrong = Vec::new();
    let site = site.trim_end_matches('/');
    if ancestors.is_some_and(|ancestors| !ancestors.split(' ').any(|one| one == site || one == "*")) {
        wrong.push(Said::fail(
            format!("{site} may not show meetings in a frame"),
            format!("write frame_ancestors = [\"{site}\"] into [session] of gateway.toml"),
        ));
    }
    if wrong.is_empty()
        && let Some(token) = outside.token()
        && let Ok((link, cookies)) = handed(&outside, &token, "iframe").await
        && link.status() == StatusCode::SEE_OTHER
        && !cookies
            .iter()
            .any(|cookie| cookie.contains("SameSite=None") && cookie.contains("Partitioned"))
    {
        wrong.push(Said::fail(
            "the session's cookie is not for frames of other sites",
            "write session.frame_ancestors; something in front may change Set-Cookie",
        ));
    }
    all_or(wrong, format!("{site} may show meetings"))
}

/// BBB's answers name addresses as the server sees itself.
pub async fn scheme(outside: Arc<Outside>) -> Vec<Said> {
    use aws_lc_rs::digest;
    let (Some(keys), Some(secret)) = (&outside.keys, &outside.settings.secret) else {
        return no_keys();
    };
    let sum = format!("getRecordings{}", secret.expose());
    let sum = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, sum.as_bytes());
    let sum = data_encoding::HEXLOWER.encode(sum.as_ref());
    let target = format!(
        "/{}/bigbluebutton/api/getRecordings?checksum={sum}",
        keys.api_key()
    );
    let answer = match outside.get(&target, &[]).await {
        Ok(answer) => answer,
        Err(why) => return vec![Said::fail(why, "look at the gateway's log")],
    };
    let text = String::from_utf8_lossy(answer.body()).into_owned();
    if !text.contains("<returncode>SUCCESS") {
        let key = text
            .split_once("<messageKey>")
            .and_then(|(_, rest)| rest.split('<').next());
        return vec![Said::fail(
            format!(
                "{} {} for a signed call of BBB's API",
                answer.status().as_u16(),
                key.unwrap_or_default()
            ),
            "the key or the secret here and the server's are different, or the server is away",
        )];
    }
    let wanted = format!("https://{}", outside.authority());
    let urls = text
        .split("<url>")
        .skip(1)
        .filter_map(|rest| rest.split("</url>").next());
    match urls.into_iter().find(|url| !url.trim().starts_with(&wanted)) {
        Some(wrong) => {
            let shown: String = wrong
                .trim()
                .chars()
                .take_while(|char| *char != '?')
                .take(30)
                .collect();
            vec![Said::fail(
                format!("BBB's answers lead to {shown}…, and not to {wanted}"),
                "write client.bbb_join_host in config.yaml",
            )]
        }
        None => vec![Said::ok("BBB's API answers, and names no other address")],
    }
}

pub async fn livekit(outside: Arc<Outside>) -> Vec<Said> {
    let token = outside.settings.livekit.as_ref().and_then(|(key, secret)| {
        let claims = json!({
            "iss": key,
            "sub": "plugnmeet-gateway-doctor",
            "nbf": outside.settings.now,
            "exp": outside.settings.now + VALID_SECONDS,
            "video": { "room": ROOM, "roomJoin": true },
        });
        let key = EncodingKey::from_secret(secret.expose().as_bytes());
        jsonwebtoken::encode(&Header::default(), &claims, &key).ok()
    });
    let target = match &token {
        Some(token) => format!("/livekit/rtc/validate?access_token={token}"),
        None => "/livekit/rtc/validate".to_owned(),
    };
    let answer = match outside.get(&target, &[]).await {
        Ok(answer) => answer,
        Err(why) => return vec![Said::fail(why, "look at the gateway's log")],
    };
    match (answer.status().as_u16(), token.is_some()) {
        (200, true) => vec![Said::ok("LiveKit takes a token of its key")],
        (401, false) if own_words(&answer).is_none() => vec![Said::ok(
            "LiveKit answers; with its key (livekit.yaml at --from) it is asked more",
        )],
        (401, true) => vec![Said::fail(
            format!("401: {}", shown(answer.body())),
            "the key or the secret in livekit.yaml is not the one that runs: restart LiveKit",
        )],
        (404, _) if own_words(&answer).is_some() => vec![Said::fail(
            "the gateway leads nowhere here",
            "write upstreams.livekit in gateway.toml",
        )],
        (status, _) => vec![Said::fail(
            format!("{status} and not LiveKit's answer"),
            "is LiveKit running (docker compose ps), and upstreams.livekit right?",
        )],
    }
}
