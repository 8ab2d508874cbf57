//! `custom_design`, from any bytes: nothing panics, and no accepted value leaves the place that the client pastes it into.
//!
//! The bytes are the whole document, and once more the value of each kind of field, as few bytes are JSON by chance.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use plugnmeet_gateway::design::{Design, DesignRules, DesignSettings, MAX_BYTES, OnInvalid, Verdict};
use serde_json::json;
use url::Url;

#[allow(dead_code, reason = "the judge has more questions than are asked here")]
#[path = "../../src/design/outline.rs"]
mod outline;

static RULES: LazyLock<[DesignRules; 2]> = LazyLock::new(|| {
    let origin = Url::parse("https://conf.example.org").expect("an origin");
    let any = ["*".to_owned()];
    [OnInvalid::Reject, OnInvalid::Strip].map(|on_invalid| {
        DesignRules::new(DesignSettings::new(on_invalid, &any, &any, &origin).expect("hosts"))
    })
});

fuzz_target!(|data: &[u8]| {
    // As `URLSearchParams` makes text of bytes.
    let text = String::from_utf8_lossy(data);
    let around = json!({"primary_color": text, "custom_logo": text, "header_bg_color": "red"}).to_string();
    let after_a_scheme = json!({"background_image": format!("https://{text}")}).to_string();
    for document in [&text, around.as_str(), after_a_scheme.as_str()] {
        for rules in &*RULES {
            rules.inspect(document.as_bytes());
            match rules.check(document) {
                Verdict::Good(design)
                | Verdict::Stripped {
                    left: Some(design), ..
                } => judge(rules, &design),
                Verdict::Absent | Verdict::Stripped { left: None, .. } | Verdict::Refused(_) => {}
            }
        }
    }
});

fn judge(rules: &DesignRules, design: &Design) {
    for design in [design, &design.canonical()] {
        assert!(outline::design_stays_in_place(design.iter()), "{design:?}");
        let json = design.to_json();
        // What is left of a design is good by itself, so that a redirect to it is the last. A canonical colour may be the
        // longer one.
        if json.len() <= MAX_BYTES {
            assert_eq!(rules.check(&json), Verdict::Good(design.clone()));
        }
    }
}
