//! The script in the client's page that tells whoever waits to be let in that many are joining, and how many are before.
//!
//! It stands beside the line in the client's root element, and goes with it. When the client has taken the element, the
//! script asks `joining` beside the page every ten seconds, until the client's `verifyToken` is answered. What it shows is an
//! element of its own at the end of the body, above the client's "Loading"; nothing of the client's is touched. Most people
//! are let in before it asks for the first time.
//!
//! Not here: who waits (`crate::joining`), the answer to the script (`crate::route`), the page's policy, which allows the
//! script by its hash.
//!
//! Sources: docs/plugnmeet.md section 5 (`verifyToken`); WAI-ARIA 1.2, role `status`; the client's
//! `src/components/extra-pages/Loading.tsx` (`z-index` 999).

use aws_lc_rs::digest;
use base64::{Engine, prelude::BASE64_STANDARD};
use maud::{Markup, PreEscaped, html};

use crate::reply::{Label, Language};

/// Without comments and indentation, as every reader loads it.
const SCRIPT: &str = include_str!("waiting.js");

/// White on dark (contrast 15 to 1), below the client's own line, where no click is caught.
const STYLE: &str = "position:fixed;inset:auto 1rem 12%;z-index:1000;width:fit-content;max-width:36rem;margin:0 auto;\
                     padding:.75rem 1.25rem;border-radius:.5rem;background:#1c2733;color:#fff;text-align:center;\
                     font:1rem/1.5 system-ui,sans-serif;pointer-events:none";

/// The script's element. SECURITY: its text is the same in every page, for the sake of the hash; the words are attributes.
pub(super) fn script(language: Language) -> Markup {
    html! {
        script lang=(language.tag()) dir=(language.direction()) data-words=(Label::ManyJoining.text(language))
            data-style=(STYLE) { (PreEscaped(SCRIPT)) }
    }
}

/// The source of the script in a policy (CSP level 3, section 2.3.1).
pub fn waiting_script() -> String {
    let hash = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, SCRIPT.as_bytes()));
    format!("'sha256-{hash}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A browser hashes the element's text as it reads it: LF alone ends lines, and nothing in it ends the element.
    #[test]
    fn the_script_reads_as_it_is_written() {
        assert!(!SCRIPT.contains(['\r', '\0']) && SCRIPT.is_ascii());
        assert!(!SCRIPT.contains("</") && !SCRIPT.contains("<!--"));
        let element = script(Language::De).into_string();
        let (start, rest) = element.split_once('>').unwrap();
        assert_eq!(rest, format!("{SCRIPT}</script>"));
        assert!(
            start.starts_with("<script lang=\"de\" dir=\"ltr\" data-words=\"Gerade treten sehr viele"),
            "{start}"
        );
        assert!(
            script(Language::Ar)
                .into_string()
                .starts_with("<script lang=\"ar\" dir=\"rtl\"")
        );
    }
}
