//! A call of BBB's API: what the server will read of it, and whether all of that is signed.
//!
//! The server checks the checksum over one piece of the request and takes its parameters from another. It signs what is
//! between the first and the second `?`, up to the first `checksum=`, and reads what follows as well; it signs the body
//! of a form and reads the query beside it; behind a trailing slash it signs no method, so that a link to `join` with
//! its first parameter renamed is a call of anything. A request passes here if the two pieces are one and the same, in
//! the form that every client sends: `method?parameters&checksum=sum`, or all of that in a form.
//!
//! Not here: counting joins, reading the body (`super::joins`), what a refusal says (`super::bbb_refusal`).
//!
//! Sources: docs/plugnmeet.md sections 0.17, 5 and 8; plugnmeet-server 2.4.0, its BBB controller.

use hyper::{
    HeaderMap, Method,
    header::{self, HeaderValue},
};
use memchr::memmem;
use percent_encoding::percent_decode;

use super::bbb_refusal::BbbRefusal;
use crate::{token::TokenKeys, urls::BbbCall};

/// The path of a call, taken apart as the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BbbPath<'a> {
    /// The API key; not a secret.
    pub key: &'a str,
    /// The method that the checksum covers: what follows the last slash.
    method: &'a str,
    call: BbbCall,
}

impl<'a> BbbPath<'a> {
    /// Takes the path of a call apart; `call` is what the path's row says.
    pub(super) fn of(path: &'a str, call: BbbCall) -> Self {
        let mut segments = path.trim_start_matches('/').split('/');
        Self {
            key: segments.next().unwrap_or_default(),
            method: segments.next_back().unwrap_or_default(),
            call,
        }
    }

    /// Is this the API's own path, without a method?
    pub(super) fn is_bare(self) -> bool {
        self.call == BbbCall::Bare
    }

    /// Does this call come with a list of slides? Nothing in it is signed, so it is taken where the server reads it and
    /// nowhere else: by a POST to `create`, as XML.
    pub(super) fn takes_slides(self, method: &Method, headers: &HeaderMap) -> bool {
        let media = headers
            .get(header::CONTENT_TYPE)
            .map_or(&b""[..], HeaderValue::as_bytes);
        let essence = media
            .split(|byte| *byte == b';')
            .next()
            .unwrap_or_default()
            .trim_ascii();
        let is_xml = [&b"application/xml"[..], b"text/xml"]
            .iter()
            .any(|xml| essence.eq_ignore_ascii_case(xml));
        method == Method::POST && is_xml && self.call == BbbCall::Create
    }

    /// Does this call issue a token?
    pub(super) fn is_join(self) -> bool {
        self.call == BbbCall::Join
    }

    /// The method that the checksum covers. A path that ends in a slash has none, and is refused.
    fn method(self) -> Result<&'a str, BbbRefusal> {
        match self.method {
            "" => Err(BbbRefusal::NoMethod),
            method => Ok(method),
        }
    }
}

/// Does the server take checksum and parameters from the body? It compares the whole type, exactly.
pub(super) fn is_form(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::POST
        && headers
            .get(header::CONTENT_TYPE)
            // HTTP/2 passes blanks on, and the server takes them off.
            .is_some_and(|media| media.as_bytes().trim_ascii() == b"application/x-www-form-urlencoded")
}

/// The parameters of a call, if all of them are signed: `query`, or `form` where there is one.
pub(super) fn signed_parameters<'d>(
    path: BbbPath<'_>,
    query: &'d [u8],
    form: Option<&'d [u8]>,
    keys: &TokenKeys,
) -> Result<&'d [u8], BbbRefusal> {
    let method = path.method()?;
    let data = match form {
        Some(_) if !query.is_empty() => return Err(BbbRefusal::QueryBesideForm),
        Some(form) => form,
        None if query.contains(&b'?') => return Err(BbbRefusal::TwoQueries),
        None => query,
    };
    let (parameters, checksum) = split(data)?;
    if keys.is_bbb_checksum(method.as_bytes(), parameters, checksum) {
        Ok(parameters)
    } else {
        Err(BbbRefusal::WrongChecksum)
    }
}

