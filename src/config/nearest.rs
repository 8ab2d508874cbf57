//! Which known name did a misspelled one mean?

/// The known name that one or two slips away is this one, or that ends in the very same key.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .filter_map(|name| Some((distance(unknown, name)?, name)))
        .min()
        .map(|(_, name)| name)
}

/// How far two names are apart, if that is near.
fn distance(unknown: &str, known: &str) -> Option<usize> {
    let slips = slips(unknown.as_bytes(), known.as_bytes());
    if slips <= 2 && slips * 3 <= unknown.len() {
        return Some(slips);
    }
    // A right key in a wrong section.
    (last(unknown) == last(known) && unknown != known).then_some(3)
}

fn last(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, last)| last)
}

/// Levenshtein's distance: characters to add, take away or change.
fn slips(a: &[u8], b: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut corner = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(b) {
            let above = *cell;
            left = (corner + usize::from(from != to)).min(left + 1).min(above + 1);
            corner = above;
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_slips() {
        for (a, b, count) in [
            ("", "", 0),
            ("", "abc", 3),
            ("kitten", "sitting", 3),
            ("user", "users", 1),
        ] {
            assert_eq!(slips(a.as_bytes(), b.as_bytes()), count, "{a} {b}");
        }
    }

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
