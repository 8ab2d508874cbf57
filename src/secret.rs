//! A value that must not be printed: keys, secrets, tokens.
//!
//! `Debug` and `Display` show `***`, so a secret can't get into a log or an error by a format string. Code that needs
//! the value has to call `expose`, which is easy to search for.

mod file;
mod owner;

use std::fmt;

pub use file::{Exposed, SecretFile, SecretFileError, can_make_in, read_file, trimmed};
pub use owner::{GATEWAYS_USER, gateways_user, is_ours};

/// A value that is shown as `***` in every kind of output.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    pub fn new(value: T) -> Self {
        Self(value)
    }

    /// The value itself, for signing and sending.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_nothing_of_the_value() {
        let secret = Secret::new("zumyyYWqv7KR");
        assert_eq!(format!("{secret} {secret:?}"), "*** ***");
        assert_eq!(*secret.expose(), "zumyyYWqv7KR");
    }
}
