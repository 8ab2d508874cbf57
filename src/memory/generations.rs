//! A map of bounded size that forgets what was not used for longest.

use std::collections::HashMap;

/// A map that forgets: when one generation is full it becomes the old one, and the one before it goes. What is touched
/// moves to the young one.
pub(super) struct Generations<V> {
    pub(super) young: HashMap<Box<str>, V>,
    pub(super) old: HashMap<Box<str>, V>,
    pub(super) size: usize,
}

impl<V> Generations<V> {
    pub(super) fn of(size: usize) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            size,
        }
    }

    pub(super) fn oldest_first(&self) -> impl Iterator<Item = (&Box<str>, &V)> {
        self.old.iter().chain(&self.young)
    }

    pub(super) fn insert(&mut self, key: &str, value: V) {
        self.make_room();
        self.old.remove(key);
        self.young.insert(key.into(), value);
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<V> {
        self.young.remove(key).or_else(|| self.old.remove(key))
    }

    pub(super) fn find(&mut self, key: &str) -> Option<&mut V> {
        self.young.get_mut(key).or_else(|| self.old.get_mut(key))
    }

    fn make_room(&mut self) {
        if self.young.len() >= self.size {
            self.old = std::mem::take(&mut self.young);
        }
    }
}

impl<V: Default> Generations<V> {
    pub(super) fn entry(&mut self, key: &str) -> &mut V {
        if !self.young.contains_key(key) {
            let value = self.old.remove(key).unwrap_or_default();
            self.insert(key, value);
        }
        self.young.entry(key.into()).or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_touched_stays_and_the_rest_makes_room() {
        let mut map: Generations<u32> = Generations::of(10);
        for at in 0..1000 {
            *map.entry("kept") += 1;
            map.entry(&at.to_string());
            assert!(map.young.len() <= 10 && map.old.len() <= 10);
        }
        assert_eq!(map.find("kept"), Some(&mut 1000));
        assert!(map.find("0").is_none() && map.find("999").is_some());
    }
}
