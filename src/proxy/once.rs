//! One request over a connection of its own: for the commands that ask a running gateway, and for the requests that the
//! gateway itself makes (`super::own_request`).

use bytes::Bytes;
use http_body::Body;
use hyper::{Request, Response, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::task::AbortOnDropHandle;

use crate::{http::whole, reply::BoxError};

/// Sends a request over `stream`, and returns the answer. A body of more than `max_bytes` is an error.
pub async fn once<S, B>(stream: S, request: Request<B>, max_bytes: usize) -> Result<Response<Bytes>, BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(async move {
        let _: Result<(), hyper::Error> = connection.await;
    }));
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = whole(body, max_bytes).await;
    let body = body.map_err(|error| format!("the answer broke off: {error}"))?;
    Ok(Response::from_parts(head, body))
}
