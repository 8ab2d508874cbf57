//! The stream of a client's connection that switches to another protocol: a request's extension leads to it.
//!
//! hyper gives back a stream in wrappers of its own and of whoever served HTTP on it. A tunnel that is idle for an hour would
//! hold all of them, so they are taken off by who has put them on.

use hyper::upgrade::{OnUpgrade, Upgraded};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

/// What a connection is when HTTP is over.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A client's connection before it switches.
pub trait Settle {
    /// What has begun may last for hours: lets go of what is not needed for that.
    fn settle(&mut self) {}
}

impl Settle for TcpStream {}

#[cfg(test)]
impl Settle for tokio::io::DuplexStream {}

/// The switch of one request's connection.
#[derive(Clone)]
pub struct Switch {
    upgrade: OnUpgrade,
    unwrap: fn(Upgraded) -> Box<dyn Stream>,
}

impl Switch {
    /// `unwrap` takes off what was put around the stream for HTTP.
    pub fn new(upgrade: OnUpgrade, unwrap: fn(Upgraded) -> Box<dyn Stream>) -> Self {
        Self { upgrade, unwrap }
    }

    /// Waits until our 101 is gone. An error: the connection has ended before.
    pub async fn switched(self) -> hyper::Result<Box<dyn Stream>> {
        let upgraded = self.upgrade.await?;
        Ok((self.unwrap)(upgraded))
    }
}
