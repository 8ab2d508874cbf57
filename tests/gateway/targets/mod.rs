//! Targets and the URL space, over real sockets: what is refused, where each path leads, and in which bytes.

mod bytes;
mod forms;
mod listeners;
mod routes;
mod spelling;

use tokio::net::TcpStream;

use crate::support::{self, Gateway, raw::Raw, upstream::Upstream};

async fn in_front_of(upstream: &Upstream) -> Gateway {
    Gateway::everything_to(&upstream.url(), "").await
}

async fn plain(addr: std::net::SocketAddr, request: &str) -> support::raw::RawAnswer {
    let mut connection = Raw::over(TcpStream::connect(addr).await.unwrap());
    connection.send(request).await;
    connection.answer().await
}
