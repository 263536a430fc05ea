//! `GET /v1/me`: who asks, and what he may do, so that a page offers nothing else.

use super::openapi::AllFaults;
use super::{App, gate};
use crate::access::Role;
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;

/// Who asks.
#[derive(Serialize, ToSchema)]
#[schema(as = Me)]
pub(super) struct MeView {
    /// The name of the token; none where the host wants no token.
    name: Option<String>,
    /// What may be done: `read`, `operate` or `deploy`, each of which may do what those before it
    /// may.
    #[schema(value_type = String)]
    role: Role,
}

/// Whose token came with the request, and what it may do.
#[utoipa::path(
    get,
    path = "/v1/me",
    responses((status = 200, description = "Who asks.", body = MeView), AllFaults),
)]
pub(super) async fn me(State(app): State<Arc<App>>, headers: HeaderMap) -> Json<MeView> {
    // Where a token is wanted, nobody comes here without one.
    let (name, role) = match gate::token_of(&app, &headers) {
        Some(token) => (Some(token.name), token.role),
        None => (None, Role::Deploy),
    };
    Json(MeView { name, role })
}
