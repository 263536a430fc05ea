//! Kafka: topics.

use super::{ConnectorRules, Ends, OptionKind, OptionRules, Options, Outside, SetMeans, SinkRules};
use super::{SourceRules, TargetRules};
use crate::job::names;
use crate::limits;
use crate::types::{ColumnNames, Guarantee, Kind, Measure, RowLimits};

/// The option of a topic that is written in transactions.
pub const EXACTLY_ONCE: &str = "exactly-once";

const TOPIC: TargetRules = TargetRules {
    what: "topic",
    rule: names::topic,
    outside: Some(Outside::Topics),
    set: SetMeans::Target,
};

/// What its rows may be.
pub const KAFKA_ROWS: RowLimits = RowLimits {
    key_bytes: 0..=limits::KAFKA_KEY_BYTES_MAX,
    cell_bytes_max: limits::KAFKA_VALUE_BYTES_MAX,
    row_bytes_max: limits::KAFKA_VALUE_BYTES_MAX,
    measure: Measure::Json,
    columns: ColumnNames::Fields,
};

/// Kafka.
pub const KAFKA: ConnectorRules = ConnectorRules {
    name: "kafka",
    doc: "Topics of a Kafka cluster.",
    source: Some(SourceRules {
        target: TOPIC,
        name: names::target,
        options: &[],
        ends: Ends::Known,
        replayable: true,
        rereads: false,
        ahead_bytes: limits::FETCH_AHEAD_BYTES_MAX + limits::KAFKA_FETCH_BYTES_MAX.0,
    }),
    sink: Some(SinkRules {
        target: TOPIC,
        options: &[OptionRules {
            name: EXACTLY_ONCE,
            kind: OptionKind::Flag,
            default: "false",
            doc: "Each batch is one transaction, so that readers of committed records see each row once.",
        }],
        keys: 0..=1,
        key_kinds: &[Kind::Text, Kind::Bytes],
        columns: ColumnNames::Fields,
        raw: true,
        dynamic: true,
        limits: KAFKA_ROWS,
        sending_bytes: limits::KAFKA_SEND_QUEUE_MAX.1,
        guarantee,
    }),
};

fn guarantee(options: &Options) -> Guarantee {
    if options.is_on(EXACTLY_ONCE) {
        Guarantee::Marked
    } else {
        Guarantee::AtLeastOnce
    }
}
