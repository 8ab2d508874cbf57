//! One request over a connection of the caller's own, for the commands that ask a running gateway.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Request, client::conn::http1};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::reply::BoxError;

/// Sends a request over `stream`, and returns the status and the body of the answer. A body of more than `max_bytes` is
/// an error.
pub async fn once<S>(
    stream: S,
    request: Request<Full<Bytes>>,
    max_bytes: usize,
) -> Result<(u16, Bytes), BoxError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let answer = Limited::new(response.into_body(), max_bytes).collect().await?;
        Ok((status, answer.to_bytes()))
    };
    let answered = exchange.await;
    connection.abort();
    answered
}
