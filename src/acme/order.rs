//! One order, from its beginning to the certificate. What is needed to go on with it is kept, so that another process can.
//!
//! Sources: RFC 8555 section 7.4; RFC 9773 section 5 (`replaces`).

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeStatus, Error, Identifier, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use tokio::time::sleep;
use tracing::{debug, info};

use super::{
    ca::{is_of_type, patiently, words, words_of},
    challenge::{Answers, Given},
    kind::Kind,
    storage::{Storage, Under},
};

/// Between two looks whether the CA has checked, and how often it is looked.
const LOOK: Duration = Duration::from_secs(1);
const LOOKS: u32 = 180;
/// The most time for a certificate to be signed, once all is proved.
const SIGNING: Duration = Duration::from_secs(180);
/// An order that is older is left to itself, in seconds.
const OLD: i64 = 24 * 3600;

pub(super) struct Wanted<'w> {
    pub name: &'w str,
    pub profile: Option<&'w str>,
    /// The URL of the CA's directory (RFC 8555 section 7.1.1).
    pub directory: &'w str,
    pub replaces: Option<CertificateIdentifier<'static>>,
    /// How the name is proved, the first that the CA offers.
    pub kinds: [Kind; 2],
    /// Until other gateways answer too.
    pub spread: Duration,
    pub now: i64,
    /// Is it only tried, and neither kept nor gone on with?
    pub is_trial: bool,
}

pub(super) struct Obtained {
    /// The chain and behind it the key.
    pub pem: String,
    /// How the name was proved; none where it did not have to be.
    pub by: Option<Kind>,
}

#[derive(Debug)]
pub(super) struct Failed {
    /// The CA's problem document as text (RFC 8555 section 6.7).
    pub words: String,
    /// How the name was to be proved.
    pub by: Option<Kind>,
    /// The CA does not know the account any more.
    pub no_account: bool,
    /// How long the CA wants not to be asked again.
    pub wait: Option<Duration>,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self {
            words: words(&error),
            by: None,
            no_account: is_of_type(&error, "accountDoesNotExist"),
            wait: None,
        }
    }
}

impl Failed {
    pub(super) fn new(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            by: None,
            no_account: false,
            wait: None,
        }
    }
}

/// Orders a certificate, or goes on with an order that is under way.
pub(super) async fn obtain(
    account: &Account,
    storage: &Storage,
    answers: &Answers,
    wanted: &Wanted<'_>,
) -> Result<Obtained, Failed> {
    let (mut order, key) = match under_way(account, storage, wanted).await {
        Some(under) => under,
        None => begin(account, storage, wanted).await?,
    };
    // One that failed at the CA is seen to be over by whoever would go on with it; one that did not is dropped by whoever
    // keeps the certificate.
    go_on(&mut order, &key, answers, wanted).await
}

async fn under_way(account: &Account, storage: &Storage, wanted: &Wanted<'_>) -> Option<(Order, KeyPair)> {
    if wanted.is_trial {
        return None;
    }
    let under = storage.order(wanted.name)?;
    if under.directory != wanted.directory || (wanted.now - under.since).abs() > OLD {
        return None;
    }
    let key = KeyPair::from_pem(&under.key).ok()?;
    let mut order = patiently!(account.order(under.url.clone()).await).ok()?;
    let is_open = order.state().status != OrderStatus::Invalid;
    if is_open {
        info!(name = wanted.name, "An order of a certificate goes on");
    }
    is_open.then_some((order, key))
}

async fn begin(
    account: &Account,
    storage: &Storage,
    wanted: &Wanted<'_>,
) -> Result<(Order, KeyPair), Failed> {
    let identifiers = [match wanted.name.parse() {
        Ok(ip) => Identifier::Ip(ip),
        Err(_) => Identifier::Dns(wanted.name.to_owned()),
    }];
    let plain = || {
        let order = NewOrder::new(&identifiers);
        match wanted.profile {
            Some(profile) => order.profile(profile),
            None => order,
        }
    };
    let key =
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(|error| Failed::new(error.to_string()))?;
    let mut order = None;
    if let Some(replaces) = &wanted.replaces {
        let replacing = plain().replaces(replaces.clone());
        match patiently!(account.new_order(&replacing).await) {
            Ok(replacing) => order = Some(replacing),
            Err(error) if is_about_replacing(&error) => {
                debug!(name = wanted.name, %error, "An order does not say what it replaces");
            }
            Err(error) => return Err(error.into()),
        }
    }
    let order = match order {
        Some(order) => order,
        None => patiently!(account.new_order(&plain()).await)?,
    };
    if !wanted.is_trial {
        let under = Under {
            directory: wanted.directory.to_owned(),
            url: order.url().to_owned(),
            key: key.serialize_pem(),
            since: wanted.now,
        };
        let kept = storage.keep_order(wanted.name, &under);
        kept.map_err(|error| Failed::new(format!("acme.storage: {error}")))?;
    }
    Ok((order, key))
}

