//! An explicit-state model of streamhost's protocol, `docs/src/protocol.md`.
//!
//! Each room is a small system: what is durable, what is in memory, what is on the network, and
//! what may go wrong. [`checker`] takes every step that may happen in every state, within the
//! bounds of a [`scenario`]. Rules of the protocol are switches: with all of them on a scenario
//! holds; without one of them it breaks, and the search finds a shortest way to see it.
//!
//! | room | what it is |
//! |---|---|
//! | `pipeline` | one host and one job: batches, sinks, checkpoints, swaps, power loss |
//! | `letters` | dead letters: of the guest, and of rows that a server refuses |
//! | `begin` | where a job begins to read: a table of decisions |
//! | `savepoint` | a checkpoint written out whole, and a job that begins from it |
//! | `tokens` | a source whose positions are no numbers |
//! | `takeover` | two hosts and one task, the checkpoint log in Kafka |
//! | `shuffle` | source tasks, frames, a keyed task |
//! | `rollout` | a deployment over several tasks |

pub mod checker;
pub mod scenario;
pub mod report;

mod pipeline;
mod letters;
mod begin;
mod savepoint;
mod tokens;
mod takeover;
mod shuffle;
mod rollout;

use scenario::Scenario;

/// The scenarios of each room.
const ROOMS: &[fn() -> Vec<Scenario>] = &[
    pipeline::scenarios,
    letters::scenarios,
    begin::scenarios,
    savepoint::scenarios,
    tokens::scenarios,
    takeover::scenarios,
    shuffle::scenarios,
    rollout::scenarios,
];

/// All scenarios, room by room.
pub fn scenarios() -> Vec<Scenario> {
    ROOMS.iter().flat_map(|scenarios| scenarios()).collect()
}
