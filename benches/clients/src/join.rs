//! One participant's way in, as a browser goes it that has been here before: the join link and where it leads, the page,
//! `config.js`, eleven files that are asked for again and have not changed, `verifyToken`, and a WebSocket. All of it goes
//! over one HTTP/2 connection, but for the WebSocket, which has a connection of its own that resumes the first one's TLS.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request, StatusCode, header};
use rustls::{ClientConfig, client::Resumption, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Barrier,
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{Outcome, latency, options::Options, stream::Endpoint};

/// Nobody waits longer for all of it: what hangs is a failure.
const PATIENCE: Duration = Duration::from_mins(1);

/// The body of `verifyToken`.
const VERIFY: &[u8] = &[8; 128];

/// What all who join have in common.
struct Door {
    authority: String,
    tls: Arc<ClientConfig>,
    token: String,
    files: Vec<File>,
}

/// The path of a file, and the field by which it is asked for again.
type File = (String, Option<(header::HeaderName, header::HeaderValue)>);

/// So many at a time, each again and again.
pub fn one_after_another(options: &Options) -> Outcome<()> {
    let connections: usize = options.number("connections")?;
    let seconds = options.seconds()?;
    run(options, async move |door| {
        let started = Instant::now();
        let mut all = JoinSet::new();
        for _ in 0..connections {
            let door = Arc::clone(&door);
            all.spawn(async move {
                let mut took = Vec::new();
                while started.elapsed() < seconds {
                    let began = Instant::now();
                    door.join().await?.leave().await;
                    took.push(began.elapsed());
                }
                Outcome::Ok(took)
            });
        }
        let mut took = Vec::new();
        while let Some(one) = all.join_next().await {
            took.append(&mut one??);
        }
        Ok((took, started.elapsed()))
    })
}

/// So many at the same moment, each once. Nobody leaves before the last is in.
pub fn at_once(options: &Options) -> Outcome<()> {
    let connections: usize = options.number("connections")?;
    run(options, async move |door| {
        let ready = Arc::new(Barrier::new(connections + 1));
        let mut all = JoinSet::new();
        for _ in 0..connections {
            let (door, ready) = (Arc::clone(&door), Arc::clone(&ready));
            all.spawn(async move {
                ready.wait().await;
                let began = Instant::now();
                let joined = door.join().await?;
                Outcome::Ok((began.elapsed(), joined))
            });
        }
        ready.wait().await;
        let started = Instant::now();
        let (mut took, mut inside) = (Vec::new(), Vec::new());
        while let Some(one) = all.join_next().await {
            let (one, joined) = one??;
            took.push(one);
            inside.push(joined);
        }
        let seconds = started.elapsed();
        for joined in inside {
            joined.leave().await;
        }
        Ok((took, seconds))
    })
}

fn run(
    options: &Options,
    load: impl AsyncFnOnce(Arc<Door>) -> Outcome<(Vec<Duration>, Duration)>,
) -> Outcome<()> {
    let endpoint = Endpoint::of(options)?;
    let mut door = Door {
        authority: endpoint.authority().to_owned(),
        tls: Arc::clone(endpoint.tls().ok_or("joins go over TLS")?),
        token: options.text("token")?.to_owned(),
        files: options
            .text("files")?
            .split(',')
            .map(|path| (path.to_owned(), None))
            .collect(),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let (mut took, seconds) = runtime.block_on(async {
        door.visit_first().await?;
        load(Arc::new(door)).await
    })?;
    println!("{}", latency::told(&mut took, seconds));
    Ok(())
}

/// Somebody who is in.
struct Joined {
    requests: SendRequest<Bytes>,
    socket: TlsStream<TcpStream>,
}

impl Joined {
    async fn leave(mut self) {
        drop(self.requests);
        let _gone = self.socket.shutdown().await;
    }
}

impl Door {
    /// The first visit, from which a browser knows what the files were. A server that compresses them as it starts may
    /// answer differently for a while.
    async fn visit_first(&mut self) -> Outcome<()> {
        let requests = self.http2(&self.participant()).await?;
        let mut files = std::mem::take(&mut self.files);
        let began = Instant::now();
        while !self.are_known(&requests, &mut files).await? {
            if began.elapsed() > PATIENCE {
                return Err("the files never stay what they are".into());
            }
            sleep(Duration::from_millis(100)).await;
        }
        self.files = files;
        Ok(())
    }

    /// Asks for all files, and says whether none has changed.
    async fn are_known(&self, requests: &SendRequest<Bytes>, files: &mut [File]) -> Outcome<bool> {
        let mut all = true;
        for (path, known) in files {
            let answer = self.get(requests, path, known.as_slice()).await?;
            answer.expect(&[StatusCode::OK, StatusCode::NOT_MODIFIED])?;
            if answer.head.status == StatusCode::NOT_MODIFIED {
                continue;
            }
            all = false;
            let fields = &answer.head.headers;
            *known = [
                (header::ETAG, header::IF_NONE_MATCH),
                (header::LAST_MODIFIED, header::IF_MODIFIED_SINCE),
            ]
            .into_iter()
            .find_map(|(told, asks)| Some((asks, fields.get(told)?.clone())));
            known.as_ref().ok_or("a file that can't be asked for again")?;
        }
        Ok(all)
    }

    async fn join(&self) -> Outcome<Joined> {
        timeout(PATIENCE, self.join_at_leisure())
            .await
            .map_err(|_| "nobody is let in")?
    }

    async fn join_at_leisure(&self) -> Outcome<Joined> {
        let tls = self.participant();
        let requests = self.http2(&tls).await?;
        let link = format!("/conference/?access_token={}", self.token);
        let answer = self.get(&requests, &link, &[]).await?;
        answer.expect(&[StatusCode::OK, StatusCode::SEE_OTHER])?;
        if answer.head.status == StatusCode::SEE_OTHER {
            let fields = &answer.head.headers;
            let page = fields.get(header::LOCATION).ok_or("a redirect to nowhere")?;
            let page = page.to_str()?.to_owned();
            let cookies: Vec<&str> = fields
                .get_all(header::SET_COOKIE)
                .iter()
                .filter_map(|cookie| cookie.to_str().ok()?.split(';').next())
                .collect();
            let cookies = (header::COOKIE, cookies.join("; ").try_into()?);
            let answer = self.get(&requests, &page, &[cookies]).await?;
            answer.expect(&[StatusCode::OK])?;
        }
        let config = self.get(&requests, "/conference/assets/config.js", &[]).await?;
        config.expect(&[StatusCode::OK])?;
        let mut asked = Vec::new();
        for (path, known) in &self.files {
            asked.push(
                self.ask(&requests, Method::GET, path, known.as_slice(), None)
                    .await?,
            );
        }
        for one in asked {
            answered(one).await?.expect(&[StatusCode::NOT_MODIFIED])?;
        }
        let fields = [
            (header::AUTHORIZATION, self.token.as_str().try_into()?),
            (
                header::CONTENT_TYPE,
                header::HeaderValue::from_static("application/protobuf"),
            ),
        ];
        let verified = self
            .ask(&requests, Method::POST, "/api/verifyToken", &fields, Some(VERIFY))
            .await?;
        answered(verified).await?.expect(&[StatusCode::OK])?;
        let socket = self.websocket(&tls).await?;
        Ok(Joined { requests, socket })
    }

    /// The TLS of one participant, who has no ticket yet.
    fn participant(&self) -> ClientConfig {
        let mut tls = (*self.tls).clone();
        tls.resumption = Resumption::in_memory_sessions(4);
        tls
    }

    async fn connect(&self, tls: &ClientConfig, protocol: &[u8]) -> Outcome<TlsStream<TcpStream>> {
        let mut tls = tls.clone();
        tls.alpn_protocols = vec![protocol.to_vec()];
        let socket = TcpStream::connect(&self.authority).await?;
        socket.set_nodelay(true)?;
        let name = ServerName::try_from("localhost")?;
        Ok(TlsConnector::from(Arc::new(tls)).connect(name, socket).await?)
    }

    async fn http2(&self, tls: &ClientConfig) -> Outcome<SendRequest<Bytes>> {
        let stream = self.connect(tls, b"h2").await?;
        let (requests, connection) = h2::client::handshake(stream).await?;
        tokio::spawn(connection);
        Ok(requests)
    }

    async fn websocket(&self, tls: &ClientConfig) -> Outcome<TlsStream<TcpStream>> {
        let mut stream = self.connect(tls, b"http/1.1").await?;
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            self.authority
        );
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Err("the connection ended before the WebSocket".into());
            }
        }
        if !head.starts_with(b"HTTP/1.1 101 ") {
            let head = String::from_utf8_lossy(&head);
            return Err(format!("no WebSocket, but {}", head.lines().next().unwrap_or_default()).into());
        }
        Ok(stream)
    }

    async fn get(
        &self,
        requests: &SendRequest<Bytes>,
        path: &str,
        fields: &[(header::HeaderName, header::HeaderValue)],
    ) -> Outcome<Answer> {
        let asked = self.ask(requests, Method::GET, path, fields, None).await?;
        answered(asked).await
    }

    async fn ask(
        &self,
        requests: &SendRequest<Bytes>,
        method: Method,
        path: &str,
        fields: &[(header::HeaderName, header::HeaderValue)],
        body: Option<&'static [u8]>,
    ) -> Outcome<(String, h2::client::ResponseFuture)> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("https://{}{path}", self.authority))
            .header(header::ACCEPT_ENCODING, "gzip, deflate, br, zstd")
            .body(())?;
        request.headers_mut().extend(fields.iter().cloned());
        if let Some(body) = body {
            request
                .headers_mut()
                .insert(header::CONTENT_LENGTH, body.len().into());
        }
        let mut requests = requests.clone().ready().await?;
        let (answer, mut sending) = requests.send_request(request, body.is_none())?;
        if let Some(body) = body {
            sending.send_data(Bytes::from_static(body), true)?;
        }
        Ok((path.to_owned(), answer))
    }
}

/// An answer whose body was read to its end.
struct Answer {
    path: String,
    head: http::response::Parts,
}

impl Answer {
    fn expect(&self, any: &[StatusCode]) -> Outcome<()> {
        if any.contains(&self.head.status) {
            return Ok(());
        }
        Err(format!("{} answered {}", self.path, self.head.status).into())
    }
}

async fn answered((path, answer): (String, h2::client::ResponseFuture)) -> Outcome<Answer> {
    let (head, mut body) = answer.await?.into_parts();
    while let Some(piece) = body.data().await {
        let bytes = piece?.len();
        body.flow_control().release_capacity(bytes)?;
    }
    Ok(Answer { path, head })
}
