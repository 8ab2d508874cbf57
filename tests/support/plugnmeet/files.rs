//! Files: what a download's token or a room's `sid` opens, and what people upload.
//!
//! Sources: docs/plugnmeet.md sections 5 and 8; plugnmeet-server 2.4.0, `controllers/file.go` and
//! `models/file_upload.go`.

use aws_lc_rs::digest;
use hyper::{Response, header};
use serde_json::json;

use super::{
    answer::{Answer, common_protobuf, json_utf8, not_found, of, plain, protobuf},
    state::{File, State, uuid, uuid_of},
    tokens::{self, Refused},
    wire::{self, Held, Message},
};
use crate::support::upstream::{Seen, text_body};

impl State {
    /// The wildcard is unescaped like a query; a token is a segment as it came.
    pub(super) fn download(&self, seen: &Seen, path: &str) -> Answer {
        let mut segments = path.splitn(4, '/').skip(2);
        let (Some(kind), Some(rest)) = (segments.next(), segments.next()) else {
            return not_found();
        };
        match kind.to_ascii_lowercase().as_str() {
            "uploadedfile" => self.uploaded_file(seen, rest),
            "recording" | "analytics" | "artifact" if !rest.trim_end_matches('/').contains('/') => {
                self.file_of_token(seen, &kind.to_ascii_lowercase(), rest.trim_end_matches('/'))
            }
            _ => not_found(),
        }
    }

    fn uploaded_file(&self, seen: &Seen, rest: &str) -> Answer {
        let path = form_urlencoded::parse(format!("p={}", rest.replace('&', "%26")).as_bytes())
            .map(|(_, value)| value.into_owned())
            .next()
            .unwrap_or_default();
        let path = path.trim_matches('/');
        if path.split('/').any(|segment| segment == "..") {
            return plain(400, "invalid file path");
        }
        if !path.contains('/') {
            return plain(400, "invalid url");
        }
        match self.files.get(path) {
            Some(file) => sent(seen, file, "attachment"),
            None => plain(404, "file not found"),
        }
    }

    /// Any token that the secret signed will do, if its subject is the path of such a file.
    fn file_of_token(&self, seen: &Seen, kind: &str, token: &str) -> Answer {
        let claims = match tokens::verified_by_anyone(token, self.now()) {
            Ok(claims) => claims,
            Err(Refused::Malformed) => {
                return plain(401, "go-jose/go-jose: compact JWS format must have three parts");
            }
            Err(Refused::Invalid) => return plain(401, "go-jose/go-jose: error in cryptographic primitive"),
            Err(Refused::Expired) => {
                return plain(
                    401,
                    "go-jose/go-jose/jwt: validation failed, token is expired (exp)",
                );
            }
        };
        let path = tokens::text(&claims, "sub");
        let Some(file) = self.files.get(path).filter(|_| kind == "recording") else {
            return plain(404, "file not found");
        };
        let name = path.rsplit('/').next().unwrap_or_default();
        sent(seen, file, &format!("attachment; filename={name}"))
    }

    /// resumable.js: GET asks whether a chunk is there, POST brings it.
    pub(super) fn file_upload(&mut self, seen: &Seen, sid: &str, query: &str) -> Answer {
        let given = |wanted: &str| {
            form_urlencoded::parse(query.as_bytes())
                .find_map(|(name, value)| (name == wanted).then(|| value.into_owned()))
                .unwrap_or_default()
        };
        let refused = |status: u16, message: &str| {
            json_utf8(
                status,
                &json!({"msg": message, "status": false, "status_code": "INTERNAL_SERVER_ERROR"}),
            )
        };
        if given("resumableIdentifier").is_empty() {
            return refused(400, "invalid resumableIdentifier");
        }
        if given("roomSid").is_empty() || given("roomId").is_empty() {
            return refused(400, "missing required fields");
        }
        let chunk = format!(
            "{sid}/{}/{}",
            given("resumableIdentifier"),
            given("resumableChunkNumber")
        );
        if seen.method == "GET" {
            let size = given("resumableCurrentChunkSize");
            return if self
                .chunks
                .get(&chunk)
                .is_some_and(|length| length.to_string() == size)
            {
                refused(201, "skipping upload as previously uploaded chunk")
            } else {
                of(204, "application/json; charset=utf-8", "")
            };
        }
        match file_in_form(&seen.body) {
            Some(bytes) => {
                self.chunks.insert(chunk, bytes.len());
                plain(200, "part_uploaded")
            }
            None => refused(400, "missing 'file' in form-data"),
        }
    }

    /// `UploadedFileMergeReq`: the identifier is field 4. Chunks that are there are not joined to a file here.
    pub(super) fn merge_chunks(&self, sid: &str, body: &[(u64, Held)]) -> Answer {
        let identifier = wire::text(body, 4);
        if identifier.is_empty() {
            return common_protobuf(200, false, "invalid empty resumableIdentifier");
        }
        let folder = format!("{sid}/{identifier}/");
        if self.chunks.keys().any(|chunk| chunk.starts_with(&folder)) {
            return common_protobuf(200, true, "file uploaded successfully");
        }
        let message = format!(
            "requested file's chunks not found for identifier {identifier}, make sure those were uploaded"
        );
        common_protobuf(200, false, &message)
    }

    /// `UploadBase64EncodedDataReq`, of whose data only the length is kept. The list of a room's files had one entry after
    /// two uploads of nothing, so the id is made of the content here.
    pub(super) fn upload_base64(&mut self, room_id: &str, sid: &str, raw: &[u8]) -> Answer {
        let sum = digest::digest(&digest::SHA256, raw);
        let mut id = [0; 16];
        id.copy_from_slice(&sum.as_ref()[..16]);
        let (id, path) = (uuid_of(id), format!("{sid}/{}", uuid()));
        if let Some(room) = self.room(room_id) {
            room.uploads.retain(|(known, _)| *known != id);
            room.uploads.push((id.clone(), path.clone()));
        }
        let answer = Message::default()
            .number(1, 1)
            .text(2, "file uploaded successfully")
            .text(3, &path)
            .text(4, &id)
            .text(5, "txt")
            .text(6, "text/plain");
        protobuf(200, answer.build())
    }

    pub(super) fn room_files(&mut self, room_id: &str) -> Answer {
        let uploads = self.room(room_id).map(|room| room.uploads.clone());
        let list = uploads.unwrap_or_default().into_iter().fold(
            Message::default().number(1, 1).text(2, "success"),
            |list, (id, path)| {
                let entry = Message::default()
                    .text(2, &id)
                    .text(3, &path)
                    .text(4, "text/plain");
                list.bytes(3, &entry.build())
            },
        );
        protobuf(200, list.build())
    }
}

/// Fiber's `SendFile`: the whole file, whatever range is asked for.
fn sent(seen: &Seen, file: &File, disposition: &str) -> Answer {
    if seen.first("if-modified-since") == Some(&file.modified) {
        return Response::builder().status(304).body(text_body("")).unwrap();
    }
    Response::builder()
        .header(header::CONTENT_TYPE, file.media_type)
        .header(header::CONTENT_DISPOSITION, disposition)
        .header(header::LAST_MODIFIED, &file.modified)
        .body(text_body(file.bytes.clone()))
        .unwrap()
}

/// The content of the part named `file`.
fn file_in_form(body: &[u8]) -> Option<&[u8]> {
    let find = |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).position(|at| at == wanted);
    let part = &body[find(body, b"name=\"file\"")?..];
    let content = &part[find(part, b"\r\n\r\n")? + 4..];
    Some(&content[..find(content, b"\r\n--")?])
}
