//! Accepts connections, so many and no more, and ends those of clients that stall. Where all places
//! are taken, the connection that has been without a request for longest makes room.

use super::Bounds;
use crate::access::Tls;
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use streamhost_core::{limits, system};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, Sleep};
use tokio_openssl::SslStream;

/// The wait after the system refused to accept; most often it has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers until `stop` is done, and a while longer for the requests that are under way.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    app: Router,
    bounds: Bounds,
    stop: impl Future<Output = ()>,
) {
    let mut slots = Places {
        taken: Vec::new(),
        max: bounds.connections_max,
        freed: Arc::default(),
    };
    let (closing, _) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let freed = Arc::clone(&slots.freed);
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept(), if slots.is_room() => match accepted {
                Ok((stream, peer)) => {
                    slots.make_room();
                    let (app, closing) = (app.clone(), closing.subscribe());
                    let slot = Arc::new(Slot::new(&slots.freed, peer.ip()));
                    let (tls, of_slot) = (tls.clone(), Arc::clone(&slot));
                    let task = connections.spawn(accept(stream, tls, app, bounds, closing, of_slot));
                    slots.taken.push((slot, task));
                }
                Err(e) => {
                    let why = system::with_limit(e);
                    tracing::warn!("the control API cannot accept a connection: {why}");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => slots.taken.retain(|(_, task)| !task.is_finished()),
            () = freed.notified() => {} // a call has ended: its connection could make room
        }
    }
    drop(listener);
    closing.send_replace(true);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(bounds.stop_time, all_ended)
        .await
        .is_err()
    {
        tracing::warn!("requests to the control API are still under way; they are cut off");
    }
    connections.shutdown().await;
}

/// Marks an answer whose body goes on for as long as its client wants it.
#[derive(Clone, Copy)]
pub(super) struct Streams;

/// From where a request came.
#[derive(Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// A request's connection while its body is awaited. Until all of it is there it makes room for
/// others, as one without a request does: who stalls holds no place that another wants.
#[derive(Clone)]
pub(super) struct Awaited(Arc<Slot>);

impl Awaited {
    /// Something came of the body, and more is awaited.
    pub(super) fn more(&self) {
        self.0.is_idle(true);
    }

    /// The body is there.
    pub(super) fn is_there(&self) {
        self.0.is_idle(false);
    }
}

/// The connections there are.
struct Places {
    taken: Vec<(Arc<Slot>, AbortHandle)>,
    max: usize,
    freed: Arc<Notify>,
}

impl Places {
    /// Whether one more may come, though another goes for it.
    fn is_room(&self) -> bool {
        self.taken.len() < self.max
            || self
                .taken
                .iter()
                .any(|(slot, _)| slot.idle_since().is_some())
    }

    /// Ends the connection that has been without a request for longest, if all places are taken.
    fn make_room(&mut self) {
        if self.taken.len() < self.max {
            return;
        }
        let idle = self
            .taken
            .iter()
            .enumerate()
            .filter_map(|(i, (slot, _))| Some((slot.idle_since()?, i)));
        if let Some((_, longest)) = idle.min() {
            self.taken.swap_remove(longest).1.abort();
        }
    }
}

/// One connection's.
struct Slot {
    /// Since when no request of it is under way.
    idle_since: Mutex<Option<Instant>>,
    freed: Arc<Notify>,
    peer: IpAddr,
}

impl Slot {
    fn new(freed: &Arc<Notify>, peer: IpAddr) -> Self {
        Slot {
            peer,
            idle_since: Mutex::new(Some(Instant::now())),
            freed: Arc::clone(freed),
        }
    }

    fn idle_since(&self) -> Option<Instant> {
        *self
            .idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn is_idle(&self, idle: bool) {
        *self
            .idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = idle.then(Instant::now);
        if idle {
            self.freed.notify_one();
        }
    }
}

/// What is sent to who speaks plain HTTP where TLS is spoken.
const PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n\
    {\"error\":\"this daemon speaks TLS: ask it by https://\"}";

/// Answers on a connection, after its TLS handshake where there is one. Until that is over it counts
/// as one without a request, and so makes room for others.
async fn accept(
    stream: TcpStream,
    tls: Option<Tls>,
    app: Router,
    bounds: Bounds,
    closing: watch::Receiver<bool>,
    slot: Arc<Slot>,
) {
    let _ = stream.set_nodelay(true); // only makes answers later
    let stream = Impatient {
        stream,
        time: bounds.write_time,
        stalled: None,
    };
    let Some(tls) = tls else {
        return answer(stream, app, bounds, closing, slot).await;
    };
    let made = tls.connection().and_then(|ssl| SslStream::new(ssl, stream));
    let Ok(mut stream) = made else {
        return tracing::warn!("there is no memory for a connection to the control API");
    };
    let shaken = tokio::time::timeout(bounds.head_time, Pin::new(&mut stream).accept()).await;
    match shaken {
        Ok(Ok(())) => answer(stream, app, bounds, closing, slot).await,
        Ok(Err(e)) if e.to_string().contains("http request") => {
            let told = told_of_tls(stream.get_mut());
            let _ = tokio::time::timeout(bounds.head_time, told).await; // or it has gone
        }
        Ok(Err(e)) => tracing::debug!("a TLS handshake with the control API failed: {e}"),
        Err(_) => tracing::debug!("a TLS handshake with the control API took too long"),
    }
}

/// Says to who speaks plain HTTP that it should not. What it sent is read, as far as a head goes: a
/// connection that is closed with bytes unread is reset, and the answer lost.
async fn told_of_tls(stream: &mut Impatient) -> io::Result<()> {
    stream.write_all(PLAIN).await?;
    stream.shutdown().await?;
    let mut rest = stream.take(limits::HTTP_BODY_BYTES_MAX as u64);
    tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
    Ok(())
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    app: Router,
    bounds: Bounds,
    mut closing: watch::Receiver<bool>,
    slot: Arc<Slot>,
) {
    let app = TowerToHyperService::new(app);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        slot.is_idle(false);
        let extensions = request.extensions_mut();
        extensions.insert(Peer(slot.peer));
        extensions.insert(Awaited(Arc::clone(&slot)));
        let (answering, slot) = (app.call(request), Arc::clone(&slot));
        async move {
            let answer = answering.await;
            let streams =
                |answer: &axum::response::Response| answer.extensions().get::<Streams>().is_some();
            // One that streams is never without a request: it is closed after its stream.
            if !answer.as_ref().is_ok_and(streams) {
                slot.is_idle(true);
            }
            answer
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_time)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = told(&mut closing) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(e) = ended {
        tracing::debug!("a connection to the control API ended: {e}");
    }
}

async fn told(closing: &mut watch::Receiver<bool>) {
    // Or nobody is left to tell, which means the same.
    let _ = closing.wait_for(|closing| *closing).await;
}

/// A stream whose writes fail once the other side has taken nothing for a while.
struct Impatient {
    stream: TcpStream,
    time: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Impatient {
    fn watch<T>(&mut self, cx: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.stalled = None;
            return poll;
        }
        let time = self.time;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + time)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Impatient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Impatient {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(cx, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
