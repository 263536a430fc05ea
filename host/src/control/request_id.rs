//! An id for each request, in its answer and in the host's log: what a client saw is found there.

use super::gate::Caller;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use streamhost_core::clock;
use streamhost_core::job::names;
use tower_http::request_id::{MakeRequestId, RequestId};

/// Where it stands, in requests and answers. One that a client or proxy gave stays.
pub(super) const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Characters of a client's id that the log repeats.
const SHOWN_CHARS_MAX: usize = 64;

/// Numbers them from when the host began: an id does not come again after a restart.
#[derive(Clone)]
pub(super) struct Numbered {
    began_ms: i64,
    count: Arc<AtomicU64>,
}

impl Default for Numbered {
    fn default() -> Self {
        Numbered {
            began_ms: clock::now_ms(),
            count: Arc::default(),
        }
    }
}

impl MakeRequestId for Numbered {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let id = HeaderValue::from_str(&format!("{:x}-{number}", self.began_ms));
        id.ok().map(RequestId::new)
    }
}

/// Tells the log of requests that change something, or that the host could not answer. Those that
/// read are many.
pub(super) async fn tell(request: Request, next: Next) -> Response {
    let id = request.extensions().get::<RequestId>().cloned();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let began = clock::monotonic();
    let answer = next.run(request).await;
    let (status, took_ms) = (answer.status(), clock::since(began).as_millis() as u64);
    let by = answer.extensions().get::<Caller>();
    let by = by.map_or_else(String::new, |caller| format!(" by `{}`", caller.0));
    let id = id.map(|id| String::from_utf8_lossy(id.header_value().as_bytes()).into_owned());
    let id = names::shown(id.as_deref().unwrap_or_default(), SHOWN_CHARS_MAX);
    let path = names::shown(&path, SHOWN_CHARS_MAX);
    let status = status.as_u16();
    match (method.is_safe(), status) {
        (_, 500) => {
            tracing::error!(
                request = id,
                status,
                took_ms,
                "{method} {path}{by}: no answer"
            );
        }
        (false, _) => tracing::info!(request = id, status, took_ms, "{method} {path}{by}"),
        (true, _) => tracing::debug!(request = id, status, took_ms, "{method} {path}{by}"),
    }
    answer
}
