//! The kinds of checks by which a CA sees that a name is ours, and which of them is tried first.

use instant_acme::ChallengeType;
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    Http,
    TlsAlpn,
}

impl Kind {
    pub(super) fn challenge(self) -> ChallengeType {
        match self {
            Self::Http => ChallengeType::Http01,
            Self::TlsAlpn => ChallengeType::TlsAlpn01,
        }
    }

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Http => "http-01",
            Self::TlsAlpn => "tls-alpn-01",
        }
    }

    /// In which order they are tried, by what worked and what did not.
    pub(super) fn in_order(worked: Option<Self>, failed: Option<Self>) -> [Self; 2] {
        const HTTP_FIRST: [Kind; 2] = [Kind::Http, Kind::TlsAlpn];
        const TLS_FIRST: [Kind; 2] = [Kind::TlsAlpn, Kind::Http];
        match (worked, failed) {
            (_, Some(Self::Http)) | (Some(Self::TlsAlpn), None) => TLS_FIRST,
            (_, Some(Self::TlsAlpn)) | (Some(Self::Http) | None, None) => HTTP_FIRST,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_worked_comes_first_and_what_failed_last() {
        use Kind::{Http, TlsAlpn};
        assert_eq!(Kind::in_order(None, None), [Http, TlsAlpn]);
        assert_eq!(Kind::in_order(Some(TlsAlpn), None), [TlsAlpn, Http]);
        assert_eq!(Kind::in_order(Some(Http), Some(Http)), [TlsAlpn, Http]);
        assert_eq!(Kind::in_order(None, Some(TlsAlpn)), [Http, TlsAlpn]);
    }
}
