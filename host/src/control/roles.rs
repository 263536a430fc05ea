//! Which role a call needs, and as what it is noted. What is not listed nobody may.

use crate::access::Role;
use axum::http::Method;

/// A call that changes something, or compiles a component.
struct Change {
    method: Method,
    route: &'static str,
    needed: Role,
    /// Its verb in the audit log; none: it changes nothing.
    verb: Option<&'static str>,
}

const fn change(
    method: Method,
    route: &'static str,
    needed: Role,
    verb: Option<&'static str>,
) -> Change {
    Change {
        method,
        route,
        needed,
        verb,
    }
}

static CHANGES: [Change; 17] = {
    use Role::{Deploy, Operate};
    const SHADOW: &str = "/v1/jobs/{job}/shadow";
    const REPLAY: &str = "/v1/jobs/{job}/replay";
    const PROMOTE: &str = "/v1/jobs/{job}/promote";
    const ROLLBACK: &str = "/v1/jobs/{job}/rollback";
    const RESUME: &str = "/v1/jobs/{job}/resume";
    const RETRY: &str = "/v1/jobs/{job}/dead-letters/retry";
    const DROP: &str = "/v1/jobs/{job}/dead-letters/drop";
    const SAVEPOINT: &str = "/v1/jobs/{job}/savepoint";
    [
        change(Method::POST, "/v1/jobs", Deploy, Some("deploy")),
        change(Method::DELETE, "/v1/jobs/{job}", Deploy, Some("undeploy")),
        change(Method::POST, "/v1/shadows", Deploy, Some("shadow")),
        change(Method::DELETE, SHADOW, Deploy, Some("drop-shadow")),
        change(Method::POST, PROMOTE, Deploy, Some("promote")),
        change(Method::POST, REPLAY, Deploy, Some("replay")),
        change(Method::DELETE, REPLAY, Deploy, Some("stop-replay")),
        change(Method::POST, "/v1/check", Deploy, None),
        change(Method::POST, "/v1/restores", Deploy, Some("restore")),
        change(Method::POST, "/v1/restores/check", Deploy, None),
        change(Method::POST, SAVEPOINT, Operate, Some("savepoint")),
        change(Method::POST, ROLLBACK, Operate, Some("rollback")),
        change(Method::POST, "/v1/jobs/{job}/pause", Operate, Some("pause")),
        change(Method::POST, RESUME, Operate, Some("resume")),
        change(
            Method::POST,
            "/v1/hosts/{host}/drain",
            Operate,
            Some("drain"),
        ),
        change(Method::POST, RETRY, Operate, Some("retry")),
        change(Method::POST, DROP, Operate, Some("drop")),
    ]
};

fn of(method: &Method, route: &str) -> Option<&'static Change> {
    let is_it = |known: &&Change| known.method == method && known.route == route;
    CHANGES.iter().find(is_it)
}

/// As what a call of this route is noted; none: it changes nothing.
pub(super) fn verb(method: &Method, route: &str) -> Option<&'static str> {
    of(method, route)?.verb
}

/// The role that a call of this route needs; none where nobody may make it.
pub(super) fn needed(method: &Method, route: &str) -> Option<Role> {
    if method == Method::GET || method == Method::HEAD {
        return Some(Role::Read);
    }
    of(method, route).map(|change| change.needed)
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
        for Change { method, route, .. } in &CHANGES {
            assert!(there.contains(&(method.clone(), route)), "{method} {route}");
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
