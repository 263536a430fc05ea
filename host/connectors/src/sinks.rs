//! What the sinks of a job can take.

use crate::console::ConsoleSink;
use crate::hbase::{HbaseSettings, HbaseSink};
use crate::kafka::{KafkaSettings, KafkaSink};
use streamhost_core::contract::RowLimits;
use streamhost_core::job::{SinkKind, SinkSpec};
use streamhost_engine::sink::{CancelSignal, Sink};

/// The bounds of the rows that a sink takes, whatever its server. Connects to nothing.
pub fn row_limits(spec: &SinkSpec) -> RowLimits {
    let cancel = CancelSignal::default();
    match spec.kind {
        SinkKind::Hbase => HbaseSink::new(spec, HbaseSettings::default(), cancel).limits(),
        SinkKind::Kafka => {
            KafkaSink::new(&KafkaSettings::default(), spec, &[], "", &cancel).limits()
        }
        SinkKind::Console => ConsoleSink::new(spec).limits(),
    }
}
