//! The page that is served where no client is configured. It shows the session that the client would have got, so that
//! a newcomer sees the whole way work before installing anything.
//!
//! INVARIANT: the token itself is not shown.

use hyper::{Method, Response, StatusCode};
use maud::{Markup, html};

use super::{
    browser::Browser,
    method::{self, Verb},
};
use crate::{
    reply::{Body, Failure, Language, page},
    token::Claims,
};

/// The data of the page: a session with a verified token and a checked design.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// The token's claims: who may enter which room, and until when.
    pub claims: &'a Claims,
    /// The time of the request, in seconds since 1970.
    pub now: i64,
    /// The reader's language, in which the client's page waits. The page in the client's place is always English.
    pub language: Language,
    /// The reader's browser. By it goes how the client's page announces its files.
    pub browser: Browser,
    /// The names and checked values of the design's fields.
    pub design: &'a [(&'static str, String)],
}

pub(super) fn answer(shown: Shown<'_>, method: &Method) -> Result<Response<Body>, Failure> {
    let verb = Verb::of(method)?;
    if verb == Verb::Options {
        return Ok(method::options());
    }
    let response = page::own(
        StatusCode::OK,
        Language::En,
        "Your session is ready",
        &content(shown),
    );
    Ok(verb.answer_with(response))
}

fn content(
    Shown {
        claims, now, design, ..
    }: Shown<'_>,
) -> Markup {
    html! {
        h1 { "Your session is ready" }
        p { "The link was good, and this page has the cookie that the meeting needs." }
        dl {
            dt { "Room" } dd { (claims.room_id) }
            dt { "Name" } dd { @if claims.name.is_empty() { "no name" } @else { (claims.name) } }
            dt { "User" } dd { (claims.user_id) }
            dt { "Role" } dd { (role(claims)) }
            dt { "Valid" } dd { "until " (time_of_day(claims.exp)) " UTC (" (left(claims.exp, now)) " left)" }
            @for (key, value) in design {
                dt { (key) }
                dd {
                    @if key.ends_with("_color") { (swatch(value)) }
                    (value)
                }
            }
        }
        p.soft {
            "This page stands in the client's place. To serve the plugNmeet client here, set "
            code { "client.path" } " to the folder of its files."
        }
    }
}

fn role(claims: &Claims) -> &'static str {
    match (claims.is_admin, claims.is_hidden) {
        (false, false) => "participant",
        (true, false) => "admin",
        (false, true) => "hidden participant",
        (true, true) => "hidden admin",
    }
}

/// A sample of a colour, as an attribute: the policy of these pages allows no inline style.
fn swatch(color: &str) -> Markup {
    html! {
        svg width="14" height="14" aria-hidden="true" { rect width="14" height="14" rx="3" fill=(color) {} }
    }
}

fn time_of_day(unix: i64) -> String {
    let second = unix.rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// The time until the token's end, and zero after it: the server accepts a token for some leeway longer.
fn left(exp: i64, now: i64) -> String {
    let seconds = exp.saturating_sub(now).max(0);
    format!("{} min {} s", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    fn claims() -> Claims {
        Claims {
            client_type: 0,
            exp: 784_111_777,
            is_admin: true,
            is_hidden: false,
            iss: "plugnmeet".to_owned(),
            name: "<b>Ada</b>".to_owned(),
            nbf: 784_111_177,
            room_id: "room01".to_owned(),
            sub: "ada-1".to_owned(),
            user_id: "ada-1".to_owned(),
        }
    }

    async fn text(claims: &Claims, now: i64, design: &[(&'static str, String)]) -> String {
        let response = answer(
            Shown {
                claims,
                now,
                language: Language::En,
                browser: Browser::Other,
                design,
            },
            &Method::GET,
        )
        .unwrap();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        String::from_utf8(bytes.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn shows_whose_session_it_is_and_how_long_it_lasts() {
        let page = text(&claims(), 784_111_178, &[]).await;
        for part in [
            "room01",
            "ada-1",
            "&lt;b&gt;Ada&lt;/b&gt;",
            "<dd>admin</dd>",
            "until 08:49:37 UTC (9 min 59 s left)",
            "client.path",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }

    #[tokio::test]
    async fn a_recorder_has_no_name_and_a_token_in_its_leeway_no_time() {
        let recorder = Claims {
            name: String::new(),
            is_admin: false,
            is_hidden: true,
            ..claims()
        };
        let page = text(&recorder, recorder.exp + 30, &[]).await;
        assert!(page.contains("<dd>no name</dd>"), "{page}");
        assert!(page.contains("<dd>hidden participant</dd>"), "{page}");
        assert!(page.contains("(0 min 0 s left)"), "{page}");
    }

    #[tokio::test]
    async fn a_colour_is_drawn_without_a_style_and_other_values_are_only_named() {
        let design = [
            ("primary_color", "#00a1f2".to_owned()),
            ("custom_logo", "https://a.example/\"><script>".to_owned()),
        ];
        let page = text(&claims(), 0, &design).await;
        assert!(page.contains("fill=\"#00a1f2\""), "{page}");
        assert_eq!(page.matches("<svg").count(), 1);
        assert!(!page.contains("<script") && !page.contains("style="), "{page}");
    }

    #[test]
    fn head_tells_the_length_and_options_the_methods() {
        let claims = claims();
        let shown = Shown {
            claims: &claims,
            now: 0,
            language: Language::En,
            browser: Browser::Other,
            design: &[],
        };
        let of = |method| answer(shown, &method).unwrap();
        let (get, head) = (of(Method::GET), of(Method::HEAD));
        assert_eq!(get.headers(), head.headers());
        assert!(get.headers().contains_key("content-length"));
        assert!(matches!(head.body(), Body::Empty));
        assert_eq!(of(Method::OPTIONS).headers()["allow"], "GET, HEAD");
        assert_eq!(answer(shown, &Method::POST).err().unwrap().status(), 405);
    }
}
