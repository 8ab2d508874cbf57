//! `limits.store`: limits are counted in memory, or in Redis.
//!
//! A slip can put the password of an address in any place of it. So of an address that is refused, a problem shows only
//! what stands before `://`.

use super::{
    kind::shown,
    reader::{Table, Taken},
    secrets::{self, SecretKind},
    units::{REDIS_TIMEOUT, REPLICAS},
};
use crate::limits::{RedisAddress, RedisSettings, StoreSettings};

const ALLOWED: &str = "write \"memory\", redis://HOST:PORT, rediss://HOST:PORT or \
                       redis+sentinel://HOST:PORT,HOST:PORT/NAME";

const KIND: SecretKind = SecretKind {
    allowed: ALLOWED,
    file_allowed: "name a readable file that holds the address of Redis",
};

const DOC: &str = "Where the limits are counted: `memory` counts in each gateway for itself; a Redis counts for all replicas \
    together, which need the same limits then. `redis://HOST:PORT`, with `/DB` behind it for another database than 0, and with \
    `:PASSWORD@` or `USER:PASSWORD@` before the host; `rediss://` over TLS; `redis+sentinel://HOST:PORT,HOST:PORT/NAME` for the \
    master that Sentinels know as NAME. Default: `memory`.";

/// Reads `limits.store`, and the keys that are about Redis alone.
pub(super) fn limits(limits: &mut Table<'_>) -> Taken<StoreSettings> {
    let store = address(limits);
    let timeout = limits.text(
        "redis_timeout",
        "20ms",
        &REDIS_TIMEOUT,
        "For Redis to answer, from 1ms to 1s. A decision waits no longer: then each gateway counts for itself, and goes back to \
         Redis by itself.",
    )?;
    let replicas = limits.text(
        "replicas",
        "1",
        &REPLICAS,
        "How many gateways share the limits. While Redis does not answer, each lets its part of them through.",
    )?;
    let Some(address) = store else {
        if replicas.get() > 1 {
            limits.found.warn(
                "limits.replicas has no effect, as with limits.store = \"memory\" each gateway counts for itself"
                    .to_owned(),
            );
        }
        return Ok(StoreSettings::Memory);
    };
    Ok(StoreSettings::Redis(RedisSettings {
        address,
        timeout,
        replicas,
    }))
}

fn address(limits: &mut Table<'_>) -> Option<RedisAddress> {
    let given = secrets::read(limits, "store", &KIND, DOC).ok()??;
    if given.text == "memory" {
        return None;
    }
    let address = RedisAddress::parse(&given.text).map_err(|problem| {
        let found = format!("{} {problem}", shown_address(&given.text));
        given.refuse(limits, found)
    });
    address.ok()
}

fn shown_address(text: &str) -> String {
    match text.split_once("://") {
        Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphabetic() || b == b'+') => {
            shown(&format!("{scheme}://***"))
        }
        None if text.bytes().all(|b| b.is_ascii_alphabetic()) => shown(text),
        Some(_) | None => shown("***"),
    }
}
