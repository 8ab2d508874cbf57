//! Both sides of a connection as bytes: for what no proper client or server would send, and for when it is sent.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::AbortHandle,
    time::timeout,
};

use super::addr::own;

/// Nothing in a test takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(90);

/// One connection: bytes out, messages in.
pub struct Raw<S> {
    stream: S,
    unread: Vec<u8>,
}

/// An answer over HTTP/1.1, whole.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

/// How the other side ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It said so.
    Cleanly,
    /// The connection broke.
    Broken,
}

impl RawAnswer {
    /// A header's value; the name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The sentence in an error.
    pub fn message(&self) -> String {
        self.json()["msg"].as_str().unwrap().to_owned()
    }
}

/// The value of a field that is there once.
pub fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut values = head.lines().skip(1).filter_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    });
    let value = values.next();
    assert!(values.next().is_none(), "{name} is there twice: {head}");
    value
}

impl<S: AsyncRead + AsyncWrite + Unpin> Raw<S> {
    pub fn over(stream: S) -> Self {
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    pub fn into_inner(self) -> S {
        self.stream
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Sends as long as the other side takes it.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Says that nothing more comes.
    pub async fn half_close(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Whatever comes next, or how it ended.
    async fn more(&mut self) -> Result<(), Ended> {
        self.unread.reserve(16 * 1024);
        match timeout(PATIENCE, self.stream.read_buf(&mut self.unread))
            .await
            .expect("the other side neither speaks nor closes")
        {
            Ok(0) => Err(Ended::Cleanly),
            Ok(_) => Ok(()),
            Err(_) => Err(Ended::Broken),
        }
    }

    /// Up to and with this marker.
    pub async fn until(&mut self, marker: &[u8]) -> Result<Vec<u8>, Ended> {
        loop {
            if let Some(at) = memchr::memmem::find(&self.unread, marker) {
                return Ok(self.unread.drain(..at + marker.len()).collect());
            }
            self.more().await?;
        }
    }

    /// So many bytes.
    pub async fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Ended> {
        while self.unread.len() < count {
            self.more().await?;
        }
        Ok(self.unread.drain(..count).collect())
    }

    /// Whatever has come, at least a byte.
    pub async fn some(&mut self) -> Result<Vec<u8>, Ended> {
        while self.unread.is_empty() {
            self.more().await?;
        }
        Ok(std::mem::take(&mut self.unread))
    }

    /// A message's head, with the empty line behind it.
    pub async fn head(&mut self) -> Result<String, Ended> {
        let head = self.until(b"\r\n\r\n").await?;
        Ok(String::from_utf8_lossy(&head).into_owned())
    }

    /// An answer with a body that has a length, is chunked, or is not there.
    pub async fn answer(&mut self) -> RawAnswer {
        self.try_answer().await.unwrap()
    }

    /// As `answer`, or how the connection ended in the middle of it.
    pub async fn try_answer(&mut self) -> Result<RawAnswer, Ended> {
        let head = self.head().await?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut body = Vec::new();
        if let Some(length) = header(&head, "content-length") {
            body = self.exactly(length.parse().unwrap()).await?;
        } else if header(&head, "transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk().await? {
                body.extend(chunk);
            }
        }
        Ok(RawAnswer { status, head, body })
    }

    /// One chunk; none is the end of the body, without trailers.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>, Ended> {
        let size = self.until(b"\r\n").await?;
        let size = usize::from_str_radix(std::str::from_utf8(&size).unwrap().trim(), 16).unwrap();
        let mut chunk = self.exactly(size + 2).await?;
        chunk.truncate(size);
        Ok((size > 0).then_some(chunk))
    }

    /// All that still comes, and how it ends.
    pub async fn rest(&mut self) -> (Vec<u8>, Ended) {
        loop {
            if let Err(ended) = self.more().await {
                return (std::mem::take(&mut self.unread), ended);
            }
        }
    }
}

/// An upstream whose connections do what the test says, once a request's head is in.
pub struct RawUpstream {
    pub addr: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    arrived: Arc<Notify>,
    task: AbortHandle,
}

impl RawUpstream {
    /// `act` has the head and the connection behind it; when it returns, the connection is closed.
    pub async fn acting<F, A>(act: F) -> Self
    where
        F: Fn(String, Raw<TcpStream>) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(own()).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let arrived = Arc::new(Notify::new());
        let (record, notify, act) = (Arc::clone(&heads), Arc::clone(&arrived), Arc::new(act));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (record, notify, act) = (Arc::clone(&record), Arc::clone(&notify), Arc::clone(&act));
                tokio::spawn(async move {
                    let mut connection = Raw::over(stream);
                    if let Ok(head) = connection.head().await {
                        record.lock().unwrap().push(head.clone());
                        notify.notify_one();
                        act(head, connection).await;
                    }
                });
            }
        });
        Self {
            addr,
            heads,
            arrived,
            task: task.abort_handle(),
        }
    }

    /// These bytes to everything, and the end of the connection.
    pub async fn answering(bytes: &'static str) -> Self {
        Self::acting(move |_, mut connection| async move {
            connection.send(bytes).await;
        })
        .await
    }

    /// These bytes to each request, once for each `notify_one`, and the end of the connection.
    pub async fn answering_when(told: &Arc<Notify>, bytes: &'static str) -> Self {
        let told = Arc::clone(told);
        Self::acting(move |_, mut connection| {
            let told = Arc::clone(&told);
            async move {
                told.notified().await;
                connection.send(bytes).await;
            }
        })
        .await
    }

    /// 200 and nothing, to requests without a body.
    pub async fn content() -> Self {
        Self::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await
    }

    /// Takes requests and says nothing for as long as it is asked.
    pub async fn silent() -> Self {
        Self::acting(|_, mut connection| async move {
            connection.rest().await;
        })
        .await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The heads that came, byte for byte.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The one head that came.
    pub fn only_head(&self) -> String {
        let heads = self.heads();
        assert_eq!(heads.len(), 1, "{heads:?}");
        heads[0].clone()
    }

    /// The first line of the one request that came.
    pub fn only_request_line(&self) -> String {
        self.only_head().lines().next().unwrap().to_owned()
    }

    pub fn saw_nothing(&self) -> bool {
        self.heads().is_empty()
    }

    /// Waits for one more head.
    pub async fn arrival(&self) {
        timeout(PATIENCE, self.arrived.notified())
            .await
            .expect("nothing reached upstream");
    }
}

impl Drop for RawUpstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}
