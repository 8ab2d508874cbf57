//! Switching: where all sessions share one path, a link replaces the running session. If the link is for another
//! session and was not opened from one of our pages, the person is asked first, because the link may be a trap.
//!
//! Meanwhile the new token is kept in a cookie of its own that no script can read, so that the page that asks has no
//! token in its address.

use hyper::{
    Method, Response, StatusCode,
    header::{self, HeaderValue},
};
use maud::html;

use super::{
    Scope, SessionError, Sessions, TOKEN_PARAMETER, Visit,
    confirm::{CONFIRM, Question, WAITS},
    cookie::{self, Cookies, Written},
    fetch::{self, Destination},
    see_other,
};
use crate::{
    query::Query,
    reply::{Body, Label, Language, Topic, page},
    token::{Claims, TokenState, Unverified, Verified},
};

/// The cookie that keeps the new link's token while the page asks.
const WAITING: &str = "__Secure-pnm_waiting";

impl Sessions {
    /// Would this link replace another session, without being opened from one of our pages?
    pub(super) fn would_replace(&self, visit: &Visit<'_>, verified: &Verified) -> bool {
        let by_our_page = Destination::of(visit.headers) == Destination::Document
            && visit
                .headers
                .get("sec-fetch-site")
                .is_some_and(|site| site == "same-origin");
        self.settings.scope == Scope::Mount
            && !by_our_page
            && self
                .runs(visit)
                .is_some_and(|running| self.tag_of(&running) != self.tag_of(&verified.claims))
    }

    /// Redirects to the page that asks. `rest` is the link's query without its token.
    pub(super) fn ask_before_switching(
        &self,
        visit: &Visit<'_>,
        token: &str,
        rest: &str,
    ) -> Result<Response<Body>, SessionError> {
        let mut response = see_other(&self.switch_path(), rest)?;
        if visit.method != Method::HEAD {
            let waiting = self.waiting(token, WAITS, self.is_framed(visit))?;
            response.headers_mut().append(header::SET_COOKIE, waiting);
        }
        Ok(response)
    }

    /// Shows the page that asks, and handles its form.
    pub(super) async fn switch(&self, visit: &Visit<'_>) -> Result<Response<Body>, SessionError> {
        let authority = &visit.context.authority;
        let cookies = Cookies::of(visit.headers);
        let now = self.clock.unix();
        let waiting = cookies
            .named(WAITING)
            .find_map(|token| Some((token, self.keys.verify(Unverified(token), now).ok()?)));
        let Some((token, verified)) = waiting else {
            return self.without_session(Vec::new());
        };
        if visit.method == Method::POST {
            if !fetch::is_same_origin(visit.headers, authority.to_str().unwrap_or_default()) {
                return Err(SessionError::FromAnotherSite);
            }
            if !fetch::may_be_navigation(visit.headers) {
                return Err(SessionError::NotANavigation);
            }
            // A second token would be followed without a question.
            let rest = Query(visit.query).without(TOKEN_PARAMETER);
            let confirmed = Query(visit.query).only(CONFIRM).ok().flatten();
            let rest = Query(&rest).without(CONFIRM);
            if !self.is_confirmed(Question::Switch, token, confirmed.as_deref()) {
                // Another link came since, or too much time went by: the question is asked again.
                return see_other(&self.switch_path(), &rest);
            }
            let mut response = self.admit(visit, token, &verified, &rest).await?;
            let over = self.waiting("", 0, self.is_framed(visit))?;
            response.headers_mut().append(header::SET_COOKIE, over);
            return Ok(response);
        }
        if visit.method != Method::GET && visit.method != Method::HEAD {
            return Err(SessionError::Method("GET, HEAD, POST"));
        }
        let language = Language::of(visit.headers);
        let mount = &self.settings.mount;
        let confirm = self
            .confirmation(Question::Switch, token)
            .ok_or(SessionError::NotSigned)?;
        let rest = Query(visit.query).without(CONFIRM);
        let separator = if rest.is_empty() { "" } else { "&" };
        let action = format!("{}?{rest}{separator}{CONFIRM}={confirm}", self.switch_path());
        let details = html! {
            dl {
                @if let Some(running) = self.runs(visit) {
                    dt { (Label::Now.text(language)) } dd { (who(&running)) }
                }
                dt { (Label::ByThisLink.text(language)) } dd { (who(&verified.claims)) }
            }
        };
        let controls = html! {
            a.button href=(format!("{mount}/")) { (Label::Stay.text(language)) }
            form method="post" action=(action) {
                button.button.plain type="submit" { (Label::JoinInstead.text(language)) }
            }
        };
        Ok(page::choice(
            StatusCode::OK,
            language,
            Topic::Switch,
            &details,
            &controls,
        ))
    }

    /// The claims of the running session, if its token is valid or can still be renewed.
    fn runs(&self, visit: &Visit<'_>) -> Option<Claims> {
        let cookies = Cookies::of(visit.headers);
        match self.running(visit, &cookies).ok()??.state {
            TokenState::Valid(verified) => Some(verified.claims),
            TokenState::Expired(expired) => {
                let over = expired
                    .claims
                    .exp
                    .saturating_add_unsigned(self.settings.renew_grace.as_secs());
                (self.clock.unix() < over).then_some(expired.claims)
            }
        }
    }

    fn waiting(&self, token: &str, lives: i64, cross_site: bool) -> Result<HeaderValue, SessionError> {
        cookie::write(&Written {
            name: WAITING,
            value: token,
            path: &self.switch_path(),
            lives,
            cross_site,
            http_only: true,
        })
    }

    fn switch_path(&self) -> String {
        format!("{}/switch", self.settings.mount)
    }
}

/// The name and the room, or the room alone if there is no name.
fn who(claims: &Claims) -> String {
    match claims.name.as_str() {
        "" => claims.room_id.clone(),
        name => format!("{name} ({})", claims.room_id),
    }
}
