//! Renewal: when a page is reloaded in its second hour, the cookie's token has ended or is about to, because the client
//! keeps newer tokens in memory alone (docs/plugnmeet.md section 0.11). So the gateway signs the token anew.
//!
//! SECURITY: a token that can be renewed once could be renewed for ever. So all of these must hold: the token comes
//! from the cookie at the session's own path; the sealed companion, which no script can read, comes with it; a person
//! visits a page; the time is within `session.renew_grace` of the token's end and within `session.max_age` of the first
//! token; the participant has not left and was not removed; the meeting is the one for which the token was issued.
//!
//! Not here: who asked for the token, limits, blocks and the meeting (`crate::issue`).

use hyper::header::HeaderValue;

use super::{Session, SessionError, Sessions, Visit, companion::Companion, fetch};
use crate::{
    issue::GoingOn,
    token::{BadToken, Claims, Genuine},
};

/// A renewed token is valid for as long as the one before it, within these bounds, in seconds.
pub(super) const VALIDITY: std::ops::RangeInclusive<i64> = 60..=24 * 3600;

/// What a token has left at least when a page begins with it, in seconds: the client has it renewed by the server every
/// three minutes, and not before (docs/plugnmeet.md section 6).
const LEFT_AT_LEAST: i64 = 240;

impl Sessions {
    /// Would the token end before the client has it renewed by the server?
    pub(super) fn is_due(&self, claims: &Claims) -> bool {
        // Without any grace, token and cookie end together.
        !self.settings.renew_grace.is_zero() && claims.exp.saturating_sub(self.clock.unix()) < LEFT_AT_LEAST
    }

    /// Signs a cookie's token anew, or says why not. `cookies` are those that are set with it.
    pub(super) async fn renew(
        &self,
        visit: &Visit<'_>,
        token: &Genuine<'_>,
        mut companion: Companion,
        mut cookies: Vec<HeaderValue>,
    ) -> Result<Session, SessionError> {
        let now = self.clock.unix();
        let claims = &token.claims;
        let kept_until = claims
            .exp
            .saturating_add_unsigned(self.settings.renew_grace.as_secs());
        if now >= kept_until || !fetch::may_be_navigation(visit.headers) {
            return Err(SessionError::BadToken(BadToken::Expired));
        }
        if fetch::is_prefetch(visit.headers) {
            return Err(SessionError::Prefetch);
        }
        // A removal ends what was issued before it; a link that was issued since is welcome.
        if self.memory.left_after(&companion.tag, companion.entered)
            || self.memory.removed_since(&companion.tag, companion.begun)
        {
            return Err(SessionError::Left);
        }
        let ends = companion
            .begun
            .saturating_add_unsigned(self.settings.max_age.as_secs());
        if now >= ends {
            return Err(SessionError::SessionOver);
        }
        let asks = GoingOn {
            claims,
            caller: companion.caller.as_deref(),
            meeting: companion.meeting.as_deref(),
            issues: visit.takes_effect(),
        };
        let meeting = self.issue.renewal(asks, visit.context).await?;
        companion.meeting = companion.meeting.or(meeting);
        let validity = claims.exp.saturating_sub(claims.nbf);
        let validity = validity.clamp(*VALIDITY.start(), *VALIDITY.end());
        let exp = now.saturating_add(validity).min(ends);
        let renewed = self
            .keys
            .renew(token, now, exp)
            .map_err(|_| SessionError::NotSigned)?;
        cookies.push(self.token_cookie(&companion.tag, renewed.expose(), exp, companion.framed)?);
        cookies.push(self.companion_cookie(&companion)?);
        Ok(Session {
            claims: Claims {
                exp,
                nbf: now,
                ..claims.clone()
            },
            design: Vec::new(),
            // `HEAD` answers as `GET` would, and sets nothing.
            cookies: if visit.takes_effect() { cookies } else { Vec::new() },
            only_now: true,
            token: self.for_page(visit, renewed.expose()),
        })
    }
}
