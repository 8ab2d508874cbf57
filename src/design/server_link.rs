//! Mends the query of a link that plugnmeet-server wrote. The redirect and the XML of BBB's `join` have the design
//! behind the token as raw JSON, without any escapes.
//!
//! The meeting's creator gave the design to the server, and the person who joins can't mend it. So bad fields are taken
//! out under either value of `design.on_invalid`.
//!
//! Sources: docs/plugnmeet.md sections 0.19 and 7.

use serde_json::{Deserializer, value::RawValue};

use super::{Breach, DESIGN_PARAMETER, DesignRules, OnInvalid, Verdict};
use crate::query::{Query, Repeated};

/// The text before a design in a link of the server's.
const RAW_DESIGN: &str = "&custom_design={";

/// The query of a server's link, encoded as a browser would send it, without bad fields in its design.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerQuery {
    /// The link's query, with the design percent-encoded.
    pub query: String,
    /// The breaches for which fields were taken out of the design.
    pub taken: Vec<Breach>,
}

impl DesignRules {
    /// Encodes the query of a server's link and takes bad fields out of its design. A query with two designs is
    /// refused.
    pub fn of_server(&self, raw: &str) -> Result<ServerQuery, Repeated> {
        let query = encoded(raw);
        let Some(design) = Query(&query).only(DESIGN_PARAMETER)? else {
            let taken = Vec::new();
            return Ok(ServerQuery { query, taken });
        };
        let (query, taken) = match self.check_as(&design, OnInvalid::Strip) {
            Verdict::Absent | Verdict::Good(_) => (query.clone(), Vec::new()),
            Verdict::Stripped {
                left: Some(left),
                taken,
            } => (Query(&query).with(DESIGN_PARAMETER, &left.to_json()), taken),
            Verdict::Stripped { left: None, taken } | Verdict::Refused(taken) => {
                (Query(&query).without(DESIGN_PARAMETER), taken)
            }
        };
        Ok(ServerQuery { query, taken })
    }
}

/// The query encoded as a browser would send it: with the design percent-encoded, and without a fragment.
pub fn encoded(raw: &str) -> String {
    let Some((before, design)) = raw.split_once(RAW_DESIGN) else {
        return without_fragment(raw).to_owned();
    };
    let design = format!("{{{design}");
    let mut values = Deserializer::from_str(&design).into_iter::<&RawValue>();
    // What is not JSON is the check of designs to take out.
    let (json, rest) = match values.next() {
        Some(Ok(json)) => (json.get(), design.get(values.byte_offset()..).unwrap_or_default()),
        Some(Err(_)) | None => (design.as_str(), ""),
    };
    let parameter = Query("custom_design=").with(DESIGN_PARAMETER, json);
    format!("{before}&{parameter}{}", without_fragment(rest))
}

/// The query without a fragment. No join link has one, and behind a token it would be read as a part of the token.
fn without_fragment(query: &str) -> &str {
    query.split_once('#').map_or(query, |(query, _)| query)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;
    use crate::design::{DesignSettings, Rule};

    fn of_server(raw: &str) -> Result<(String, Vec<(String, Rule)>), Repeated> {
        let origin = Url::parse("https://conf.example.org").unwrap();
        let settings = DesignSettings::new(OnInvalid::Reject, &[], &["*".to_owned()], &origin).unwrap();
        let mended = DesignRules::new(settings).of_server(raw)?;
        let taken = mended.taken.into_iter().map(|breach| (breach.field, breach.rule));
        Ok((mended.query, taken.collect()))
    }

    #[test]
    fn a_link_of_the_servers_keeps_what_is_good() {
        for (raw, query, taken) in [
            ("access_token=x&a=1#b", "access_token=x&a=1", &[][..]),
            (
                r##"access_token=x&custom_design={"primary_color":"#fff","custom_logo":"http://a.example/l.png"}"##,
                "access_token=x&custom_design=%7B%22primary_color%22%3A%22%23fff%22%7D",
                &[("custom_logo", Rule::NotHttps)],
            ),
            (
                r#"access_token=x&custom_design={"custom_css_url":"https://lms.example.org/a.css","x":1}&b"#,
                "access_token=x&b",
                &[
                    ("custom_css_url", Rule::ForeignStylesheet),
                    ("x", Rule::UnknownKey),
                ],
            ),
            (
                "access_token=x&custom_design={broken&b",
                "access_token=x",
                &[("custom_design", Rule::NotJson)],
            ),
            (
                "access_token=x&custom_design=null",
                "access_token=x",
                &[("custom_design", Rule::NotAnObject)],
            ),
        ] {
            let taken = taken
                .iter()
                .map(|(field, rule)| ((*field).to_owned(), *rule))
                .collect();
            assert_eq!(of_server(raw), Ok((query.to_owned(), taken)), "{raw}");
        }
        assert_eq!(of_server("custom_design={}&custom_design={}"), Err(Repeated));
    }
}
