//! Any call of BBB's API: what is not signed is refused, and a join's parameters are read as the URL standard reads a form.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use plugnmeet_gateway::{secret::Secret, token::TokenKeys};

/// What the reader names of the library.
mod token {
    pub use plugnmeet_gateway::token::TokenKeys;
}
mod reply {
    pub use plugnmeet_gateway::reply::*;
}
mod urls {
    pub use plugnmeet_gateway::urls::BbbCall;
}

#[allow(dead_code, reason = "the answers to refusals are not asked for here")]
#[path = "../../src/issue/bbb.rs"]
mod bbb;
#[allow(dead_code, reason = "the answers to refusals are not asked for here")]
#[path = "../../src/issue/bbb_refusal.rs"]
mod bbb_refusal;

static KEYS: LazyLock<TokenKeys> = LazyLock::new(|| {
    TokenKeys::new(
        "plugnmeet".into(),
        &Secret::new("zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6".into()),
    )
    .expect("sound keys")
});

fuzz_target!(|data: &[u8]| {
    let path = bbb::BbbPath::of("/plugnmeet/bigbluebutton/api/join", urls::BbbCall::Join);
    for (query, form) in [(data, None), (&b""[..], Some(data)), (data, Some(data))] {
        assert!(
            bbb::signed_parameters(path, query, form, &KEYS).is_err(),
            "nobody signed {data:?}"
        );
    }
    let values = |wanted: &str| -> Vec<String> {
        url::form_urlencoded::parse(data)
            .filter(|(name, _)| name.replace(['[', ']'], "").eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.into_owned())
            .collect()
    };
    match bbb::join_ids(data) {
        Ok(joining) => {
            assert_eq!(values("meetingID").concat(), joining.meeting_id, "{data:?}");
            assert_eq!(values("userID").concat(), joining.user_id, "{data:?}");
        }
        Err(_repeated) => assert!(
            values("meetingID").len() > 1 || values("userID").len() > 1,
            "{data:?}"
        ),
    }
});
