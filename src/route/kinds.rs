//! Refuses tokens of a kind that the row does not take. The server accepts each of its tokens everywhere
//! (`crate::token::Kind`): with a participant's token one could fetch other rooms' recordings from the API of learning
//! platforms.
//!
//! A genuine token of another kind is answered with 401, wherever the server would find it: in `Authorization`, in a
//! parameter of that name, in a field of a form, or in the path of a download. A request without a token, or with one
//! that can't be read, is forwarded, and the server refuses it in its own words.
//!
//! Source: docs/plugnmeet.md section 4.

use std::{borrow::Cow, sync::Arc};

use hyper::{
    Request, StatusCode,
    header::{self, HeaderValue},
};
use percent_encoding::percent_decode_str;

use super::Router;
use crate::{
    client_body::ClientBody,
    http::{Repeated, only},
    proxy::Watch,
    reply::Failure,
    token::{FormTokens, Kind, TwoReadings, Unverified},
    urls::Takes,
};

const PARAMETER: &str = "Authorization";

impl Router {
    /// Refuses a request whose token is for something else. The watch that it may return has to see the request's body.
    pub(super) fn takes(
        &self,
        takes: Takes,
        request: &Request<ClientBody>,
        in_path: &str,
    ) -> Result<Option<Watch>, Failure> {
        match takes {
            Takes::Any => Ok(None),
            Takes::Join => self.takes_in_head(Kind::Join, request).map(|()| None),
            Takes::Lti => self.takes_in_head(Kind::Lti, request).map(|()| None),
            Takes::JoinInForm => self.takes_in_form(Kind::Join, request),
            Takes::LtiInForm => self.takes_in_form(Kind::Lti, request),
            Takes::Download => self.takes_in_path(Kind::Download, in_path).map(|()| None),
        }
    }

    fn takes_in_head(&self, wanted: Kind, request: &Request<ClientBody>) -> Result<(), Failure> {
        if tokens(request).any(|token| self.is_other(wanted, &token)) {
            return Err(of_another_kind());
        }
        Ok(())
    }

    /// Watches the body of a form, if the server would look for a token in it.
    fn takes_in_form(&self, wanted: Kind, request: &Request<ClientBody>) -> Result<Option<Watch>, Failure> {
        self.takes_in_head(wanted, request)?;
        if is_read_in_head(request) {
            return Ok(None);
        }
        let fields = request.headers();
        let media_types = fields.get_all(header::CONTENT_TYPE).iter();
        let mut forms = media_types
            .map(|media_type| FormTokens::of(media_type.as_bytes()))
            .filter(|form| !matches!(form, Ok(None)));
        let Some(form) = forms.next() else { return Ok(None) };
        // The server looks at one of several, and another reader at another one.
        let form = only(fields, header::CONTENT_TYPE)
            .map_err(|Repeated| TwoReadings)
            .and(form);
        let form = form.map_err(|TwoReadings| {
            Failure::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "media_type",
                "what Content-Type says of a form can be read in two ways",
            )
        })?;
        let Some(mut form) = form else { return Ok(None) };
        if fields.contains_key(header::CONTENT_ENCODING) {
            return Err(Failure::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "content_encoding",
                "an encoded form is taken with a token in Authorization alone",
            ));
        }
        let (keys, now) = (Arc::clone(&self.keys), self.clock.unix());
        Ok(Some(Box::new(move |piece| {
            form.may_go_on(piece, &keys, wanted, now)
        })))
    }

    fn takes_in_path(&self, wanted: Kind, token: &str) -> Result<(), Failure> {
        let decoded = percent_decode_str(token).decode_utf8_lossy();
        if self.is_other(wanted, token) || self.is_other(wanted, &decoded) {
            return Err(of_another_kind());
        }
        Ok(())
    }

    fn is_other(&self, wanted: Kind, token: &str) -> bool {
        self.keys
            .is_of_another_kind(Unverified(token), wanted, self.clock.unix())
    }
}

/// All tokens that the server could read from the request, except those in its body. An empty one does not count.
pub(super) fn tokens(request: &Request<ClientBody>) -> impl Iterator<Item = Cow<'_, str>> {
    let in_fields = request.headers().get_all(header::AUTHORIZATION).iter();
    let in_query = request.uri().query().unwrap_or_default().as_bytes();
    in_fields
        .filter_map(|value| value.to_str().ok())
        .map(|value| Cow::Borrowed(value.trim_matches([' ', '\t'])))
        .chain(
            form_urlencoded::parse(in_query)
                .filter(|(name, _)| name.eq_ignore_ascii_case(PARAMETER))
                .map(|(_, value)| value),
        )
        .filter(|token| !token.is_empty())
}

/// Does the server find something in the head, so that it looks into no form? It reads the first field and the first
/// parameter, of this name in just these letters, and takes an empty one for none.
fn is_read_in_head(request: &Request<ClientBody>) -> bool {
    let field = request.headers().get(header::AUTHORIZATION);
    let in_query = request.uri().query().unwrap_or_default().as_bytes();
    let parameter = form_urlencoded::parse(in_query).find(|(name, _)| name == PARAMETER);
    field.is_some_and(|value| !value.as_bytes().trim_ascii().is_empty())
        || parameter.is_some_and(|(_, value)| !value.is_empty())
}

/// The refusal of a token of another kind, with the challenge that RFC 9110 section 15.5.2 requires.
fn of_another_kind() -> Failure {
    Failure::new(
        StatusCode::UNAUTHORIZED,
        "token_of_another_kind",
        "this token is for something else",
    )
    .header(
        header::WWW_AUTHENTICATE,
        HeaderValue::from_static("Bearer error=\"invalid_token\""),
    )
}
