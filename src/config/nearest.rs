//! Finds the known name that a misspelled one most likely means.

/// The known name with the fewest slips from this one, at most two, or else one whose last part is the same. None: no
/// name is that near.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .filter_map(|name| Some((distance(unknown, name)?, name)))
        .min()
        .map(|(_, name)| name)
}

/// The number of slips between two names, or 3 if only their last parts are the same. None: they are not near. Two
/// letters that have changed places are one slip.
fn distance(unknown: &str, known: &str) -> Option<usize> {
    let slips = strsim::osa_distance(unknown, known);
    if slips <= 2 && slips * 3 <= unknown.len() {
        return Some(slips);
    }
    // The key may be right, and the section wrong.
    (last(unknown) == last(known) && unknown != known).then_some(3)
}

fn last(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, last)| last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_near_key_and_the_key_of_another_section() {
        let known = ["limits.user", "limits.room", "plugnmeet.api_key", "hosts"];
        let near = |unknown| nearest(unknown, known.into_iter());
        assert_eq!(near("limits.usr"), Some("limits.user"));
        assert_eq!(near("limit.room"), Some("limits.room"));
        assert_eq!(near("api_key"), Some("plugnmeet.api_key"));
        assert_eq!(near("host"), Some("hosts"));
        assert_eq!(near("callers"), None);
        assert_eq!(near("ho"), None);
    }
}
