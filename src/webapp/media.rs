//! What a file's name says of it: its media type, whether it can be made smaller, and how long a browser may keep it.
//!
//! Source: docs/plugnmeet.md section 12 "MIME" and "Hashed names".

use std::path::Path;

use hyper::header::HeaderValue;

/// The media type of a file by its name. Browsers refuse module scripts and streaming WebAssembly under any other type.
pub(super) fn content_type(name: &str) -> HeaderValue {
    let ending = Path::new(name)
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let fixed = match ending.as_str() {
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "mp3" => "audio/mpeg",
        "tflite" => "application/octet-stream",
        "wasm" => "application/wasm",
        "woff" => "font/woff",
        "woff2" => "font/woff2",
        _ => return guessed(name),
    };
    HeaderValue::from_static(fixed)
}

fn guessed(name: &str) -> HeaderValue {
    let guess = mime_guess::from_path(name).first_or_octet_stream();
    let text = if guess.type_() == mime_guess::mime::TEXT {
        format!("{guess}; charset=utf-8")
    } else {
        guess.to_string()
    };
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

/// Is a file of this type worth compressing? Pictures, sound, film, web fonts and archives are compressed already.
pub(super) fn is_compressible(content_type: &HeaderValue) -> bool {
    let text = content_type.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    let (kind, subtype) = essence.split_once('/').unwrap_or_default();
    match kind {
        "text" => true,
        "application" => {
            matches!(
                subtype,
                // The last is for whatever has no type of its own, such as models of neural networks.
                "javascript" | "json" | "wasm" | "xml" | "octet-stream"
            ) || subtype.ends_with("+json")
                || subtype.ends_with("+xml")
        }
        "image" => matches!(subtype, "svg+xml" | "x-icon" | "vnd.microsoft.icon" | "bmp"),
        "font" => matches!(subtype, "ttf" | "otf" | "collection"),
        _ => false,
    }
}

/// Is this a script or WebAssembly, which a browser runs and does not display?
pub(super) fn is_script(content_type: &HeaderValue) -> bool {
    let text = content_type.to_str().unwrap_or_default();
    text.starts_with("text/javascript") || text == "application/wasm" || text == "application/octet-stream"
}

/// How long a browser, or a cache on the way, may keep a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// For a year, which is as long as anybody keeps anything: the address never means another content.
    ForGood,
    /// Until it is asked for again: a `304` answers that.
    AskAgain,
}

impl Keep {
    /// A name with a hash of the content never means another content.
    pub fn by_name(name: &str) -> Self {
        if has_content_hash(name) {
            Self::ForGood
        } else {
            Self::AskAgain
        }
    }

    pub fn cache_control(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::ForGood => "public, max-age=31536000, immutable",
            Self::AskAgain => "no-cache",
        })
    }
}

/// Does the name hold a hash of the content? Only the bundler's folders have such names, of the form `name.HASH.ext`.
pub(super) fn has_content_hash(name: &str) -> bool {
    let Some((folder, file)) = name.rsplit_once('/') else {
        return false;
    };
    let mut from_end = file.rsplitn(3, '.').skip(1);
    let (Some(hash), Some(_stem)) = (from_end.next(), from_end.next()) else {
        return false;
    };
    matches!(
        folder,
        "assets/js" | "assets/chunks" | "assets/css" | "assets/worker"
    ) && hash.len() == 8
        && hash
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_file_has_the_type_that_browsers_ask_for() {
        for (name, expected) in [
            ("assets/js/main.Cq0qsXkl.js", "text/javascript; charset=utf-8"),
            ("x.MJS", "text/javascript; charset=utf-8"),
            ("assets/css/main.CwAhzGqq.css", "text/css; charset=utf-8"),
            ("assets/lti/v1.html", "text/html; charset=utf-8"),
            ("x.txt", "text/plain; charset=utf-8"),
            ("assets/locales/en/translation.json", "application/json"),
            ("x.js.map", "application/json"),
            ("x.wasm", "application/wasm"),
            ("x.tflite", "application/octet-stream"),
            ("x.mp3", "audio/mpeg"),
            ("x.woff", "font/woff"),
            ("x.woff2", "font/woff2"),
            ("x.ttf", "font/ttf"),
            ("x.ico", "image/x-icon"),
            ("x.jpg", "image/jpeg"),
            ("x.png", "image/png"),
            ("x.svg", "image/svg+xml"),
            ("LICENSE", "application/octet-stream"),
        ] {
            assert_eq!(content_type(name), expected, "{name}");
        }
    }

    #[test]
    fn what_is_compressed_already_is_left_alone() {
        let compressible = |name: &str| is_compressible(&content_type(name));
        for name in [
            "x.js",
            "x.mjs",
            "x.css",
            "x.html",
            "x.json",
            "x.map",
            "x.txt",
            "x.wasm",
            "x.svg",
            "x.ico",
            "x.ttf",
            "x.tflite",
            "x.xml",
            "x.webmanifest",
        ] {
            assert!(compressible(name), "{name}");
        }
        for name in [
            "x.jpg", "x.png", "x.webp", "x.gif", "x.woff", "x.woff2", "x.mp3", "x.mp4", "x.zip", "x.gz",
            "x.pdf",
        ] {
            assert!(!compressible(name), "{name}");
        }
    }

    #[test]
    fn only_a_name_with_a_content_hash_is_kept_for_ever() {
        for name in [
            "assets/js/main-module.Cq0qsXkl.js",
            "assets/chunks/vendor.CB7Ld50-.js",
            "assets/css/vendor.CZnR2ujB.css",
            "assets/worker/livekit-client.e2ee.worker.Ctt3rRB9.js",
            "assets/chunks/a.b_c-D3f4.js",
        ] {
            assert_eq!(Keep::by_name(name), Keep::ForGood, "{name}");
        }
        assert_eq!(
            Keep::ForGood.cache_control(),
            "public, max-age=31536000, immutable"
        );
        for name in [
            "index.html",
            "assets/config.js",
            "assets/fonts/inter-v12-latin-100.woff2",
            "assets/fonts/Inter.Cq0qsXkl.woff2",
            "assets/js/deep/main.Cq0qsXkl.js",
            "assets/js/main.js",
            "assets/js/Cq0qsXkl.js",
            "assets/js/main.Cq0qsXk.js",
            "assets/js/main.Cq0qsXkl+.js",
            "other/assets/js/main.Cq0qsXkl.js",
        ] {
            assert_eq!(Keep::by_name(name), Keep::AskAgain, "{name}");
        }
    }
}
