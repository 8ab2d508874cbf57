//! The way to a CA: requests over our own client, an account, and what an error of the CA's says.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response,
    header::{self, HeaderValue},
};
use instant_acme::{
    Account, AccountCredentials, BodyWrapper, BytesResponse, Error, HttpClient, NewAccount, Problem,
};

use super::{AcmeSettings, due::LONGEST_RETRY_AFTER, storage::Storage};
use crate::proxy::OwnClient;

/// The most time for one answer of a CA's.
const ANSWER: Duration = Duration::from_secs(30);
/// The most bytes of one answer: a chain has some 10 KiB.
const MAX_ANSWER_BYTES: usize = 256 << 10;
/// Nonces that are refused in a row, each of which the library has tried thrice.
pub(super) const NONCES: u32 = 60;
/// How long to wait between two tries for a nonce.
pub(super) const NONCE_PAUSE: Duration = Duration::from_millis(20);
/// The most characters of a CA's words that are kept and shown.
const MAX_WORDS: usize = 500;

/// Asks again as long as the CA refuses nothing but the nonce: they are used up by whoever else asks.
macro_rules! patiently {
    ($ask:expr) => {{
        let mut refused = 0;
        loop {
            match $ask {
                Err(error)
                    if refused < $crate::acme::ca::NONCES && $crate::acme::ca::is_bad_nonce(&error) =>
                {
                    refused += 1;
                    tokio::time::sleep($crate::acme::ca::NONCE_PAUSE).await;
                }
                answer => break answer,
            }
        }
    }};
}
pub(super) use patiently;

#[derive(Clone)]
pub(super) struct Ca {
    own_client: OwnClient,
    /// How long the last refusal wants us to wait.
    wait: Arc<Mutex<Option<Duration>>>,
}

impl Ca {
    pub(super) fn new(settings: &AcmeSettings) -> Result<Self, String> {
        Ok(Self {
            own_client: OwnClient::trusting(settings.tls()?, ANSWER, MAX_ANSWER_BYTES),
            wait: Arc::default(),
        })
    }

    /// The account at this directory that is kept.
    pub(super) async fn kept_account(&self, storage: &Storage, directory: &str) -> Result<Account, Error> {
        let kept = storage.account::<AccountCredentials>(directory);
        Account::builder_with_http(Box::new(self.clone()))
            .from_credentials(kept.ok_or(Error::Str("there is no account yet"))?)
            .await
    }

    /// The account at this directory: the one that is kept, or a new one.
    pub(super) async fn account(
        &self,
        settings: &AcmeSettings,
        storage: &Storage,
        directory: &str,
    ) -> Result<Account, Error> {
        if storage.account::<AccountCredentials>(directory).is_some() {
            return self.kept_account(storage, directory).await;
        }
        let contact = settings.email.as_ref().map(|email| format!("mailto:{email}"));
        let contact: Vec<&str> = contact.as_deref().into_iter().collect();
        let wanted = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let (account, credentials) = patiently!(
            Account::builder_with_http(Box::new(self.clone()))
                .create(&wanted, directory.to_owned(), None)
                .await
        )?;
        storage
            .keep_account(directory, &credentials)
            .map_err(|error| Error::Other(format!("the account can't be kept: {error}").into()))?;
        Ok(account)
    }

    /// How long the CA wants us to wait since its last refusal; asked once.
    pub(super) fn wait(&self) -> Option<Duration> {
        self.wait.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl HttpClient for Ca {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let ca = self.clone();
        Box::pin(async move {
            let mut response = ca.own_client.send(request, None).await.map_err(Error::Other)?;
            cap_retry_after(&mut response);
            if response.status().is_client_error() || response.status().is_server_error() {
                *ca.wait.lock().unwrap_or_else(PoisonError::into_inner) = retry_after(&response);
            }
            Ok(BytesResponse::from(response.map(Full::new)))
        })
    }
}

/// In seconds; CAs write no dates there, and one that does is not waited for.
fn retry_after(response: &Response<Bytes>) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

/// The library adds it to the time of day, which ends the task where the sum is too large.
fn cap_retry_after(response: &mut Response<Bytes>) {
    if retry_after(response).is_some_and(|wait| wait > LONGEST_RETRY_AFTER) {
        let longest = HeaderValue::from(LONGEST_RETRY_AFTER.as_secs());
        response.headers_mut().insert(header::RETRY_AFTER, longest);
    }
}

pub(super) fn is_bad_nonce(error: &Error) -> bool {
    is_of_type(error, "badNonce")
}

/// Is it a problem of this type (RFC 8555 section 6.7)?
pub(super) fn is_of_type(error: &Error, name: &str) -> bool {
    let Error::Api(Problem {
        r#type: Some(its), ..
    }) = error
    else {
        return false;
    };
    its.strip_prefix("urn:ietf:params:acme:error:") == Some(name)
}

/// The CA's own words, on one line and not endless.
pub(super) fn words(error: &Error) -> String {
    let Error::Api(problem) = error else {
        return one_line(&error.to_string());
    };
    one_line(&words_of(problem))
}

pub(super) fn words_of(problem: &Problem) -> String {
    let mut words = problem
        .detail
        .clone()
        .unwrap_or_else(|| "the CA gives no reason".into());
    for sub in &problem.subproblems {
        words.push_str("; ");
        words.push_str(&sub.to_string());
    }
    if let Some(its) = &problem.r#type {
        words.push_str(" (");
        words.push_str(its);
        words.push(')');
    }
    one_line(&words)
}

pub(super) fn one_line(words: &str) -> String {
    let plain = words.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MAX_WORDS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_makes_nobody_wait_for_more_than_a_week() {
        for (sent, left) in [
            ("18446744073709551615", "604800"),
            ("604801", "604800"),
            ("604800", "604800"),
            ("3", "3"),
            ("Sat, 28 Nov 2026 23:00:00 GMT", "Sat, 28 Nov 2026 23:00:00 GMT"),
        ] {
            let mut response = Response::new(Bytes::new());
            let value = HeaderValue::from_static(sent);
            response.headers_mut().insert(header::RETRY_AFTER, value);
            cap_retry_after(&mut response);
            assert_eq!(response.headers()[header::RETRY_AFTER], left, "{sent}");
        }
    }
}
