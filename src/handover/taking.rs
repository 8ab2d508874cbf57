//! The new process' side.

use std::{
    io,
    net::TcpListener,
    os::{fd::AsFd, unix::net},
    time::Duration,
};

use tokio::time::timeout;
use tracing::warn;

use super::{
    channel::{Channel, FORM, Message},
    parts::Parts,
};

/// For each word of the old one, which has nothing to do but this.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the old process has given.
pub struct Taken {
    /// Its listeners, by name.
    pub listeners: Vec<(String, TcpListener)>,
    /// What the new process needs before it listens.
    pub early: Parts,
}

/// The way to the old process. Whatever fails on it after the offer, the new one goes on: it has the listeners.
pub struct Taking(Option<Channel>);

impl Taking {
    /// Over standard input, which reads as empty from here on.
    pub async fn begin() -> io::Result<(Self, Taken)> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        // What this process starts has no part in it, and its end is to be seen.
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
        let mut channel = Channel::over(net::UnixStream::from(input))?;
        let (message, descriptors) = timeout(PATIENCE, channel.receive()).await??;
        let Message::Offer {
            form: FORM,
            listeners,
            parts: early,
        } = message
        else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        if listeners.len() != descriptors.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let sockets = descriptors.into_iter().map(TcpListener::from);
        let listeners = listeners.into_iter().zip(sockets).collect();
        Ok((Self(Some(channel)), Taken { listeners, early }))
    }

    /// All is read and checked: what has the old one counted until now?
    pub async fn prepared(&mut self) -> Parts {
        let prepared = Message::Prepared {
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        self.send(&prepared).await;
        match self.receive().await {
            Some(Message::State { parts }) => parts,
            Some(_) | None => Parts::default(),
        }
    }

    /// It accepts. Resolves when the old one does not any more.
    pub async fn serving(&mut self) {
        self.send(&Message::Serving).await;
        self.receive().await;
    }

    /// What the old one has learned since; none when it is gone, or has nothing more to tell.
    pub async fn learned(&mut self) -> Option<Parts> {
        let (message, _) = self.0.as_mut()?.receive().await.ok()?;
        match message {
            Message::Learned { parts } => Some(parts),
            Message::Offer { .. }
            | Message::Prepared { .. }
            | Message::State { .. }
            | Message::Serving
            | Message::Released => None,
        }
    }

    async fn send(&mut self, message: &Message) {
        if let Some(channel) = &mut self.0
            && let Err(error) = channel.send(message, &[]).await
        {
            self.lost(&error);
        }
    }

    async fn receive(&mut self) -> Option<Message> {
        let channel = self.0.as_mut()?;
        let received = timeout(PATIENCE, channel.receive()).await;
        match received.unwrap_or_else(|late| Err(late.into())) {
            Ok((message, _)) => Some(message),
            Err(error) => {
                self.lost(&error);
                None
            }
        }
    }

    fn lost(&mut self, error: &io::Error) {
        warn!(%error, "The old gateway is gone before it handed all over");
        self.0 = None;
    }
}
