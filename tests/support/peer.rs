//! A program at the other end of a TCP connection, as bytes: who connects to it meets the script of the test.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

use super::addr::own;

/// Listens until it is dropped, and its connections end with it.
pub struct Peer {
    pub addr: SocketAddr,
    connections: Arc<AtomicUsize>,
    task: AbortHandle,
}

impl Peer {
    /// Each connection does what `act` says.
    pub async fn acting<F, A>(act: F) -> Self
    where
        F: Fn(TcpStream) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        Self::at(&own(), act).await
    }

    /// As `acting`, at this address.
    pub async fn at<F, A>(addr: &str, act: F) -> Self
    where
        F: Fn(TcpStream) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                open.spawn(act(stream));
            }
        });
        Self {
            addr,
            connections,
            task: task.abort_handle(),
        }
    }

    /// Sends back what comes, until the other side has ended, and then a last word.
    pub async fn echoing() -> Self {
        Self::acting(|mut stream| async move {
            let (mut from, mut to) = stream.split();
            if tokio::io::copy(&mut from, &mut to).await.is_ok() {
                to.write_all(b"end").await.ok();
            }
        })
        .await
    }

    /// Sends back all that has come once the other side has ended.
    pub async fn recalling() -> Self {
        Self::acting(|mut stream| async move {
            let mut all = Vec::new();
            stream.read_to_end(&mut all).await.ok();
            stream.write_all(&all).await.ok();
        })
        .await
    }

    /// How many connections it has had.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}
