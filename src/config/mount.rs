//! The path at which the client is served. It must be clean, and must not be a path of the server's.
//!
//! Source: docs/plugnmeet.md section 8 (the server's paths; it ignores case).

use super::kind::{Kind, Refusal};
use crate::urls::is_taken;

pub(super) const MOUNT: Kind<String> = Kind::new(
    "write / or a path of letters, digits and . _ ~ - such as /conference",
    |text| {
        let Some(path) = text.strip_prefix('/') else {
            return Err(Refusal::new("does not begin with a slash"));
        };
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            return if text == "/" {
                Ok(String::new())
            } else {
                Err(Refusal::new("has an empty segment"))
            };
        }
        let segments: Vec<&str> = path.split('/').collect();
        if !segments.iter().all(|segment| is_clean(segment)) {
            return Err(Refusal::new("is no clean path"));
        }
        if is_taken(segments.first().unwrap_or(&""), segments.get(1).copied()) {
            return Err(Refusal::new("is a path of plugNmeet's own"));
        }
        Ok(format!("/{path}"))
    },
)
.like(r"^/");

fn is_clean(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
        && segment
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'~' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_kept_without_its_last_slash() {
        for (text, mount) in [
            ("/", ""),
            ("/conference", "/conference"),
            ("/a/B.c_~-/", "/a/B.c_~-"),
        ] {
            assert_eq!((MOUNT.parse)(text), Ok(mount.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_mount_in_the_way_of_plugnmeet_is_refused() {
        for text in [
            "/auth",
            "/API",
            "/ws/x",
            "/assets",
            "/login.html",
            "/k/bigbluebutton/api",
            "/healthCheck",
        ] {
            assert_eq!(
                (MOUNT.parse)(text),
                Err(Refusal::new("is a path of plugNmeet's own")),
                "{text}"
            );
        }
    }

    #[test]
    fn an_unclean_mount_is_refused() {
        for (text, why) in [
            ("", "does not begin with a slash"),
            ("conference", "does not begin with a slash"),
            ("//", "has an empty segment"),
            ("/a//b", "is no clean path"),
            ("/a/..", "is no clean path"),
            ("/a%20b", "is no clean path"),
            ("/a b", "is no clean path"),
            ("/a?b", "is no clean path"),
        ] {
            assert_eq!((MOUNT.parse)(text), Err(Refusal::new(why)), "{text}");
        }
    }
}
