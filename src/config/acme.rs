//! `[acme]`: certificates by themselves.

use super::{
    address::{HOST, SOCKET_OF_A_PROGRAM},
    kind::{Kind, PATH, Refusal},
    reader::{Table, Taken},
    shape::Acme,
};
use crate::acme::AcmeSettings;

/// Let's Encrypt's, and the one that it has for trials.
pub(super) const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";

const DIRECTORY: Kind<String> =
    Kind::new(
        "write the https address of a CA's ACME directory",
        |text| match url::Url::parse(text) {
            Ok(url) if url.scheme() == "https" && url.has_host() => Ok(text.to_owned()),
            Ok(_) => Err(Refusal::new("is not https")),
            Err(_) => Err(Refusal::new("is no address")),
        },
    );

/// Where a first order is tried.
enum Staging {
    /// Where the CA is known to have such a directory.
    Auto,
    None,
    At(String),
}

impl Staging {
    fn of(self, directory: &str) -> Option<String> {
        match self {
            Self::Auto => staging_of(directory),
            Self::None => None,
            Self::At(staging) => Some(staging),
        }
    }
}

/// The directory for trials that this CA is known to have.
pub(super) fn staging_of(directory: &str) -> Option<String> {
    (directory == LETS_ENCRYPT).then(|| LETS_ENCRYPT_STAGING.to_owned())
}

const STAGING: Kind<Staging> = Kind::new(
    "write \"auto\", the https address of an ACME directory for trials, or \"\" for none",
    |text| match text {
        "auto" => Ok(Staging::Auto),
        "" => Ok(Staging::None),
        text => (DIRECTORY.parse)(text).map(Staging::At),
    },
);

const EMAIL: Kind<String> = Kind::new("write an address such as admin@example.org", |text| {
    let is_plain = text
        .bytes()
        .all(|b| b.is_ascii_graphic() && b != b',' && b != b'?');
    match text.split_once('@') {
        Some((name, host)) if !name.is_empty() && !host.is_empty() && is_plain => Ok(text.to_owned()),
        Some(_) | None => Err(Refusal::new("is no address of mail")),
    }
});

const PROFILE: Kind<String> = Kind::new(
    "write the name of a profile of the CA's, such as shortlived",
    |text| {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
        if text.bytes().all(is_plain) {
            Ok(text.to_owned())
        } else {
            Err(Refusal::new("is no name of a profile"))
        }
    },
);

pub(super) fn read(table: &mut Table<'_>) -> Taken<Acme> {
    let accept_terms = table.flag(
        "accept_terms",
        false,
        "Certificates by themselves: `true` accepts the terms of service of the CA at `acme.directory`, and turns it on. Each name \
         has a certificate of its own, ordered and renewed while the gateway runs; until it is there, and after a failure, what is \
         in `tls.certs` is served. The CA calls the names at port 80 or port 443.",
    );
    let directory = table.text(
        "directory",
        LETS_ENCRYPT,
        &DIRECTORY,
        "The ACME directory of the CA. The default is Let's Encrypt's.",
    )?;
    let staging = table.text(
        "staging",
        "auto",
        &STAGING,
        "The directory at which the first order of a name is tried, so that a mistake costs none of the failures that the CA \
         counts. `auto` is Let's Encrypt's own with its directory, and none with another.",
    )?;
    let settings = AcmeSettings {
        staging: staging.of(&directory),
        directory,
        email: table.optional("email", "", &EMAIL, "To whom the CA may write.")?,
        names: table.list(
            "names",
            &[],
            &HOST,
            "The names that get certificates. Empty: the host of `public_origin`, `hosts` and `turn.names`, without those that only \
             this machine or its network calls; addresses among them only where `acme.profile` is written.",
        )?,
        profile: table.optional(
            "profile",
            "",
            &PROFILE,
            "What kind of certificate the CA makes, of those that it lists. Let's Encrypt gives certificates for addresses with \
             `shortlived` alone, which last for six days.",
        )?,
        storage: table.text(
            "storage",
            "acme",
            &PATH,
            "The folder in which the account's key and the certificates with their keys are kept. It is the gateway's own; several \
             gateways may share one, and then one of them orders. With `limits.store` in a Redis gateways share orders and \
             certificates there.",
        )?,
        roots: table.optional(
            "roots",
            "",
            &PATH,
            "A PEM file with the certificates that the way to the CA trusts, for a CA of your own. Empty: those that this machine \
             trusts.",
        )?,
        preflight: table.flag(
            "preflight",
            true,
            "Does the gateway look its names up and call itself by them, before the first order? Where nothing of that gets here the \
             CA is not asked; after three such looks it is.",
        ),
    };
    Ok(Acme {
        accept_terms,
        settings,
        pass_to: table.optional(
            "pass_to",
            "",
            &SOCKET_OF_A_PROGRAM,
            "Where checks of a CA's on `listen.http`, below `/.well-known/acme-challenge/`, go that are not the gateway's own: \
             `127.0.0.1:9080` for certbot's standalone mode with `--http-01-port 9080`.",
        )?,
    })
}