/// What is signed, and the checksum. The server takes off one `&` between them, and looks for these very bytes.
fn split(data: &[u8]) -> Result<(&[u8], &[u8]), BbbRefusal> {
    const NAME: &[u8] = b"checksum=";
    let mut found = memmem::find_iter(data, NAME);
    let at = found.next().ok_or(BbbRefusal::NoChecksum)?;
    if found.next().is_some() {
        return Err(BbbRefusal::TwoChecksums);
    }
    let (before, rest) = data.split_at_checked(at).ok_or(BbbRefusal::NoChecksum)?;
    let checksum = rest.strip_prefix(NAME).ok_or(BbbRefusal::NoChecksum)?;
    let parameters = match before.split_last() {
        None => before,
        Some((b'&', parameters)) => parameters,
        Some(_) => return Err(BbbRefusal::OddChecksum),
    };
    if checksum.contains(&b'&') {
        return Err(BbbRefusal::OddChecksum);
    }
    if named(parameters, b"checksum").next().is_some() {
        return Err(BbbRefusal::TwoChecksums);
    }
    Ok((parameters, checksum))
}

/// The meeting and the user of a join, by the platform's ids.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JoinIds {
    /// The platform's id of the meeting. The server makes the room's id from it: the same id if it is valid, else a
    /// hash. So one meeting is one room.
    pub meeting_id: String,
    /// The platform's id for the user; may be empty. In the room the user gets another id.
    pub user_id: String,
}

/// Reads a join's signed parameters.
pub(super) fn join_ids(parameters: &[u8]) -> Result<JoinIds, BbbRefusal> {
    let only = |name: &[u8]| {
        let mut values = named(parameters, name);
        match (values.next(), values.next()) {
            (value, None) => Ok(String::from_utf8_lossy(&value.unwrap_or_default()).into_owned()),
            (_, Some(_)) => Err(BbbRefusal::Repeated),
        }
    };
    Ok(JoinIds {
        meeting_id: only(b"meetingID")?,
        user_id: only(b"userID")?,
    })
}

/// The values of a parameter. The server's binder ignores case and takes brackets off a name.
fn named<'p>(parameters: &'p [u8], name: &'p [u8]) -> impl Iterator<Item = Vec<u8>> + 'p {
    parameters.split(|byte| *byte == b'&').filter_map(move |piece| {
        let mut halves = piece.splitn(2, |byte| *byte == b'=');
        let mut found = decoded(halves.next()?);
        found.retain(|byte| !matches!(byte, b'[' | b']'));
        found
            .eq_ignore_ascii_case(name)
            .then(|| decoded(halves.next().unwrap_or_default()))
    })
}

