//! What goes back to a client: JSON, also for every error.

use crate::api::Refusal;
use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// A request that is not done, and why.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    error: String,
}

/// Why a request is not done.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(super) struct Body<'a> {
    /// In words that say how to mend it.
    error: &'a str,
}

/// The same beside its answer, for the audit log.
#[derive(Clone, Debug)]
pub(super) struct Why(pub(super) StatusCode, pub(super) String);

impl Fault {
    /// What it says to others than its client.
    pub(super) fn why(&self) -> Why {
        Why(self.status, self.error.clone())
    }

    /// A status and its words.
    pub(super) fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Fault {
            status,
            error: error.into(),
        }
    }

    /// The request itself is wrong.
    pub(super) fn bad(error: impl Into<String>) -> Self {
        Fault::new(StatusCode::BAD_REQUEST, error)
    }

    /// The host has too much to do.
    pub(super) fn busy(what: &str) -> Self {
        Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("the host is busy with other {what}: try again in a moment"),
        )
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::NotFound(_) => StatusCode::NOT_FOUND,
            Refusal::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::Conflict(_) => StatusCode::CONFLICT,
            Refusal::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Fault::new(status, refusal.to_string())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(Body { error: &self.error })).into_response();
        response.extensions_mut().insert(self.why());
        let extra = match self.status {
            StatusCode::UNAUTHORIZED => Some((header::WWW_AUTHENTICATE, "Bearer")),
            StatusCode::SERVICE_UNAVAILABLE => Some((header::RETRY_AFTER, "5")),
            StatusCode::TOO_MANY_REQUESTS => Some((header::RETRY_AFTER, "1")),
            _ => None,
        };
        if let Some((name, value)) = extra {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}
