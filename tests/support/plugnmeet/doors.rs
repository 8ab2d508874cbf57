//! Where the server sends people with tokens of its own making: BBB's `join`, and LTI.
//!
//! Sources: contract.md sections 0.19, 5 and 7.

use std::fmt::Write;

use hyper::{Response, header};
use serde_json::{Value, json};

use super::{Rooms, json_answer, keys};
use crate::support::upstream::{AnswerBody, Seen, text_body};

impl Rooms {
    /// The design behind the token is raw JSON. The checksum is the gateway's to check, in front of us.
    pub(super) fn bbb_join(&self, seen: &Seen) -> Response<AnswerBody> {
        let query = seen.target.split_once('?').map_or("", |(_, query)| query);
        let given = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
        };
        let token = self.token(|claims| {
            claims.room_id = given("meetingID").unwrap_or_default();
            claims.user_id = given("userID").unwrap_or_default();
            claims.name = given("fullName").unwrap_or_default();
        });
        let mut location = format!("{}/?access_token={token}", self.join_host);
        let design: Vec<String> = [
            ("custom_logo", "userdata-bbb_custom_logo"),
            ("custom_css_url", "userdata-bbb_custom_style_url"),
        ]
        .into_iter()
        .filter_map(|(key, parameter)| Some(format!("\"{key}\":{}", json!(given(parameter)?))))
        .collect();
        if !design.is_empty() {
            // protojson puts a blank behind some commas.
            write!(location, "&custom_design={{{}}}", design.join(", ")).unwrap();
        }
        let answer = Response::builder().status(302).header(header::LOCATION, location);
        answer.body(text_body("")).unwrap()
    }

    /// A page with a token of its own, which its script turns into a join token. The form's signature is not looked at.
    pub(super) fn lti_page(&self, seen: &Seen) -> Response<AnswerBody> {
        let given = |wanted: &str| {
            form_urlencoded::parse(&seen.body)
                .find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
                .unwrap_or_default()
        };
        let token = self.token(|claims| {
            claims.room_id = given("context_id");
            claims.user_id = given("user_id");
        });
        let html = format!(
            "<!doctype html><title>LTI</title><button class=\"join\">Join</button><script>const TOKEN = '{token}'; \
             window.DESIGN_CUSTOMIZATION = '{{\"primary_color\":\"#00a1f2\"}}';</script>\
             <script src=\"/assets/config.js\"></script><script src=\"/assets/lti/js/v1.js\"></script>"
        );
        let answer = Response::builder().header(header::CONTENT_TYPE, "text/html; charset=utf-8");
        answer.body(text_body(html)).unwrap()
    }

    pub(super) fn lti_join(&self, seen: &Seen) -> Response<AnswerBody> {
        let token = seen.header("authorization").unwrap_or_default();
        let Ok(verified) = keys().verify(plugnmeet_gateway::token::Unverified(token), self.clock.unix())
        else {
            let refused: Value = json!({"status": false, "msg": "invalid authorization header"});
            return json_answer(401, &refused);
        };
        let token = self.token(|claims| {
            claims.room_id = verified.claims.room_id;
            claims.user_id = verified.claims.user_id;
        });
        json_answer(200, &json!({"status": true, "msg": "success", "token": token}))
    }
}
