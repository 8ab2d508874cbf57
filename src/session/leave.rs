//! Leaving: `logout` below a session's page ends the session in this browser, and for all copies of its cookie.
//! `logout` below the mount does the same for a person who comes from such a page, so that a room's logout address can
//! be the same for all participants.
//!
//! A token that is still valid stays valid, because the server can't revoke one. It is not renewed any more.
//!
//! SECURITY: another site's link or form can't end a session, nor can an image, a script or a frame in one of our
//! pages. The session ends at once only if a person visits the address; in all other cases the person is asked first.

use hyper::{Method, Response, StatusCode, header::HeaderValue};
use maud::html;

use super::{
    Scope, SessionError, Sessions, Visit,
    confirm::{CONFIRM, Question},
    cookie::{self, Cookies, Written},
    fetch::{self, Destination},
    redirect_to, see_other, setting,
};
use crate::{
    query::Query,
    reply::{Body, Label, Language, Topic, page},
};

impl Sessions {
    /// Ends a session and answers with a page that says so.
    pub(super) fn leave(&self, visit: &Visit<'_>) -> Result<Response<Body>, SessionError> {
        let authority = visit.context.authority.to_str().unwrap_or_default();
        if visit.method != Method::GET && visit.method != Method::POST {
            return Err(SessionError::Method("GET, POST"));
        }
        if Destination::of(visit.headers) == Destination::Part {
            return Err(SessionError::NotANavigation);
        }
        if fetch::is_of_another_site(visit.headers, authority) {
            return Err(SessionError::FromAnotherSite);
        }
        if fetch::is_prefetch(visit.headers) {
            return Err(SessionError::Prefetch);
        }
        if self.settings.scope == Scope::Session && visit.tag.is_none() {
            return match self.page_that_asks(visit.headers) {
                Some(tag) => see_other(&format!("{}logout", self.page_of(tag)), ""),
                None => self.without_session(Vec::new()),
            };
        }
        let cookies = Cookies::of(visit.headers);
        if let Ok(Some(running)) = self.running(visit, &cookies) {
            let confirmed = Query(visit.query).only(CONFIRM).ok().flatten();
            let answered = visit.method == Method::POST
                && fetch::is_same_origin(visit.headers, authority)
                && self.is_confirmed(Question::Leave, &running.tag, confirmed.as_deref());
            // Whoever goes there with a browser means it. A frame in a meeting may show a link of somebody else's, and who
            // says nothing of the kind may be sent by a page as well.
            if !answered && Destination::of(visit.headers) != Destination::Document {
                return self.ask_before_leaving(visit, &running.tag);
            }
            self.memory.left(&running.tag, self.clock.unix());
        }
        let ended = self.ended(visit.tag)?;
        match &self.settings.login_url {
            Some(login) => Ok(setting(redirect_to(login.clone()), ended)),
            None => Err(SessionError::LoggedOut(ended)),
        }
    }

    fn ask_before_leaving(&self, visit: &Visit<'_>, tag: &str) -> Result<Response<Body>, SessionError> {
        let confirm = self
            .confirmation(Question::Leave, tag)
            .ok_or(SessionError::NotSigned)?;
        let language = Language::of(visit.headers);
        let action = format!("{}?{CONFIRM}={confirm}", visit.path);
        let controls = html! {
            a.button href=(self.page_of(tag)) { (Label::Stay.text(language)) }
            form method="post" action=(action) {
                button.button.plain type="submit" { (Label::Leave.text(language)) }
            }
        };
        let page = page::choice(StatusCode::OK, language, Topic::Leave, &html! {}, &controls);
        Ok(page)
    }

    /// The `Set-Cookie` fields that end both cookies, in every form in which they can have been set.
    fn ended(&self, tag: Option<&str>) -> Result<Vec<HeaderValue>, SessionError> {
        let path = self.cookie_path(tag.unwrap_or_default());
        let companion_path = match self.settings.scope {
            Scope::Session => path.as_str(),
            Scope::Mount => "/",
        };
        let kinds: &[bool] = if self.settings.framed {
            &[false, true]
        } else {
            &[false]
        };
        let mut ended = Vec::new();
        for cross_site in kinds {
            for (name, path) in [
                (cookie::ACCESS, path.as_str()),
                (self.companion_name(), companion_path),
            ] {
                ended.push(cookie::write(&Written {
                    name,
                    value: "",
                    path,
                    lives: 0,
                    cross_site: *cross_site,
                    http_only: name != cookie::ACCESS,
                })?);
            }
        }
        Ok(ended)
    }
}
