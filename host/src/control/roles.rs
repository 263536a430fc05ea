//! Which role a call needs. What is not listed nobody may.

use crate::access::Role;
use axum::http::Method;

/// Calls that change something, or compile a component; each with the role that it needs.
const CHANGES: [(Method, &str, Role); 8] = [
    (Method::POST, "/v1/jobs", Role::Deploy),
    (Method::DELETE, "/v1/jobs/{job}", Role::Deploy),
    (Method::POST, "/v1/check", Role::Deploy),
    (Method::POST, "/v1/jobs/{job}/rollback", Role::Operate),
    (Method::POST, "/v1/jobs/{job}/pause", Role::Operate),
    (Method::POST, "/v1/jobs/{job}/resume", Role::Operate),
    (
        Method::POST,
        "/v1/jobs/{job}/dead-letters/retry",
        Role::Operate,
    ),
    (
        Method::POST,
        "/v1/jobs/{job}/dead-letters/drop",
        Role::Operate,
    ),
];

/// The role that a call of this route needs; none where nobody may make it.
pub(super) fn needed(method: &Method, route: &str) -> Option<Role> {
    if method == Method::GET || method == Method::HEAD {
        return Some(Role::Read);
    }
    let of = |(known, path, _): &&(Method, &str, Role)| known == method && *path == route;
    CHANGES.iter().find(of).map(|(.., role)| *role)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::handlers::routes;

    /// A new route that changes something is refused to all until it is listed, which this says.
    #[test]
    fn every_route_has_its_role_and_every_role_its_route() {
        let there: Vec<_> = routes()
            .into_iter()
            .map(|(method, path, _)| (method, path))
            .collect();
        for (method, path) in &there {
            assert!(
                needed(method, path).is_some(),
                "{method} {path} needs a role"
            );
        }
        for (method, path, _) in &CHANGES {
            assert!(there.contains(&(method.clone(), path)), "{method} {path}");
        }
        let nobody = [
            (Method::POST, "/v1/new"),
            (Method::PUT, "/v1/jobs"),
            (Method::DELETE, "/v1/jobs"),
        ];
        for (method, path) in nobody {
            assert_eq!(needed(&method, path), None, "{method} {path}");
        }
    }
}
