//! BBB's `join`: a link with a token, in a redirect or in XML.
//!
//! Sources: docs/plugnmeet.md sections 0.19 and 5; plugnmeet-server 2.4.0, `HandleBBBJoin`.

use hyper::{Response, header};
use serde_json::{Value, json};

use super::{
    answer::Answer,
    bbb::{Parameters, escaped, failed, succeeded},
    join::Wanted,
    state::State,
};
use crate::support::upstream::text_body;

impl State {
    pub(super) fn bbb_join(&mut self, given: &Parameters<'_>, meeting: &str, host: &str) -> Answer {
        let Some(room) = self.room(meeting) else {
            return failed("error", "meeting is not active");
        };
        let extra = room.metadata["extra_data"]["bbb_extra_data"].clone();
        let is_bbb = extra.is_string();
        let extra: Value = extra
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .unwrap_or_default();
        let (role, password) = (given.get("role"), given.get("password"));
        let is_admin = if role.is_empty() {
            if password.is_empty() {
                return failed("error", "password missing");
            }
            // Any other password is an attendee's.
            extra["moderatorPW"] == *password
        } else {
            role.eq_ignore_ascii_case("moderator")
        };
        let (user_id, name) = (given.get("userID"), given.get("fullName"));
        if name.is_empty() {
            return failed(
                "validationError",
                "validation error: user_info.name: value is required",
            );
        }
        if room.blocked.contains(&user_id) {
            return failed("validationError", "this user is blocked to join this session");
        }
        let wanted = Wanted {
            user_id,
            name,
            is_admin,
            ..Wanted::default()
        };
        let token = match self.join(meeting, wanted) {
            Ok(token) => token,
            Err(message) => return failed("error", &message),
        };
        let mut link = if self.join_host.is_empty() {
            format!("HTTP/1.1://{host}/?access_token={token}")
        } else {
            format!("{}/?access_token={token}", self.join_host)
        };
        // A room's logo comes with `create`. Where rooms are made by themselves, it may come with the join.
        let logo = match extra["logo"].as_str() {
            Some(logo) => logo.to_owned(),
            None if self.open_house => given.get("userdata-bbb_custom_logo"),
            None => String::new(),
        };
        let style = given.get("userdata-bbb_custom_style_url");
        if is_bbb && let Some(design) = design(&logo, &style) {
            link = format!("{link}&custom_design={design}");
        }
        if given.get("redirect").eq_ignore_ascii_case("false") {
            return succeeded(&format!(
                "<messageKey>success</messageKey><message>You have joined successfully</message>\
                 <meeting_id>{}</meeting_id><session_token>{token}</session_token><url>{}</url>",
                escaped(&given.get("meetingID")),
                escaped(&link)
            ));
        }
        let answer = Response::builder().status(303).header(header::LOCATION, link);
        answer.body(text_body("")).unwrap()
    }
}

/// The room's logo and the style sheet of this join, as raw JSON.
fn design(logo: &str, style_url: &str) -> Option<String> {
    let parts: Vec<String> = [("custom_logo", logo), ("custom_css_url", style_url)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| format!("\"{key}\":{}", json!(value)))
        .collect();
    // protojson puts a blank behind some commas.
    (!parts.is_empty()).then(|| format!("{{{}}}", parts.join(", ")))
}
