//! Does an international name imitate another one?
//!
//! A person who reads a link, a log or a page must not mistake one host for another: `аpple.example` with a Cyrillic
//! `а` is not `apple.example`. Within a label, scripts may be mixed as far as browsers let them be shown; and no label
//! may look exactly like one of the names that the operator has written down.
//!
//! Not here: look-alikes within ASCII (`rn` for `m`), which nobody can tell from names.
//!
//! Sources: UTS 39 sections 4 (skeletons) and 5.2 (restriction levels), RFC 3492 (punycode).

use unicode_security::{RestrictionLevel, RestrictionLevelDetection, confusable_detection::skeleton};

/// Does `host` imitate one of the `known` names? Both are in lower case and punycode, as the URL parser writes them.
pub(super) fn imitates<'a>(host: &str, known: &(impl Iterator<Item = &'a str> + Clone)) -> bool {
    host.split('.')
        .filter(|label| label.starts_with("xn--"))
        .any(|label| {
            let (read, _) = idna::domain_to_unicode(label);
            !read.check_restriction_level(RestrictionLevel::HighlyRestrictive)
                || known
                    .clone()
                    .flat_map(|known| known.split('.'))
                    .any(|known| known != label && looks_like(&read, known))
        })
}

fn looks_like(read: &str, known: &str) -> bool {
    let (known, _) = idna::domain_to_unicode(known);
    skeleton(read).eq(skeleton(&known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imitation(host: &str) -> bool {
        let host = url::Host::parse(host).unwrap().to_string();
        imitates(
            &host,
            &["conf.scope.example", "xn--bcher-kva.example"].iter().copied(),
        )
    }

    #[test]
    fn one_script_is_a_name_and_two_are_an_imitation() {
        for host in [
            "bücher.example",
            "пример.example",
            "παράδειγμα.example",
            "例え.example",
            "日本tv.example",
            "사과-1.example",
            "cdn.example",
        ] {
            assert!(!imitation(host), "{host}");
        }
        for host in [
            "\u{430}pple.example",
            "p\u{430}ypal.example",
            "a.goog\u{ff4c}e.g\u{3bf}ogle.example",
            "пример-x.example",
            "ex\u{430}mple\u{3c9}.example",
        ] {
            assert!(imitation(host), "{host}");
        }
    }

    #[test]
    fn no_label_looks_like_one_that_the_operator_knows() {
        for host in [
            "\u{455}\u{441}\u{43e}\u{440}\u{435}.example",
            "a.\u{455}\u{441}\u{43e}\u{440}\u{435}.net",
            "\u{441}\u{43e}\u{3b7}f.example",
        ] {
            assert!(imitation(host), "{host}");
        }
        for host in ["scope.example", "bücher.example", "conf.example", "сору.example"] {
            assert!(!imitation(host), "{host}");
        }
    }
}
