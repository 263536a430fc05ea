//! What a batch makes: pure functions of its intent and of the state before it.

use super::config::{Change, Config, Fault, Intent, Times};
use super::state::{BatchIntent, Message};
use super::table::Write;

impl Config {
    /// A record's number over both partitions.
    fn id(&self, partition: usize, offset: u8) -> u8 {
        (partition * self.records[0].len()) as u8 + offset
    }

    /// The partitions and offsets between two positions.
    fn between(from: [u8; 2], to: [u8; 2]) -> impl Iterator<Item = (usize, u8)> {
        (0..2).flat_map(move |partition| {
            (from[partition]..to[partition]).map(move |offset| (partition, offset))
        })
    }

    pub(super) fn end(&self) -> [u8; 2] {
        [self.records[0].len() as u8, self.records[1].len() as u8]
    }

    pub(super) fn version(&self, deployment: u8) -> u8 {
        self.deployments[usize::from(deployment)].version
    }

    /// The version that runs a partition's records.
    fn version_of(&self, deployment: u8, partition: usize) -> u8 {
        let deployment = &self.deployments[usize::from(deployment)];
        match deployment.canary {
            Some((part, version)) if part == partition => version,
            _ => deployment.version,
        }
    }

    pub(super) fn resets(&self, deployment: u8) -> bool {
        self.deployments[usize::from(deployment)].resets_state
    }

    /// The sets of records that a run may come to quarantine; none if the run stops the job.
    pub(super) fn runs(&self, from: [u8; 2], to: [u8; 2], deployment: u8) -> Vec<u16> {
        let mut outcomes = vec![0_u16];
        for (partition, offset) in Self::between(from, to) {
            let version = self.version_of(deployment, partition);
            let bit = 1_u16 << self.id(partition, offset);
            match self.records[partition][usize::from(offset)].fault {
                Fault::PoisonInVersion1 if version == 1 => {
                    outcomes.iter_mut().for_each(|set| *set |= bit);
                }
                Fault::Poison => outcomes.iter_mut().for_each(|set| *set |= bit),
                Fault::Flaky => {
                    let with: Vec<u16> = outcomes.iter().map(|set| set | bit).collect();
                    outcomes.extend(with);
                }
                Fault::StopsVersion2 if version == 2 => return Vec::new(),
                Fault::None | Fault::PoisonInVersion1 | Fault::StopsVersion2 => {}
            }
        }
        outcomes
    }

    fn is_quarantined(&self, intent: &BatchIntent, partition: usize, offset: u8) -> bool {
        intent.quarantined >> self.id(partition, offset) & 1 == 1
    }

    /// The running count after a batch. `honest`: as a reset is meant, not as this scenario does it.
    pub(super) fn count_after(
        &self,
        intent: &BatchIntent,
        (count, deployment): (u8, u8),
        honest: bool,
    ) -> u8 {
        let resets = intent.deployment != deployment
            && self.resets(intent.deployment)
            && (honest || self.rules.reset_in_checkpoint);
        let taken = Self::between(intent.from, intent.to)
            .filter(|&(partition, offset)| !self.is_quarantined(intent, partition, offset));
        (if resets { 0 } else { count }) + taken.count() as u8
    }

    /// The HBase writes of a batch. The last write of a cell wins on the host; a delete is of the
    /// whole row, so it is sent as well when a put follows it.
    pub(super) fn writes(&self, intent: &BatchIntent, count_after: u8) -> Vec<Write> {
        let (delete_time, put_time) = match self.rules.times {
            Times::Server => (0, 0),
            Times::OnePerBatch => (intent.time, intent.time),
            Times::TwoPerBatch => (2 * intent.time, 2 * intent.time + 1),
        };
        let mut writes = Vec::new();
        for partition in 0..2 {
            let (mut delete, mut put) = (None, None);
            for offset in intent.from[partition]..intent.to[partition] {
                if self.is_quarantined(intent, partition, offset) {
                    continue;
                }
                match self.records[partition][usize::from(offset)].change {
                    Change::Put => put = Some(offset + 1),
                    Change::Delete => (delete, put) = (Some(offset + 1), None),
                }
            }
            let version = self.version_of(intent.parts, partition);
            let rows: &[u8] = if version == 2 { &[0, 2] } else { &[0] };
            for row in rows.iter().map(|row| row + partition as u8) {
                let write = Write {
                    row,
                    delete: true,
                    time: delete_time,
                    rank: 0,
                    version,
                    value: 0,
                };
                writes.extend(delete.map(|rank| Write { rank, ..write }));
                let write = Write {
                    delete: false,
                    time: put_time,
                    ..write
                };
                writes.extend(put.map(|rank| Write { rank, ..write }));
            }
        }
        if self.keyed {
            let rank = intent.to[0] + intent.to[1];
            let (delete, time, value) = (false, put_time, count_after);
            writes.push(Write {
                row: 4,
                delete,
                time,
                rank,
                version: 0,
                value,
            });
        }
        writes
    }

    /// What a batch sends to topics.
    pub(super) fn messages(&self, intent: &BatchIntent, count_after: u8) -> Vec<Message> {
        if self.keyed {
            let version = self.version(intent.deployment);
            let (from, to) = (intent.from, intent.to);
            return vec![Message::Result {
                from,
                to,
                version,
                count: count_after,
            }];
        }
        Self::between(intent.from, intent.to)
            .filter(|&(partition, offset)| !self.is_quarantined(intent, partition, offset))
            .map(|(partition, offset)| Message::Row {
                record: self.id(partition, offset),
                version: self.version_of(intent.parts, partition),
            })
            .collect()
    }

    pub(super) fn runs_before_intent(&self) -> bool {
        self.rules.intent != Intent::BeforeRun
    }
}
