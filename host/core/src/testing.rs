//! Records of jobs and batches for tests, of this crate and of others.

use crate::job::{DeploymentKind, DeploymentRecord};
use crate::protocol::{BatchIntent, Checkpoint, Counters, EventTimes};
use crate::state::Stages;
use crate::types::{BatchNumber, Span};
use std::collections::BTreeMap;

/// The next number of a test's dice: small, fast, and the same everywhere. The state is never zero.
pub fn xorshift(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

/// A checkpoint at batch `n`, offset `10 n` of one partition.
pub fn checkpoint(batch: BatchNumber) -> Checkpoint {
    let reached = [("t".to_string(), [(0, 10 * batch as i64)].into())].into();
    Checkpoint {
        batch,
        ..Checkpoint::begin(7, 3, 1000 + 2 * batch as i64, reached)
    }
}

/// The intent of batch `n` after it.
pub fn intent(batch: BatchNumber) -> BatchIntent {
    let from = 10 * (batch as i64 - 1);
    BatchIntent {
        epoch: 7,
        batch,
        deployment: 3,
        time_ms: 1000 + 2 * batch as i64,
        spans: [(
            "t".to_string(),
            [(
                0,
                Span {
                    from,
                    to: from + 10,
                    records: 10,
                },
            )]
            .into(),
        )]
        .into(),
        quarantined: Vec::new(),
        digests: [("s".to_string(), format!("digest {batch}"))].into(),
        counts: Counters {
            records_in: 10,
            ..Counters::default()
        },
        quarantined_groups: Vec::new(),
        times: EventTimes::default(),
        stages: Stages::new(),
        finished: false,
        retried: None,
        time_rules: None,
        refused: BTreeMap::new(),
        marks: BTreeMap::new(),
        retained_records: Vec::new(),
    }
}

/// A deployment without settings.
pub fn deployment(number: u64, version: u64, digest: &str) -> DeploymentRecord {
    DeploymentRecord {
        number,
        version,
        digest: digest.into(),
        at_ms: 0,
        kind: DeploymentKind::Deploy,
        reason: None,
        settings: BTreeMap::new(),
        reset: false,
        replan: false,
        limits: None,
        signed_by: None,
        since_batch: 0,
        restored: false,
        canary: None,
    }
}