/// The CA knows that the old one is replaced, or knows nothing of replacing: an order that says so would fail for ever.
fn is_about_replacing(error: &Error) -> bool {
    if let Error::Api(problem) = error {
        return problem.status == Some(409) || is_of_type(error, "alreadyReplaced");
    }
    // The last are the library's own words, for an order that does not say what was asked for.
    matches!(error, Error::Unsupported(_))
        || matches!(error, Error::Other(other) if other.to_string().contains("replaces"))
}

async fn go_on(
    order: &mut Order,
    key: &KeyPair,
    answers: &Answers,
    wanted: &Wanted<'_>,
) -> Result<Obtained, Failed> {
    let mut by = None;
    if order.state().status == OrderStatus::Pending {
        by = prove(order, answers, wanted).await?;
    }
    let retries = RetryPolicy::new().timeout(SIGNING);
    if order.state().status == OrderStatus::Pending {
        patiently!(order.poll_ready(&retries).await)?;
    }
    if order.state().status == OrderStatus::Ready {
        let names = vec![wanted.name.to_owned()];
        let mut params = CertificateParams::new(names).map_err(|error| Failed::new(error.to_string()))?;
        // A common name with an address in it is refused, and none is needed.
        params.distinguished_name = DistinguishedName::new();
        let request = params
            .serialize_request(key)
            .map_err(|error| Failed::new(error.to_string()))?;
        patiently!(order.finalize_csr(request.der()).await)?;
    }
    let chain = patiently!(order.poll_certificate(&retries).await)?;
    let (chain, key) = (chain.trim_end(), key.serialize_pem());
    Ok(Obtained {
        pem: format!("{chain}\n{key}"),
        by,
    })
}

/// Proves that the name is ours. None: it is known already.
async fn prove(order: &mut Order, answers: &Answers, wanted: &Wanted<'_>) -> Result<Option<Kind>, Failed> {
    let asked = patiently!(ask(order, answers, wanted).await)?;
    let Some((kind, _given)) = asked else {
        return Ok(None);
    };
    for _ in 0..LOOKS {
        sleep(LOOK).await;
        match patiently!(proved(order).await)? {
            None => {}
            Some(Ok(())) => return Ok(Some(kind)),
            Some(Err(words)) => {
                return Err(Failed {
                    words: format!("{}: {words}", kind.word()),
                    by: Some(kind),
                    no_account: false,
                    wait: None,
                });
            }
        }
    }
    Err(Failed {
        words: format!("{}: the CA does not check", kind.word()),
        by: Some(kind),
        no_account: false,
        wait: None,
    })
}

/// Lets the CA check; the answer is given until what comes back is dropped.
async fn ask(
    order: &mut Order,
    answers: &Answers,
    wanted: &Wanted<'_>,
) -> Result<Option<(Kind, Given)>, Error> {
    let mut all = order.authorizations();
    let Some(found) = all.next().await else {
        return Err(Error::Str("the order has nothing to be proved"));
    };
    let mut authorization = found?;
    if authorization.status == AuthorizationStatus::Valid {
        return Ok(None);
    }
    let offered = |kind: &Kind| {
        let challenge = kind.challenge();
        authorization.challenges.iter().any(|its| its.r#type == challenge)
    };
    let Some(kind) = wanted.kinds.into_iter().find(offered) else {
        return Err(Error::Str("the CA offers neither http-01 nor tls-alpn-01"));
    };
    let Some(mut challenge) = authorization.challenge(kind.challenge()) else {
        return Err(Error::Str("the CA offers neither http-01 nor tls-alpn-01"));
    };
    let answer = challenge.key_authorization();
    // By the process from which this one goes on: the CA is about to ask, and takes no second word for it.
    let is_ready = challenge.status == ChallengeStatus::Processing;
    let given = match kind {
        Kind::Http => answers.give_token(&challenge.token, answer.as_str()),
        Kind::TlsAlpn => answers.give_name(wanted.name, answer.digest().as_ref()),
    };
    let given = given.map_err(|error| Error::Other(format!("acme.storage: {error}").into()))?;
    if !is_ready {
        sleep(wanted.spread).await;
        patiently!(challenge.set_ready().await)?;
    }
    Ok(Some((kind, given)))
}

/// None: not yet. Why not, in the CA's words.
async fn proved(order: &mut Order) -> Result<Option<Result<(), String>>, Error> {
    let mut all = order.authorizations();
    let Some(found) = all.next().await else {
        return Err(Error::Str("the order has nothing to be proved"));
    };
    let mut authorization = found?;
    let state = authorization.refresh().await?;
    Ok(match state.status {
        AuthorizationStatus::Pending => None,
        AuthorizationStatus::Valid => Some(Ok(())),
        AuthorizationStatus::Invalid
        | AuthorizationStatus::Revoked
        | AuthorizationStatus::Expired
        | AuthorizationStatus::Deactivated => {
            let mut errors = state.challenges.iter().filter_map(|its| its.error.as_ref());
            let words = errors.next().map(words_of);
            Some(Err(words.unwrap_or_else(|| "the CA gives no reason".into())))
        }
    })
}
