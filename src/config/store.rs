//! `limits.store`: in memory, or where Redis is.
//!
//! An address can hold a password in any place where a slip of the pen puts it, so of what is refused no more is shown
//! than what stands before `://`.

use super::{
    kind::shown,
    reader::{Reader, Taken},
    units::{REDIS_TIMEOUT, REPLICAS},
};
use crate::limits::{RedisAddress, RedisSettings, StoreSettings};

const KEY: &str = "limits.store";

const ALLOWED: &str = "write \"memory\", redis://HOST:PORT, rediss://HOST:PORT or \
                       redis+sentinel://HOST:PORT,HOST:PORT/NAME";

/// `limits.store` and the keys that are about Redis alone.
pub(super) fn limits(reader: &mut Reader<'_>, warnings: &mut Vec<String>) -> Taken<StoreSettings> {
    let store = address(reader);
    let timeout = reader.text("limits.redis_timeout", "20ms", &REDIS_TIMEOUT);
    let replicas = reader.text("limits.replicas", "1", &REPLICAS);
    let (timeout, replicas) = (timeout?, replicas?);
    let Some(address) = store? else {
        if replicas.get() > 1 {
            warnings.push(
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

fn address(reader: &mut Reader<'_>) -> Taken<Option<RedisAddress>> {
    let text = match reader.secret(KEY, ALLOWED)? {
        Some(text) if text != "memory" => text,
        Some(_) | None => return Ok(None),
    };
    RedisAddress::parse(&text).map(Some).map_err(|problem| {
        let found = format!("{} {problem}", shown_address(&text));
        reader.refuse(KEY, found, ALLOWED)
    })
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
