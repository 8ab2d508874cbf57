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
    proxy::Watch,
    reply::Failure,
    token::{FormTokens, Kind, Unverified},
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
        self.takes_each(wanted, tokens(request))
    }

    fn takes_each<'t>(
        &self,
        wanted: Kind,
        mut tokens: impl Iterator<Item = Cow<'t, str>>,
    ) -> Result<(), Failure> {
        if tokens.any(|token| self.is_other(wanted, &token)) {
            return Err(of_another_kind());
        }
        Ok(())
    }

    /// Watches the body of a form, if the server would look for a token in it.
    fn takes_in_form(&self, wanted: Kind, request: &Request<ClientBody>) -> Result<Option<Watch>, Failure> {
        let mut in_head = tokens(request).peekable();
        if in_head.peek().is_some() {
            return self.takes_each(wanted, in_head).map(|()| None);
        }
        let fields = request.headers();
        // The server looks at the first of several, and another reader at the last.
        let form = fields
            .get_all(header::CONTENT_TYPE)
            .iter()
            .find_map(|media_type| FormTokens::of(media_type.as_bytes()));
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
