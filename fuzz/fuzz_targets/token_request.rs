//! Any body of `getJoinToken`: read as protojson reads it or refused, and never a panic. What is read twice is the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plugnmeet_gateway::issue::request;

fuzz_target!(|body: &[u8]| {
    let once = request::read(body);
    if let Ok(request) = &once {
        assert!(
            !request.room_id.is_empty() && !request.name.is_empty(),
            "{request:?}"
        );
        assert!(request.room_id.is_ascii(), "{request:?}");
        assert_eq!(request::read(body).ok().as_ref(), Some(request));
    } else if let Err(error) = &once {
        assert!(!error.to_string().is_empty());
    }
});
