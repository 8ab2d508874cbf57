//! An upstream over real sockets that answers as it is told and keeps a record of what reached it, byte for byte where
//! that matters.

use std::{
    future::Future,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{HeaderMap, Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpListener, task::AbortHandle};

use super::addr::own;

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Path and query, as they came.
    pub target: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub type AnswerBody = UnsyncBoxBody<Bytes, std::io::Error>;
type Answering = Pin<Box<dyn Future<Output = Response<AnswerBody>> + Send>>;
type Handler = dyn Fn(Seen) -> Answering + Send + Sync;

/// A running upstream; gone when dropped.
pub struct Upstream {
    pub addr: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: AbortHandle,
}

impl Upstream {
    /// 200 and this text to everything.
    pub async fn answering(text: &'static str) -> Self {
        Self::handling(move |_| async move { Response::new(text_body(text)) }).await
    }

    /// Whatever this says; it gets each request whole.
    pub async fn handling<F, A>(handler: F) -> Self
    where
        F: Fn(Seen) -> A + Send + Sync + 'static,
        A: Future<Output = Response<AnswerBody>> + Send + 'static,
    {
        Self::at(&own(), handler).await
    }

    /// As `handling`, at this address.
    pub async fn at<F, A>(addr: &str, handler: F) -> Self
    where
        F: Fn(Seen) -> A + Send + Sync + 'static,
        A: Future<Output = Response<AnswerBody>> + Send + 'static,
    {
        let handler: Arc<Handler> = Arc::new(move |seen| Box::pin(handler(seen)));
        let listener = TcpListener::bind(addr).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (handler, record) = (Arc::clone(&handler), Arc::clone(&record));
                let service = service_fn(move |request| {
                    let (handler, record) = (Arc::clone(&handler), Arc::clone(&record));
                    async move {
                        let seen = whole(request).await?;
                        record.lock().unwrap().push(seen.clone());
                        Ok::<_, hyper::Error>(handler(seen).await)
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            addr,
            seen,
            task: task.abort_handle(),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// All that arrived.
    pub fn requests(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The one request that arrived.
    pub fn only_request(&self) -> Seen {
        let requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests[0].clone()
    }

    /// Takes no further connection.
    pub fn stop(&self) {
        self.task.abort();
    }

    /// Did nothing at all arrive?
    pub fn saw_nothing(&self) -> bool {
        self.requests().is_empty()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub fn text_body(text: impl Into<Bytes>) -> AnswerBody {
    Full::new(text.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

async fn whole(request: Request<Incoming>) -> Result<Seen, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Seen {
        method: head.method.to_string(),
        target: head
            .uri
            .path_and_query()
            .map(ToString::to_string)
            .unwrap_or_default(),
        headers: head.headers,
        body,
    })
}
