//! Metrics over HTTP.
//!
//! It serves whoever may connect, and knows no passwords: what an attacker could do is ask often. So connections are few and
//! short, and one question is answered after the other.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ACCEPT, ALLOW, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::{sleep, timeout},
};

use super::{MetricsError, service::Source, text::Format};

/// Where metrics are.
const PATH: &str = "/metrics";

/// How many connections are served at once. Others wait in the kernel.
const MOST: usize = 8;

/// How long a connection may take in all, and how long its request.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many connections the kernel lets wait.
const BACKLOG: i32 = 16;

/// How long nothing is accepted after the system refused to: it lacks descriptors, most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens. The address need not be there yet, for filters are attached before the network is up.
pub(super) fn listen(address: SocketAddr) -> Result<std::net::TcpListener, MetricsError> {
    let bound = || -> io::Result<_> {
        let family = match address {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
        // Connections of a run that ended just now do not keep the next one from listening.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        match address {
            SocketAddr::V4(_) => sockopt::set_ip_freebind(&socket, true)?,
            SocketAddr::V6(_) => {
                sockopt::set_ipv6_v6only(&socket, true)?;
                sockopt::set_ipv6_freebind(&socket, true)?;
            }
        }
        rustix::net::bind(&socket, &address)?;
        rustix::net::listen(&socket, BACKLOG)?;
        Ok(std::net::TcpListener::from(socket))
    };
    bound().map_err(|source| MetricsError::Bind { address, source })
}

/// Serves all who connect, for ever. To be called in an event loop of tokio's.
pub(super) async fn serve(listener: &TcpListener, source: &Arc<Source>) -> Infallible {
    let room = Arc::new(Semaphore::new(MOST));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
            // Nobody closes it.
            continue;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let source = Arc::clone(source);
                tokio::spawn(async move {
                    let _permit = permit;
                    // Whoever is too slow, or talks something else, gets no answer.
                    let _ = timeout(PATIENCE, converse(stream, source)).await;
                });
            }
            Err(_) => sleep(PAUSE).await,
        }
    }
}

/// Answers the one request of a connection.
async fn converse(stream: TcpStream, source: Arc<Source>) -> hyper::Result<()> {
    let answer = service_fn(move |request| {
        let source = Arc::clone(&source);
        async move { Ok::<_, Infallible>(answer(&request, &source).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer)
        .await
}

async fn answer(request: &Request<Incoming>, source: &Arc<Source>) -> Response<Full<Bytes>> {
    if request.uri().path() != PATH {
        return told(
            StatusCode::NOT_FOUND,
            "metrics are at /metrics\n".to_owned(),
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut refusal = told(
            StatusCode::METHOD_NOT_ALLOWED,
            "metrics can only be read\n".to_owned(),
        );
        let allowed = HeaderValue::from_static("GET, HEAD");
        refusal.headers_mut().insert(ALLOW, allowed);
        return refusal;
    }
    let accept = request.headers().get(ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok());
    let format = Format::accepted(accept.unwrap_or_default());
    match source.text(format).await {
        Ok(text) => {
            let mut answer = told(StatusCode::OK, text);
            let kind = HeaderValue::from_static(format.media_type());
            answer.headers_mut().insert(CONTENT_TYPE, kind);
            answer
        }
        Err(error) => told(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
    }
}

fn told(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}
