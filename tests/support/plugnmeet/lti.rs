//! LTI: a learning platform's signed form becomes a page with a token of its own, and that token opens a small API.
//!
//! Sources: docs/plugnmeet.md sections 4 and 5; plugnmeet-server 2.4.0, `controllers/lti_v1.go` and `models/lti*.go`.

use aws_lc_rs::digest;
use serde_json::{Map, Value, json};

use super::{
    answer::{Answer, json_utf8, not_found, of, plain},
    join::Wanted,
    oauth,
    rooms::Page,
    state::{State, hex},
    tokens::{self, signed_payload, text},
};
use crate::support::{API_KEY, upstream::Seen};

impl State {
    pub(super) fn lti_page(&self, seen: &Seen, path: &str) -> Answer {
        if seen.body.is_empty() {
            return plain(401, "empty body");
        }
        let form = String::from_utf8_lossy(&seen.body);
        let given = |wanted: &str| {
            form_urlencoded::parse(form.as_bytes())
                .find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
                .unwrap_or_default()
        };
        if !self.open_house {
            if given("oauth_consumer_key") != API_KEY {
                return plain(500, "invalid consumer_key");
            }
            if oauth::signature(&self.signed_url(seen, path), &form) != given("oauth_signature") {
                return plain(500, "verification failed");
            }
        }
        let claims = self.lti_claims(given);
        let design = claims["lti_custom_parameters"]["lti_custom_design"].to_string();
        let token = signed_payload(&claims);
        let page = format!(
            "<!doctype html><title>LTI</title><button class=\"join\">Join</button><script>const TOKEN = '{token}'; \
             window.DESIGN_CUSTOMIZATION = '{design}';</script>\
             <script src=\"/assets/config.js\"></script><script src=\"/assets/lti/js/v1.js\"></script>"
        );
        of(200, "text/html; charset=utf-8", page)
    }

    /// `bbb_join_host` says the scheme and the name, the request the port.
    fn signed_url(&self, seen: &Seen, path: &str) -> String {
        let (scheme, rest) = self
            .join_host
            .split_once("://")
            .unwrap_or(("https", seen.first("host").unwrap_or_default()));
        let name = rest.split(['/', ':']).next().unwrap_or_default();
        format!("{scheme}://{name}{path}")
    }

    fn lti_claims(&self, given: impl Fn(&str) -> String) -> Value {
        let now = self.now();
        let user_id = given("user_id");
        let name = match given("lis_person_name_full") {
            name if name.is_empty() => format!("User_{user_id}"),
            name => name,
        };
        let mut design = Map::new();
        for key in [
            "primary_color",
            "secondary_color",
            "background_color",
            "custom_logo",
        ] {
            let value = given(&format!("custom_{key}"));
            if !value.is_empty() {
                design.insert(key.to_owned(), value.into());
            }
        }
        let mut claims = json!({
            "exp": now + 7200, "iss": API_KEY, "nbf": now, "sub": user_id, "user_id": user_id, "name": name,
            "room_id": room_id(
                &given("tool_consumer_instance_guid"),
                &given("context_id"),
                &given("resource_link_id"),
            ),
            "lti_custom_parameters": {"lti_custom_design": design},
        });
        if given("roles").contains("Instructor") {
            claims["is_admin"] = true.into();
        }
        if !given("context_label").is_empty() {
            claims["room_title"] = given("context_label").into();
        }
        claims
    }

    /// Any token that the secret signed will do.
    pub(super) fn lti_api(&mut self, seen: &Seen, route: &str) -> Answer {
        let token = seen.first("authorization").unwrap_or_default();
        if token.is_empty() {
            return refused(401, "Authorization header is missing");
        }
        let Ok(claims) = tokens::verified_by_anyone(token, self.now()) else {
            return refused(401, "invalid authorization header");
        };
        if seen.method != "POST" {
            return not_found();
        }
        let room_id = text(&claims, "room_id");
        let is_admin = claims["is_admin"] == true;
        match route.strip_prefix("/lti/v1/api/").unwrap_or_default() {
            "room/isactive" if room_id.is_empty() => refused(400, "room id is missing"),
            "room/isactive" => self.activity(room_id),
            "room/join" => self.lti_join(&claims),
            "room/end" | "recording/delete" if !is_admin => refused(403, "only admin can perform this"),
            "room/end" => {
                let (status, message) = if self.end(room_id) {
                    (true, "success")
                } else {
                    (false, "room not found or not active")
                };
                json_utf8(200, &json!({"status": status, "msg": message}))
            }
            "recording/fetch" => match self.lti_recordings(&seen.body, room_id) {
                Some(result) => json_utf8(200, &json!({"status": true, "msg": "success", "result": result})),
                None => refused(404, "no recording found"),
            },
            // Of whichever room: nobody compares.
            "recording/download" => match self.recording_path(&seen.body) {
                Some(path) => {
                    let token = tokens::download_token(self.now(), &path);
                    json_utf8(200, &json!({"status": true, "msg": "success", "token": token}))
                }
                None => refused(404, "recording not found"),
            },
            "recording/delete" => match self.recording_path(&seen.body) {
                Some(path) => {
                    self.recordings.retain(|recording| recording.path != path);
                    json_utf8(200, &json!({"status": true, "msg": "success"}))
                }
                None => refused(404, "recording not found"),
            },
            _ => not_found(),
        }
    }

    /// The room is made if none runs. No block list is looked at.
    fn lti_join(&mut self, claims: &Value) -> Answer {
        let room_id = text(claims, "room_id");
        if self.room(room_id).is_none() {
            self.create(room_id, &json!({"room_title": text(claims, "room_title")}));
        }
        let wanted = Wanted {
            user_id: text(claims, "user_id").to_owned(),
            name: text(claims, "name").to_owned(),
            is_admin: claims["is_admin"] == true,
            ..Wanted::default()
        };
        match self.join(room_id, wanted) {
            Ok(token) => json_utf8(200, &json!({"status": true, "msg": "success", "token": token})),
            Err(message) => refused(500, &message),
        }
    }

    fn lti_recordings(&self, body: &[u8], room_id: &str) -> Option<Value> {
        let mut wanted: Value = serde_json::from_slice(body).ok()?;
        wanted["room_ids"] = json!([room_id]);
        let wanted = Page::read(wanted.to_string().as_bytes()).ok()?;
        self.recordings_page(&wanted)
    }

    fn recording_path(&self, body: &[u8]) -> Option<String> {
        let wanted: Value = serde_json::from_slice(body).ok()?;
        let recording = self
            .recordings
            .iter()
            .find(|recording| wanted["record_id"] == recording.id)?;
        Some(recording.path.clone())
    }
}

/// The room of a link in a course.
pub fn room_id(platform: &str, context: &str, link: &str) -> String {
    let name = format!("{platform}_{context}_{link}");
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, name.as_bytes()).as_ref())
}

fn refused(status: u16, message: &str) -> Answer {
    json_utf8(status, &json!({"status": false, "msg": message}))
}
