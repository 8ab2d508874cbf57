//! Renewal: a reload in the second hour. The cookie's token is past its end, as the client keeps newer ones in memory
//! alone (contract.md section 0.11), so it is signed anew here.
//!
//! Only ever a cookie's, on a page that somebody goes to, within `session.renew_grace` of the token's end and
//! `session.max_age` of the first token, and not after the participant has left.
//!
//! Not here: whether whoever asked for the token still may, and whether the room is still open (`crate::issue`).
//!
//! Source: product.md "Session handoff" 4.

use hyper::{Method, header::HeaderValue};

use super::{Handed, Handoff, HandoffError, Session, Visit, companion::Companion, fetch};
use crate::{
    secret::Secret,
    token::{BadToken, Claims, Expired},
};

/// A renewed token is valid for as long as the one before it, within these bounds, in seconds.
pub(super) const VALIDITY: std::ops::RangeInclusive<i64> = 60..=24 * 3600;

/// A session that goes on with a new token.
pub struct Renewal {
    /// Who had asked for the first token, if that is known.
    pub caller: Option<String>,
    /// The page, with the cookies of the new token.
    pub session: Session,
}

/// A token that was signed anew.
pub(super) struct Renewed {
    caller: Option<String>,
    claims: Claims,
    cookies: Vec<HeaderValue>,
    in_page: Option<Secret<String>>,
}

impl Handoff {
    /// Signs an expired token of a cookie anew, or says why not.
    pub(super) fn renew(
        &self,
        visit: &Visit<'_>,
        expired: &Expired<'_>,
        companion: &Companion,
        mut cookies: Vec<HeaderValue>,
    ) -> Result<Renewed, HandoffError> {
        let now = self.clock.unix();
        let claims = &expired.claims;
        let kept_until = claims
            .exp
            .saturating_add_unsigned(self.settings.renew_grace.as_secs());
        let too_late = now >= kept_until;
        if too_late || !fetch::may_be_navigation(visit.headers) {
            return Err(HandoffError::BadToken(BadToken::Expired));
        }
        if fetch::is_prefetch(visit.headers) {
            return Err(HandoffError::Prefetch);
        }
        if self.sessions.left_after(&companion.tag, companion.entered) {
            return Err(HandoffError::Left);
        }
        let ends = companion
            .begun
            .saturating_add_unsigned(self.settings.max_age.as_secs());
        if now >= ends {
            return Err(HandoffError::SessionOver);
        }
        let validity = claims.exp.saturating_sub(claims.nbf);
        let validity = validity.clamp(*VALIDITY.start(), *VALIDITY.end());
        let exp = now.saturating_add(validity).min(ends);
        let token = self
            .keys
            .renew(expired, now, exp)
            .map_err(|_| HandoffError::NotSigned)?;
        cookies.push(self.token_cookie(&companion.tag, token.expose(), exp, companion.framed)?);
        cookies.push(self.companion_cookie(companion)?);
        Ok(Renewed {
            caller: companion.caller.clone(),
            claims: Claims {
                exp,
                nbf: now,
                ..claims.clone()
            },
            cookies,
            in_page: self.for_page(visit, token.expose()),
        })
    }
}

impl Renewed {
    /// `HEAD` answers as `GET` would, and sets nothing.
    pub(super) fn into_handed(self, visit: &Visit<'_>, design: Vec<(&'static str, String)>) -> Handed {
        let sets = visit.method != Method::HEAD;
        let session = Session {
            claims: self.claims,
            design,
            cookies: if sets { self.cookies } else { Vec::new() },
            token: self.in_page,
        };
        if sets {
            Handed::Renewal(Renewal {
                caller: self.caller,
                session,
            })
        } else {
            Handed::Page(session)
        }
    }
}
