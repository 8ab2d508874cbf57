//! Slices that are read as one, in parts that lie in one place each.

use std::{borrow::Cow, io::IoSlice};

pub(super) struct Pieces<'p> {
    current: &'p [u8],
    later: &'p [IoSlice<'p>],
}

impl<'p> Pieces<'p> {
    pub(super) fn of(pieces: &'p [IoSlice<'p>]) -> Self {
        Self {
            current: &[],
            later: pieces,
        }
    }

    /// The next part, of this many bytes at most; `None` behind the last one. Copies only what lies in several places.
    pub(super) fn next(&mut self, at_most: usize) -> Option<Cow<'p, [u8]>> {
        let first = self.some(at_most)?;
        if first.len() == at_most || self.left_bytes() == 0 {
            return Some(Cow::Borrowed(first));
        }
        let mut gathered = Vec::with_capacity(at_most.min(first.len() + self.left_bytes()));
        gathered.extend_from_slice(first);
        while gathered.len() < at_most
            && let Some(more) = self.some(at_most - gathered.len())
        {
            gathered.extend_from_slice(more);
        }
        Some(Cow::Owned(gathered))
    }

    /// Copies the next bytes, as many as there is room for.
    pub(super) fn fill(&mut self, mut room: &mut [u8]) {
        while let Some(some) = self.some(room.len()).filter(|some| !some.is_empty()) {
            let (now, later) = room.split_at_mut(some.len());
            now.copy_from_slice(some);
            room = later;
        }
    }

    pub(super) fn left_bytes(&self) -> usize {
        let later: usize = self.later.iter().map(|piece| piece.len()).sum();
        self.current.len() + later
    }

    /// What lies in one place.
    fn some(&mut self, at_most: usize) -> Option<&'p [u8]> {
        while self.current.is_empty() {
            let (first, later) = self.later.split_first()?;
            (self.current, self.later) = (first, later);
        }
        let (some, rest) = self.current.split_at(at_most.min(self.current.len()));
        self.current = rest;
        Some(some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_filled_from_one_slice_and_the_next() {
        let slices = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")];
        let mut pieces = Pieces::of(&slices);
        for (bytes, expected, left) in [(1, "a", 4), (0, "", 4), (3, "bcd", 1), (2, "e\0", 0)] {
            let mut room = vec![0; bytes];
            pieces.fill(&mut room);
            assert_eq!((room, pieces.left_bytes()), (expected.into(), left));
        }
    }

    #[test]
    fn parts_are_full_and_only_what_lies_apart_is_copied() {
        let slices = [
            IoSlice::new(b"ab"),
            IoSlice::new(b""),
            IoSlice::new(b"cdefghij"),
            IoSlice::new(b""),
        ];
        let mut pieces = Pieces::of(&slices);
        let mut parts = Vec::new();
        while let Some(part) = pieces.next(4) {
            parts.push((
                String::from_utf8_lossy(&part).into_owned(),
                matches!(part, Cow::Borrowed(_)),
            ));
        }
        let expected = [("abcd", false), ("efgh", true), ("ij", true)];
        assert_eq!(
            parts,
            expected.map(|(text, is_borrowed)| (text.to_owned(), is_borrowed))
        );
        assert!(Pieces::of(&[]).next(4).is_none());
    }
}
