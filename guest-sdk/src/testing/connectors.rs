//! What is known of connectors where there is no host.

use streamhost_core::job::connector::{
    CONSOLE, CONSOLE_ROWS, ConnectorRules, Connectors, ELASTICSEARCH, Ends, FILE, FILES, HBASE,
    KAFKA, MYSQL, POSTGRES, RATE, SOCKET, SetMeans, SinkRules, SourceRules, TargetRules,
};
use streamhost_core::job::names;
use streamhost_core::types::{ColumnNames, Guarantee, Kind};

/// Those for which the SDK has a word.
const KNOWN: [&ConnectorRules; 10] = [
    &KAFKA,
    &HBASE,
    &POSTGRES,
    &MYSQL,
    &ELASTICSEARCH,
    &FILE,
    &FILES,
    &SOCKET,
    &RATE,
    &CONSOLE,
];

/// Any other one, which takes what there is: its host says more at the deploy.
const OTHER: ConnectorRules = ConnectorRules {
    name: "another",
    doc: "A connector that only its host knows.",
    source: Some(SourceRules {
        target: TARGET,
        name: names::path,
        options: &[],
        ends: Ends::Known,
        replayable: true,
        rereads: false,
        ahead_bytes: 0,
    }),
    sink: Some(SinkRules {
        target: TARGET,
        options: &[],
        keys: 0..=usize::MAX,
        key_kinds: &Kind::ALL,
        columns: ColumnNames::Fields,
        raw: true,
        dynamic: true,
        limits: CONSOLE_ROWS, // all that a component can answer
        sending_bytes: 0,
        guarantee: |_| Guarantee::AtLeastOnce,
    }),
};

const TARGET: TargetRules = TargetRules {
    what: "target",
    rule: names::path,
    outside: None,
    set: SetMeans::Target,
};

/// The connectors of a test.
pub(super) struct TestConnectors;

impl Connectors for TestConnectors {
    fn rules(&self, name: &str) -> Option<&'static ConnectorRules> {
        KNOWN.rules(name).or(Some(&OTHER))
    }

    fn names(&self) -> Vec<&'static str> {
        KNOWN.names()
    }
}

pub(super) fn is_known(name: &str) -> bool {
    KNOWN.rules(name).is_some()
}
