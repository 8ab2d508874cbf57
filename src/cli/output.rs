//! What a command says: answers to standard output, all else to standard error.
//!
//! A reader may close its end before all is said, as `head -1` does. It has what it wanted, so that this is no error, and
//! `println!`, which would panic, stands nowhere in this library.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

use super::Refused;

/// Writes an answer and a line end to standard output.
pub(super) fn answer(text: impl Display) -> Result<(), Refused> {
    written(&mut io::stdout().lock(), text)
        .map_err(|error| format!("standard output can't be written: {error}"))
}

/// Writes a line to standard error. If that fails there is nobody to tell.
pub(super) fn remark(text: impl Display) {
    written(&mut io::stderr().lock(), text).ok();
}

fn written(to: &mut impl Write, text: impl Display) -> io::Result<()> {
    match writeln!(to, "{text}").and_then(|()| to.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
