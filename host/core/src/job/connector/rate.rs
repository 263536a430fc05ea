//! The generator: numbers at a rate.

use super::{ConnectorRules, Ends, OptionKind, OptionRules, SetMeans, SourceRules, TargetRules};
use crate::job::names;
use crate::limits;

/// The generator.
pub const RATE: ConnectorRules = ConnectorRules {
    name: "rate",
    doc: "Numbers at a rate, for trying things.",
    source: Some(SourceRules {
        target: TargetRules {
            what: "generator",
            rule: names::target,
            outside: None,
            set: SetMeans::Option("rate"),
        },
        name: names::target,
        options: &[OptionRules {
            name: "rate",
            kind: OptionKind::Number {
                least: 1,
                most: limits::RATE_MAX as u64,
            },
            default: "1",
            doc: "Records a second.",
        }],
        ends: Ends::Never,
        replayable: true,
        rereads: true,
        ahead_bytes: 0,
    }),
    sink: None,
};
