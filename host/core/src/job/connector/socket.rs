//! Sockets: lines of a TCP connection.

use super::{ConnectorRules, Ends, Outside, SetMeans, SourceRules, TargetRules};
use crate::job::names;
use crate::limits;

/// Sockets.
pub const SOCKET: ConnectorRules = ConnectorRules {
    name: "socket",
    doc: "Lines of a TCP connection, which cannot be read twice.",
    source: Some(SourceRules {
        target: TargetRules {
            what: "address",
            rule: names::address,
            outside: Some(Outside::Sockets),
            set: SetMeans::Target,
        },
        name: names::target,
        options: &[],
        ends: Ends::ByPeer,
        replayable: false,
        rereads: false,
        ahead_bytes: limits::SOCKET_AHEAD_BYTES_MAX + limits::LINE_BYTES_MAX,
    }),
    sink: None,
};
