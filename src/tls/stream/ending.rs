//! What is known of a connection's end.

use rustls::Error;

#[derive(Default)]
pub(super) struct Ending {
    /// Why the connection is over, if it has failed.
    pub failed: Option<Box<Error>>,
    /// Has the peer said that nothing more comes?
    pub is_said: bool,
}

impl Ending {
    pub(super) fn fail(&mut self, error: Error) {
        self.failed = Some(Box::new(error));
    }
}
