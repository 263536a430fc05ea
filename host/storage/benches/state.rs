//! What keyed state costs: running counts of five million keys, far more than its cache holds.
//! Prints its figures; `KEYS=1000000` takes another number. `cargo bench -p streamhost-storage
//! --bench state`.

#![expect(clippy::unwrap_used, reason = "a bench is a test: what fails is seen")]

use std::sync::Arc;
use std::time::Duration;
use streamhost_core::limits::{STATE_CACHE_BYTES, STORE_CACHE_BYTES};
use streamhost_core::protocol::{Checkpoint, CheckpointLog};
use streamhost_core::state::{Most, StageId, StageState, StateOverlay};
use streamhost_core::types::TopicOffsets;
use streamhost_storage::checkpoint_log::{CheckpointLogs, JobCheckpointLog};

const STAGE: StageId = 1 << 16;
/// Keys of one batch.
const BATCH: u64 = 100_000;

struct Bench {
    store: Arc<JobCheckpointLog>,
    state: StateOverlay,
    batch: u64,
}

/// 25 bytes, in no order.
fn key(i: u64) -> Vec<u8> {
    let mixed = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("\u{1}user-{:019}", mixed >> 1).into_bytes()
}

fn value(n: u64) -> [u8; 24] {
    let mut value = [0; 24];
    value[16..].copy_from_slice(&n.to_le_bytes());
    value
}

/// This thread's time on a processor, so that what else the machine does is left out. The disk's
/// time is, too.
struct Begun(Duration);

impl Begun {
    fn now() -> Begun {
        let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        Begun(Duration::from_nanos(
            schedstat
                .split(' ')
                .next()
                .and_then(|ns| ns.parse().ok())
                .unwrap_or_default(),
        ))
    }

    fn elapsed(&self) -> Duration {
        Begun::now().0 - self.0
    }
}

/// A count of memory in `/proc/self/status`, in MiB.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .unwrap_or_default();
    line.trim_matches(|c: char| !c.is_ascii_digit())
        .parse::<u64>()
        .unwrap_or_default()
        >> 10
}

impl Bench {
    /// Counts one record of each key: read, write. The keys are there before.
    fn count(&mut self, keys: impl Iterator<Item = u64>) -> Duration {
        let keys: Vec<_> = keys.map(key).collect();
        let begun = Begun::now();
        for key in &keys {
            let before = self.state.get(STAGE, key).unwrap();
            let n = before.map_or(0, |value| {
                u64::from_le_bytes(value[16..].try_into().unwrap())
            });
            self.state.put(STAGE, key, &value(n + 1)).unwrap();
        }
        begun.elapsed()
    }

    /// Ends the batch: durable.
    fn commit(&mut self) -> Duration {
        let begun = Begun::now();
        self.batch += 1;
        let delta = self.state.take(self.batch);
        let checkpoint = Checkpoint {
            batch: self.batch,
            ..Checkpoint::begin(1, 1, 1000, TopicOffsets::new())
        };
        self.store.write(Some((&checkpoint, &delta)), None).unwrap();
        self.state.settled(self.batch);
        begun.elapsed()
    }

    fn fill(&mut self, keys: u64) {
        let (mut counting, mut writing) = (Duration::ZERO, Duration::ZERO);
        for from in (0..keys).step_by(BATCH as usize) {
            counting += self.count(from..keys.min(from + BATCH));
            writing += self.commit();
        }
        let batches = keys.div_ceil(BATCH) as u32;
        println!(
            "{keys} new keys, a batch of {BATCH}: counted in {:?}, durable in {:?}",
            counting / batches,
            writing / batches
        );
    }

    fn again(&mut self, what: &str, keys: impl Fn(u64) -> u64) {
        let counted = self.count((0..BATCH).map(&keys));
        println!(
            "{BATCH} {what}: counted in {counted:?}, durable in {:?}",
            self.commit()
        );
    }

    fn scans(&mut self, keys: u64) {
        let begun = Begun::now();
        let found: usize = (0..10_000)
            .map(|i| {
                let from = key(i * 7919 % keys);
                self.state
                    .scan(
                        STAGE,
                        &from,
                        &[&from[..], &[255]].concat(),
                        Most::entries(10),
                    )
                    .unwrap()
                    .len()
            })
            .sum();
        println!(
            "10000 scans of one key each: {found} found in {:?}",
            begun.elapsed()
        );
        let (begun, mut from, mut found) = (Begun::now(), vec![1], 0);
        loop {
            let portion = self
                .state
                .scan(STAGE, &from, &[2], Most::entries(4096))
                .unwrap();
            let Some((last, _)) = portion.last() else {
                break;
            };
            from = [last.as_slice(), &[0]].concat();
            found += portion.len();
        }
        println!(
            "a scan of all in portions: {found} found in {:?}",
            begun.elapsed()
        );
    }
}

fn told(when: &str) {
    println!(
        "  memory {when}: {} MiB, of it anonymous {} MiB; largest so far {} MiB",
        memory("VmRSS:"),
        memory("RssAnon:"),
        memory("VmHWM:")
    );
}

fn main() {
    let keys = std::env::var("KEYS")
        .ok()
        .map_or(5_000_000, |keys| keys.parse().expect("KEYS is a number"));
    let folder = tempfile::tempdir().unwrap();
    let db = fjall::Database::builder(folder.path())
        .cache_size(STORE_CACHE_BYTES)
        .open()
        .unwrap();
    let store = Arc::new(CheckpointLogs::open(&db).unwrap().of("job"));
    let state = StateOverlay::new(store.clone(), STATE_CACHE_BYTES);
    let mut bench = Bench {
        store,
        state,
        batch: 0,
    };
    told("at the beginning");
    bench.fill(keys);
    told("with all keys");
    bench.again("keys that were just used", |i| keys - BATCH + i);
    bench.again("keys that were just used", |i| keys - BATCH + i);
    bench.again("random keys", |i| {
        i.wrapping_mul(0x2545_F491_4F6C_DD1D) % keys
    });
    bench.again("random keys", |i| {
        i.wrapping_add(BATCH).wrapping_mul(0x2545_F491_4F6C_DD1D) % keys
    });
    bench.again("new keys", |i| keys + i);
    told("after them");
    bench.scans(keys);
    assert_eq!(bench.state.counts(STAGE).0, keys + BATCH);
    told("after scans");
    let begun = Begun::now();
    bench.store.sweep(&[STAGE + 1]).unwrap();
    println!("swept in {:?}", begun.elapsed());
    told("at the end");
}
