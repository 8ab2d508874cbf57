//! Messages between the two: a length, then JSON; descriptors go with the length.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::UnixStream,
};

use super::parts::Parts;

/// All parts of one message.
const MAX_MESSAGE_BYTES: usize = 128 * 1024 * 1024;

/// Far more listeners than there are; the system's own bound is 253.
const MAX_DESCRIPTORS: usize = 128;

/// The form of these messages; another one is no gateway to speak with.
pub(super) const FORM: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
// The tag is outside, as the parts are kept as they came.
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    Offer {
        form: u32,
        /// The name of each descriptor, in their order.
        listeners: Vec<String>,
        parts: Parts,
    },
    Prepared {
        version: String,
    },
    State {
        parts: Parts,
    },
    Serving,
    Released,
    Learned {
        parts: Parts,
    },
}

pub(super) struct Channel(UnixStream);

impl Channel {
    /// Our end, and the one for the other process.
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let (ours, theirs) = net::UnixStream::pair()?;
        Ok((Self::over(ours)?, theirs.into()))
    }

    pub(super) fn over(stream: net::UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream).map(Self)
    }

    pub(super) async fn send(&mut self, message: &Message, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let body = serde_json::to_vec(message)?;
        let length = u32::try_from(body.len())
            .ok()
            .filter(|_| body.len() <= MAX_MESSAGE_BYTES && descriptors.len() <= MAX_DESCRIPTORS)
            .ok_or(io::ErrorKind::FileTooLarge)?
            .to_be_bytes();
        let stream = &self.0;
        let sent = stream
            .async_io(Interest::WRITABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
                let mut rights = SendAncillaryBuffer::new(&mut space);
                if !descriptors.is_empty() && !rights.push(SendAncillaryMessage::ScmRights(descriptors)) {
                    return Err(io::ErrorKind::FileTooLarge.into());
                }
                let length = [IoSlice::new(&length)];
                Ok(sendmsg(
                    stream.as_fd(),
                    &length,
                    &mut rights,
                    SendFlags::NOSIGNAL,
                )?)
            })
            .await?;
        self.0.write_all(length.get(sent..).unwrap_or_default()).await?;
        self.0.write_all(&body).await
    }

    /// The next message; the descriptors that came with it are closed at the next exec.
    pub(super) async fn receive(&mut self) -> io::Result<(Message, Vec<OwnedFd>)> {
        let mut length = [0; 4];
        let mut descriptors = Vec::new();
        let stream = &self.0;
        let read = stream
            .async_io(Interest::READABLE, || {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
                let mut control = RecvAncillaryBuffer::new(&mut space);
                let mut buffers = [IoSliceMut::new(&mut length)];
                let read = recvmsg(
                    stream.as_fd(),
                    &mut buffers,
                    &mut control,
                    RecvFlags::CMSG_CLOEXEC,
                )?;
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(rights) = message {
                        descriptors.extend(rights);
                    }
                }
                Ok(read.bytes)
            })
            .await?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.0
            .read_exact(length.get_mut(read..).unwrap_or_default())
            .await?;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        if length > MAX_MESSAGE_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok((serde_json::from_slice(&body)?, descriptors))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> (Channel, Channel) {
        let (ours, theirs) = Channel::pair().unwrap();
        (ours, Channel::over(theirs.into()).unwrap())
    }

    #[tokio::test]
    async fn a_listener_goes_over_and_serves_there() {
        let (mut old, mut new) = two();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let offer = Message::Offer {
            form: FORM,
            listeners: vec!["https".into()],
            parts: Parts::default(),
        };
        old.send(&offer, &[listener.as_fd()]).await.unwrap();
        drop(listener);
        let (message, mut descriptors) = new.receive().await.unwrap();
        assert!(matches!(message, Message::Offer { listeners, .. } if listeners == ["https"]));
        let listener = std::net::TcpListener::from(descriptors.pop().unwrap());
        assert!(descriptors.is_empty());
        let _client = std::net::TcpStream::connect(addr).unwrap();
        assert!(listener.accept().is_ok());
        let flags = rustix::io::fcntl_getfd(&listener).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[tokio::test]
    async fn parts_come_as_they_went() {
        #[derive(Serialize, Deserialize)]
        struct Names(Vec<String>);
        impl super::super::Part for Names {
            const NAME: &'static str = "names";
            const VERSION: u32 = 3;
        }
        let (mut old, mut new) = two();
        let (mut early, mut late) = (Parts::default(), Parts::default());
        early.put(&Names(vec!["early".into()]));
        // More than a socket holds, so that it comes in pieces.
        late.put(&Names(vec!["late".into(); 100_000]));
        let sending = tokio::spawn(async move {
            let (form, listeners) = (FORM, Vec::new());
            let offer = Message::Offer {
                form,
                listeners,
                parts: early,
            };
            old.send(&offer, &[]).await.unwrap();
            old.send(&Message::State { parts: late }, &[]).await.unwrap();
        });
        let (Message::Offer { mut parts, .. }, _) = new.receive().await.unwrap() else {
            panic!("an offer");
        };
        assert_eq!(parts.take::<Names>().unwrap().0, ["early"]);
        let (Message::State { mut parts }, _) = new.receive().await.unwrap() else {
            panic!("the state");
        };
        assert_eq!(parts.take::<Names>().unwrap().0.len(), 100_000);
        sending.await.unwrap();
    }

    #[tokio::test]
    async fn messages_keep_their_order_and_an_end_is_an_error() {
        let (mut old, mut new) = two();
        for message in [Message::Serving, Message::Released] {
            new.send(&message, &[]).await.unwrap();
        }
        drop(new);
        assert!(matches!(old.receive().await.unwrap().0, Message::Serving));
        assert!(matches!(old.receive().await.unwrap().0, Message::Released));
        let end = old.receive().await.unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test]
    async fn what_is_no_message_is_an_error() {
        for bytes in [
            &b"\0\0\0\x02{}"[..],
            b"\xff\xff\xff\xff",
            b"\0\0\0\x09{\"message",
            b"GET / HTTP/1.1\r\n",
        ] {
            let (mut ours, mut theirs) = two();
            theirs.0.write_all(bytes).await.unwrap();
            drop(theirs);
            assert!(ours.receive().await.is_err(), "{bytes:?}");
        }
    }
}
