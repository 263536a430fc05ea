//! Random numbers that are the same whenever a call is the same: SHA-256 of a seed and a counter.

use super::{Call, StubFault, Stubbed};
use sha2::{Digest, Sha256};
use streamhost_core::contract::Finished;
use streamhost_core::limits;
use wasmtime::StoreContextMut;
use wasmtime::component::LinkerInstance;

type Block = [u8; 32];

/// The numbers of one call after another.
pub(super) struct Random {
    digest: String,
    job: String,
    seed: Block,
    blocks: u64,
    /// Of the last block, those that were not given yet.
    left: Vec<u8>,
}

impl Random {
    pub(super) fn new(digest: &str) -> Self {
        Random {
            digest: digest.to_owned(),
            job: String::new(),
            seed: Block::default(),
            blocks: 0,
            left: Vec::new(),
        }
    }

    pub(super) fn of_job(&mut self, job: &str) {
        job.clone_into(&mut self.job);
    }

    /// Begins anew, for this call.
    pub(super) fn begin(&mut self, batch_ms: u64, call: Call<'_>) {
        let mut seed = Sha256::new();
        part(&mut seed, self.digest.as_bytes());
        part(&mut seed, self.job.as_bytes());
        part(&mut seed, &batch_ms.to_le_bytes());
        name(&mut seed, call);
        self.seed = seed.finalize().into();
        self.blocks = 0;
        self.left.clear();
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count);
        while bytes.len() < count {
            if self.left.is_empty() {
                let mut block = Sha256::new();
                block.update(self.seed);
                block.update(self.blocks.to_le_bytes());
                self.left = block.finalize().to_vec();
                self.blocks += 1;
            }
            let taken = self.left.len().min(count - bytes.len());
            bytes.extend(self.left.drain(..taken));
        }
        bytes
    }

    fn number(&mut self) -> u64 {
        let bytes = self.bytes(size_of::<u64>());
        bytes
            .iter()
            .fold(0, |number, &byte| number << 8 | u64::from(byte))
    }
}

/// The first record, group or pair of a call tells it from all other calls of its batch.
fn name(seed: &mut Sha256, call: Call<'_>) {
    match call {
        Call::Unnamed => {}
        Call::Transform(stage, chunk) => {
            part(seed, b"transform");
            part(seed, &stage.to_le_bytes());
            part(seed, &chunk.partition.source.to_le_bytes());
            part(seed, &chunk.partition.id.to_le_bytes());
            let first = chunk.offsets.first().copied().unwrap_or(0);
            part(seed, &first.to_le_bytes());
        }
        Call::Finish(stage, Finished::Groups(groups)) => {
            part(seed, b"groups");
            part(seed, &stage.to_le_bytes());
            part(seed, groups.keys.iter().next().unwrap_or_default());
            let begin = groups.starts_ms.first().copied().unwrap_or(0);
            part(seed, &begin.to_le_bytes());
        }
        Call::Finish(stage, Finished::Pairs(pairs)) => {
            part(seed, b"pairs");
            part(seed, &stage.to_le_bytes());
            part(seed, pairs.lefts.iter().next().unwrap_or_default());
            part(seed, pairs.rights.iter().next().unwrap_or_default());
        }
        Call::Finish(stage, Finished::Keys(keys)) => {
            part(seed, b"keys");
            part(seed, &stage.to_le_bytes());
            part(seed, keys.keys.iter().next().unwrap_or_default());
            part(seed, keys.items.iter().next().unwrap_or_default());
        }
    }
}

/// A part of what names a call, told from its neighbours by its length.
fn part(seed: &mut Sha256, bytes: &[u8]) {
    seed.update((bytes.len() as u64).to_le_bytes());
    seed.update(bytes);
}

/// Links a function, if it is one of random numbers. Those that WASI calls insecure are no worse
/// here.
pub(super) fn link<T: Stubbed>(
    linker: &mut LinkerInstance<'_, T>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<bool> {
    match (interface, name) {
        ("random/random", "get-random-bytes")
        | ("random/insecure", "get-insecure-random-bytes") => linker.func_wrap(
            name,
            |mut store: StoreContextMut<'_, T>, (count,): (u64,)| {
                if count > limits::STUB_RANDOM_BYTES_MAX {
                    return Err(StubFault::Random { count }.into());
                }
                let random = &mut store.data_mut().stubs().random;
                Ok((random.bytes(usize::try_from(count)?),))
            },
        ),
        ("random/random", "get-random-u64") | ("random/insecure", "get-insecure-random-u64") => {
            linker.func_wrap(name, |mut store: StoreContextMut<'_, T>, (): ()| {
                Ok((store.data_mut().stubs().random.number(),))
            })
        }
        ("random/insecure-seed", "insecure-seed") => {
            linker.func_wrap(name, |mut store: StoreContextMut<'_, T>, (): ()| {
                let random = &mut store.data_mut().stubs().random;
                Ok(((random.number(), random.number()),))
            })
        }
        _ => return Ok(false),
    }?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::types::{Chunk, Partition, Record};

    #[test]
    fn a_call_draws_the_same_however_it_asks_and_no_other_call_does() {
        let chunk = |offset| {
            let mut chunk = Chunk::new(Partition { source: 0, id: 3 });
            chunk.push(Record {
                offset,
                time_ms: 1,
                key: None,
                value: None,
                headers: &[],
            });
            chunk
        };
        let drawn = |digest, job, batch_ms, (stage, offset), counts: &[usize]| {
            let mut random = Random::new(digest);
            random.of_job(job);
            random.begin(7, Call::Unnamed);
            random.bytes(5); // of the call before
            random.begin(batch_ms, Call::Transform(stage, &chunk(offset)));
            counts
                .iter()
                .flat_map(|&count| random.bytes(count))
                .collect::<Vec<u8>>()
        };
        let one = drawn("d", "j", 1, (0, 9), &[100]);
        assert_eq!(one, drawn("d", "j", 1, (0, 9), &[1, 0, 40, 32, 27]));
        for other in [
            drawn("e", "j", 1, (0, 9), &[100]),
            drawn("d", "k", 1, (0, 9), &[100]),
            drawn("dj", "", 1, (0, 9), &[100]),
            drawn("d", "j", 2, (0, 9), &[100]),
            drawn("d", "j", 1, (1, 9), &[100]),
            drawn("d", "j", 1, (0, 10), &[100]),
        ] {
            assert_ne!(one, other);
        }
    }
}
