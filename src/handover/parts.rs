//! What goes over beside the listeners: named parts, each with a version.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::value::{RawValue, to_raw_value};
use tracing::warn;

/// Of one part as JSON: several times what any holds when it is full.
const MAX_PART_BYTES: usize = 32 * 1024 * 1024;

/// Something that goes over.
pub trait Part: Serialize + DeserializeOwned {
    const NAME: &'static str;
    /// Counts up when what is meant changes; who knows another one goes on without this part.
    const VERSION: u32;
}

/// The parts; `Debug` shows no content, as there are keys among it.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Parts(BTreeMap<String, Versioned>);

#[derive(Serialize, Deserialize)]
struct Versioned {
    version: u32,
    content: Box<RawValue>,
}

impl Parts {
    /// Puts a part in. One that is too large stays away, which is told.
    pub fn put<P: Part>(&mut self, part: &P) {
        match to_raw_value(part) {
            Ok(content) if content.get().len() <= MAX_PART_BYTES => {
                let version = P::VERSION;
                self.0.insert(P::NAME.to_owned(), Versioned { version, content });
            }
            Ok(content) => {
                let bytes = content.get().len();
                warn!(part = P::NAME, bytes, "Too large to be handed over");
            }
            Err(error) => warn!(part = P::NAME, %error, "Can't be handed over"),
        }
    }

    /// Takes a part out, if it is there and understood.
    pub fn take<P: Part>(&mut self) -> Option<P> {
        let Versioned { version, content } = self.0.remove(P::NAME)?;
        if version != P::VERSION || content.get().len() > MAX_PART_BYTES {
            return None;
        }
        serde_json::from_str(content.get()).ok()
    }
}

impl fmt::Debug for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Counts(Vec<u32>);

    impl Part for Counts {
        const NAME: &'static str = "counts";
        const VERSION: u32 = 1;
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct NewerCounts(Vec<u32>);

    impl Part for NewerCounts {
        const NAME: &'static str = "counts";
        const VERSION: u32 = 2;
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct OtherCounts(String);

    impl Part for OtherCounts {
        const NAME: &'static str = "counts";
        const VERSION: u32 = 1;
    }

    fn sent(parts: &Parts) -> Parts {
        serde_json::from_slice(&serde_json::to_vec(parts).unwrap()).unwrap()
    }

    #[test]
    fn a_part_comes_out_as_it_went_in() {
        let mut parts = Parts::default();
        parts.put(&Counts(vec![1, 2]));
        let mut parts = sent(&parts);
        assert_eq!(parts.take(), Some(Counts(vec![1, 2])));
        assert_eq!(parts.take::<Counts>(), None);
    }

    #[test]
    fn what_is_not_understood_is_left_out() {
        let mut parts = Parts::default();
        parts.put(&Counts(vec![1]));
        assert_eq!(sent(&parts).take::<NewerCounts>(), None);
        assert_eq!(sent(&parts).take::<OtherCounts>(), None);
        assert_eq!(sent(&parts).take(), Some(Counts(vec![1])));
    }

    #[test]
    fn what_is_too_large_stays_away_and_nothing_of_it_is_shown() {
        let mut parts = Parts::default();
        parts.put(&OtherCounts("k".repeat(MAX_PART_BYTES)));
        assert_eq!(format!("{parts:?}"), "{}");
        parts.put(&OtherCounts("secret".into()));
        assert_eq!(format!("{parts:?}"), "{\"counts\"}");
    }
}
