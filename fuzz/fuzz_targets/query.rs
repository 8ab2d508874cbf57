//! Any query: parameters are read as the URL standard's own parser reads them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plugnmeet_gateway::query::Query;

fuzz_target!(|query: &str| {
    for name in ["access_token", "custom_design", "checksum"] {
        let mut expected = url::form_urlencoded::parse(query.as_bytes())
            .filter(|(found, _)| found == name)
            .map(|(_, value)| value.into_owned());
        let (first, second) = (expected.next(), expected.next());
        match Query(query).only(name) {
            Ok(found) => {
                let first = first.filter(|value| !value.is_empty());
                assert_eq!(found.map(|value| value.into_owned()), first, "{query:?}");
                assert_eq!(second, None, "{query:?}");
            }
            Err(_repeated) => assert!(second.is_some(), "{query:?}"),
        }
    }
});