fn decoded(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'+' { b' ' } else { *byte })
        .collect();
    percent_decode(&spaced).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret::Secret;

    fn keys() -> TokenKeys {
        TokenKeys::new(
            "plugnmeet".into(),
            &Secret::new("zumyyYWqv7KR2kUqvYdq4z4sXg7XTBD2ljT6".into()),
        )
        .unwrap()
    }

    fn judged(command: &str, query: &str) -> Result<(), BbbRefusal> {
        let path = format!("/plugnmeet/bigbluebutton/api/{command}");
        let path = BbbPath::of(&path, BbbCall::Other);
        signed_parameters(path, query.as_bytes(), None, &keys()).map(|_| ())
    }

    /// Sums by Python's hashlib: sha1(method + query + secret).
    const JOIN: &str = "fullName=Ann%20B&meetingID=room-1&password=mp&userID=u1";
    const JOIN_SUM: &str = "711e4955c622ccd4cd84be4353d6c9dd074e9137";
    const NO_PARAMETERS_SUM: &str = "817772f12208e635214ee9e492ce673af8c6fa0d";
    const CREATE: &str = "name=x&meetingID=m+%E2%82%AC&welcome=a%3Fb";
    const CREATE_SUM: &str = "5da28b39be938c75abe4135155bfdc14185a0440";

    #[test]
    fn a_path_has_a_key_and_a_method() {
        let path = BbbPath::of("/Key/BigBlueButton/API/Join", BbbCall::Join);
        assert_eq!((path.key, path.method()), ("Key", Ok("Join")));
        let path = BbbPath::of("/key/bigbluebutton/api/end/", BbbCall::Other);
        assert_eq!((path.key, path.method()), ("key", Err(BbbRefusal::NoMethod)));
    }

    #[test]
    fn what_clients_send_passes() {
        assert_eq!(judged("join", &format!("{JOIN}&checksum={JOIN_SUM}")), Ok(()));
        assert_eq!(
            judged("create", &format!("{CREATE}&checksum={CREATE_SUM}")),
            Ok(())
        );
        assert_eq!(
            judged("getMeetings", &format!("checksum={NO_PARAMETERS_SUM}")),
            Ok(())
        );
        assert_eq!(
            judged("getMeetings", &format!("&checksum={NO_PARAMETERS_SUM}")),
            Ok(())
        );
    }

    #[test]
    fn whatever_would_be_read_beside_what_is_signed_is_refused() {
        let good = format!("{JOIN}&checksum={JOIN_SUM}");
        for (query, why) in [
            (format!("{good}?&role=MODERATOR"), BbbRefusal::TwoQueries),
            (format!("?{good}"), BbbRefusal::TwoQueries),
            (
                format!("{good}checksum=&role=MODERATOR"),
                BbbRefusal::TwoChecksums,
            ),
            (format!("{good}&checksum={JOIN_SUM}"), BbbRefusal::TwoChecksums),
            (format!("checksum=&{good}"), BbbRefusal::TwoChecksums),
            (format!("Checksum={JOIN_SUM}&{good}"), BbbRefusal::TwoChecksums),
            (format!("check%73um=1&{good}"), BbbRefusal::TwoChecksums),
            (format!("checksum&{good}"), BbbRefusal::TwoChecksums),
            (format!("checksum[]=1&{good}"), BbbRefusal::TwoChecksums),
            (format!("{good}&role=MODERATOR"), BbbRefusal::OddChecksum),
            (format!("{good}&"), BbbRefusal::OddChecksum),
            (format!("checksum={JOIN_SUM}&{JOIN}"), BbbRefusal::OddChecksum),
            (format!("{JOIN}&xchecksum={JOIN_SUM}"), BbbRefusal::OddChecksum),
            (format!("{JOIN};checksum={JOIN_SUM}"), BbbRefusal::OddChecksum),
            (format!("{JOIN}&Checksum={JOIN_SUM}"), BbbRefusal::NoChecksum),
            (format!("{JOIN}&checksum%3D{JOIN_SUM}"), BbbRefusal::NoChecksum),
            (JOIN.to_owned(), BbbRefusal::NoChecksum),
            (JOIN_SUM.to_owned(), BbbRefusal::NoChecksum),
            (String::new(), BbbRefusal::NoChecksum),
            (format!("{JOIN}&checksum="), BbbRefusal::WrongChecksum),
            (
                format!("{JOIN}&checksum={}", JOIN_SUM.to_uppercase()),
                BbbRefusal::WrongChecksum,
            ),
            (format!("{good};role=MODERATOR"), BbbRefusal::WrongChecksum),
            (format!("{good}%26"), BbbRefusal::WrongChecksum),
            (
                format!("{}&checksum={JOIN_SUM}", JOIN.replace("%20", "+")),
                BbbRefusal::WrongChecksum,
            ),
        ] {
            assert_eq!(judged("join", &query), Err(why), "{query}");
        }
    }

    /// Method and query are signed with nothing between them, and behind a slash the server signs no method.
    #[test]
    fn the_method_cannot_move_into_the_query() {
        let moved = format!("join{JOIN}&checksum={JOIN_SUM}");
        assert_eq!(judged("end/", &moved), Err(BbbRefusal::NoMethod));
        assert_eq!(judged("join/", &moved), Err(BbbRefusal::NoMethod));
        assert_eq!(judged("end", &moved), Err(BbbRefusal::WrongChecksum));
        assert_eq!(judged("JOIN", &moved), Err(BbbRefusal::WrongChecksum));
    }

    #[test]
    fn a_form_is_all_that_counts_where_there_is_one() {
        let path = BbbPath::of("/plugnmeet/bigbluebutton/api/join", BbbCall::Join);
        let form = format!("{JOIN}&checksum={JOIN_SUM}");
        let judged = |query: &str, form: &str| {
            signed_parameters(path, query.as_bytes(), Some(form.as_bytes()), &keys()).map(<[u8]>::to_vec)
        };
        assert_eq!(judged("", &form), Ok(JOIN.as_bytes().to_vec()));
        assert_eq!(
            judged("userdata-bbb_custom_style_url=x", &form),
            Err(BbbRefusal::QueryBesideForm)
        );
        assert_eq!(judged(&form, ""), Err(BbbRefusal::QueryBesideForm));
        assert_eq!(judged("", ""), Err(BbbRefusal::NoChecksum));
    }

    #[test]
    fn a_form_is_what_the_server_takes_for_one() {
        let is = |method: Method, media: &'static str| {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(media))]);
            is_form(&method, &headers)
        };
        assert!(is(Method::POST, "application/x-www-form-urlencoded"));
        assert!(is(Method::POST, " application/x-www-form-urlencoded\t"));
        assert!(!is(Method::GET, "application/x-www-form-urlencoded"));
        assert!(!is(
            Method::POST,
            "application/x-www-form-urlencoded; charset=utf-8"
        ));
        assert!(!is(Method::POST, "Application/x-www-form-urlencoded"));
        assert!(!is(Method::POST, "application/xml"));
        assert!(!is_form(&Method::POST, &HeaderMap::new()));
    }

    #[test]
    fn a_join_says_for_whom_it_is() {
        let read = |query: &str| {
            join_ids(query.as_bytes()).map(|found| format!("{}/{}", found.meeting_id, found.user_id))
        };
        assert_eq!(read(JOIN), Ok("room-1/u1".into()));
        assert_eq!(
            read("MeetingId=a+b%5B0%5D&fullName=x&userid"),
            Ok("a b[0]/".into())
        );
        assert_eq!(read("fullName=x"), Ok("/".into()));
        for twice in [
            "meetingID=a&meetingID=a",
            "meetingID=a&meetingid=b",
            "userID=a&user%49D=b",
            "userID=a&userID[]=b",
        ] {
            assert_eq!(read(twice), Err(BbbRefusal::Repeated), "{twice}");
        }
    }

    proptest! {
        /// Whatever is done to one byte, of the parameters or of the checksum.
        #[test]
        fn no_changed_byte_passes(at in 0_usize..105, byte in 0x21_u8..0x7f, how in 0..3) {
            let good = format!("{JOIN}&checksum={JOIN_SUM}");
            let mut changed = good.clone().into_bytes();
            let at = at.min(changed.len() - 1);
            match how {
                0 => changed[at] = byte,
                1 => changed.insert(at, byte),
                _ => drop(changed.remove(at)),
            }
            let changed = String::from_utf8(changed).unwrap();
            prop_assert_eq!(judged("join", &changed).is_ok(), changed == good, "{}", changed);
        }

        /// The signed piece and the checksum are all that there is, so nothing is left for the server to read besides.
        #[test]
        fn nothing_lies_beside_what_is_signed(data in "[a&=?#;%]{0,6}(checksum=)?[a&=?]{0,6}(&checksum=|checksum)?[a&=;]{0,3}") {
            if let Ok((parameters, checksum)) = split(data.as_bytes()) {
                let whole = [parameters, b"&checksum=", checksum].concat();
                prop_assert!(data.as_bytes() == whole || [b"&", data.as_bytes()].concat() == whole);
                prop_assert!(!checksum.contains(&b'&'));
            }
        }
    }
}
