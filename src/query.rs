//! Query strings, read as a browser's `URLSearchParams` reads them and changed without touching what stays.
//!
//! The client takes its token and its design from `location.search` through `URLSearchParams` (docs/plugnmeet.md
//! section 6), so a name spelled `access%5Ftoken` counts, `+` is a blank, and bytes that are no UTF-8 become U+FFFD.
//! The parameters that stay keep their bytes and their order.

use std::borrow::Cow;

/// A query string, without its `?`.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a>(pub &'a str);

/// A parameter that may occur once occurs twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeated;

impl<'a> Query<'a> {
    /// The decoded value of a parameter that may occur at most once. An empty value counts as none.
    pub fn only(self, name: &str) -> Result<Option<Cow<'a, str>>, Repeated> {
        let mut named = self.pieces().filter(|piece| is_named(piece, name));
        let found = named.next();
        if named.next().is_some() {
            return Err(Repeated);
        }
        let value = found.and_then(decode).map(|(_, value)| value);
        Ok(value.filter(|value| !value.is_empty()))
    }

    /// Does the query have a parameter of this name, with any value?
    pub fn has(self, name: &str) -> bool {
        self.pieces().any(|piece| is_named(piece, name))
    }

    /// The query without the parameters of this name.
    pub fn without(self, name: &str) -> String {
        self.pieces()
            .filter(|piece| !is_named(piece, name))
            .collect::<Vec<_>>()
            .join("&")
    }

    /// The query with another value for the parameters of this name. The value is encoded here.
    pub fn with(self, name: &str, value: &str) -> String {
        self.with_in_place_of(name, name, value)
    }

    /// The query with the parameters of this name replaced by parameter `other`. Its value is encoded here.
    pub fn with_in_place_of(self, name: &str, other: &str, value: &str) -> String {
        let encoded: String = form_urlencoded::Serializer::new(String::new())
            .append_pair(other, value)
            .finish();
        self.pieces()
            .map(|piece| {
                if is_named(piece, name) {
                    encoded.as_str()
                } else {
                    piece
                }
            })
            .collect::<Vec<_>>()
            .join("&")
    }

    /// The names of the parameters, each once.
    pub fn names(self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in self.pieces().filter_map(decode) {
            if !name.is_empty() && !names.iter().any(|known| *known == name) {
                names.push(name.into_owned());
            }
        }
        names
    }

    fn pieces(self) -> impl Iterator<Item = &'a str> {
        self.0.split('&')
    }
}

fn decode(piece: &str) -> Option<(Cow<'_, str>, Cow<'_, str>)> {
    form_urlencoded::parse(piece.as_bytes()).next()
}

/// Does the piece have this name, which is not empty? The value, which may be a long token, is not decoded.
fn is_named(piece: &str, name: &str) -> bool {
    let key = piece.split('=').next().and_then(decode);
    key.is_some_and(|(key, _)| key == name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token(query: &str) -> Result<Option<Cow<'_, str>>, Repeated> {
        Query(query).only("access_token")
    }

    #[test]
    fn reads_a_parameter_as_url_search_params_does() {
        assert_eq!(token("a=1&access_token=x.y.z"), Ok(Some("x.y.z".into())));
        assert_eq!(token("access%5Ftoken=x%2Ey+z"), Ok(Some("x.y z".into())));
        assert_eq!(token("access_token=a=b"), Ok(Some("a=b".into())));
        assert_eq!(token("Access_Token=x&access_token%20=x"), Ok(None));
    }

    #[test]
    fn one_empty_parameter_is_none_and_two_are_refused() {
        assert_eq!(token("access_token=&b=1"), Ok(None));
        assert_eq!(token("access_token"), Ok(None));
        assert_eq!(token("access_token=&access_token=x"), Err(Repeated));
        assert_eq!(token("access_token=x&access%5ftoken"), Err(Repeated));
    }

    #[test]
    fn what_stays_stays_byte_for_byte() {
        let query = Query("b=%7e&&access_token=x&c=+%2B&d");
        assert_eq!(query.without("access_token"), "b=%7e&&c=+%2B&d");
        assert_eq!(
            query.with("access_token", "é&"),
            "b=%7e&&access_token=%C3%A9%26&c=+%2B&d"
        );
        assert_eq!(
            query.with_in_place_of("access_token", "other", "é&"),
            "b=%7e&&other=%C3%A9%26&c=+%2B&d"
        );
        assert_eq!(Query("access_token=x").without("access_token"), "");
    }

    proptest! {
        #[test]
        fn nothing_of_that_name_is_left(query in "[ab_=&%5F+]{0,40}") {
            let left = Query(&query).without("a_b");
            prop_assert!(!Query(&left).has("a_b"));
        }
    }
}
