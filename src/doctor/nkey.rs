//! Keys of NATS: from the private half in config.yaml to the public half that nats-server.conf has to hold.
//!
//! A seed is base32 of two bytes of kind, 32 bytes and a checksum; a public key of one byte of kind, 32 bytes and a checksum.
//!
//! Source: github.com/nats-io/nkeys, `strkey.go`, `xkeys.go`.

use aws_lc_rs::{
    agreement::{PrivateKey, X25519},
    signature::{Ed25519KeyPair, KeyPair},
};
use data_encoding::BASE32_NOPAD;

/// The kind of a seed, `S` in base32.
const SEED: u8 = 18 << 3;
/// The kind of a key that encrypts, `X` in base32.
const CURVE: u8 = 23 << 3;

/// The public key of a seed; none if it is none.
pub fn public_key(seed: &str) -> Option<String> {
    let bytes = BASE32_NOPAD.decode(seed.trim().as_bytes()).ok()?;
    let (body, sum) = bytes.split_last_chunk::<2>()?;
    let (kinds, private) = body.split_first_chunk::<2>()?;
    if crc16(body) != u16::from_le_bytes(*sum) || kinds[0] & 0xf8 != SEED {
        return None;
    }
    let kind = ((kinds[0] & 7) << 5) | ((kinds[1] & 0xf8) >> 3);
    let public = if kind == CURVE {
        let key = PrivateKey::from_private_key(&X25519, private).ok()?;
        key.compute_public_key().ok()?.as_ref().to_vec()
    } else {
        let pair = Ed25519KeyPair::from_seed_unchecked(private).ok()?;
        pair.public_key().as_ref().to_vec()
    };
    let mut whole = vec![kind];
    whole.extend(public);
    whole.extend(crc16(&whole).to_le_bytes());
    Some(BASE32_NOPAD.encode(&whole))
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| {
            if sum & 0x8000 == 0 {
                sum << 1
            } else {
                (sum << 1) ^ 0x1021
            }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by nkeys.js: a user's, an account's, one that encrypts.
    const PAIRS: [(&str, &str); 3] = [
        (
            "SUAINIQNZGDC76FN7L3NZSV5XJLRY54SBFTGMFFIO3YFGWOOTDHBCU6MSI",
            "UD4CLCSIEEZ7VARR4MCSI6N6LNCIUIMK7EA4DKCP6GXPOY37RNUV55M4",
        ),
        (
            "SAAI3ZLNZDLIT7MWN2OKBV47GRTTZ3JUMGLZFIVC6MJOGSZ3YVTMFXDBDU",
            "ABFA2GWTQDWVRVH3OD4AKWB4G7X2TQBCD2IQ665BHSYRWWGARTVNRPLB",
        ),
        (
            "SXABYM645YAJVMP3MLC4ZOD6V65ZEIX5DBTZ4PFENIPFFFFPVE2V5IEPTU",
            "XDGJMQF2PRW2QZB6D6VMADGKWNJRH3LESJHOJNTK6M44UEV7HJPX7IM2",
        ),
    ];

    #[test]
    fn public_halves_are_as_the_library_of_nats_has_them() {
        for (seed, public) in PAIRS {
            assert_eq!(public_key(seed).as_deref(), Some(public));
        }
    }

    #[test]
    fn what_is_no_seed_has_no_public_key() {
        let [(seed, public), ..] = PAIRS;
        for none in ["", "SU", &seed.replacen('Q', "R", 1), public, "not base32!"] {
            assert_eq!(public_key(none), None, "{none}");
        }
    }
}
