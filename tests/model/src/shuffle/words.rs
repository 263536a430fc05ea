//! Steps in words, for counterexamples.

use super::state::{Effect, State};
use super::steps::Action;
use super::{KEYED, Shuffle};

impl Shuffle {
    pub(super) fn words(&self, state: &State, action: Action) -> String {
        let name = |host: usize, task: usize| {
            let host = ["host a", "host b"][host];
            match task {
                KEYED => format!("{host}, keyed task"),
                _ => format!("{host}, source task {task}"),
            }
        };
        let current = |host: usize, task: usize| {
            let worker = &state.hosts[host][task];
            worker
                .current
                .as_ref()
                .map_or(worker.checkpoint.batch + 1, |batch| batch.intent.batch)
        };
        let request = |at: usize| {
            let request = &state.network[at];
            let effect = match request.effect {
                Effect::Append(_) => "the frame",
                Effect::Put { .. } => "the put",
            };
            let from = name(request.host.into(), request.task.into());
            format!("{effect} of batch {} ({from})", request.batch)
        };
        match action {
            Action::Fence(host, task) => format!("{}: fences", name(host, task)),
            Action::Read(host, task) => format!("{}: reads its partition", name(host, task)),
            Action::Cut(host, task, to) => {
                let number = state.hosts[host][task].checkpoint.batch + 1;
                format!("{}: cuts batch {number} to {to}", name(host, task))
            }
            Action::Replay(host, task) => format!("{}: takes its intent up", name(host, task)),
            Action::Send(host, task) => {
                format!(
                    "{}: sends batch {} again",
                    name(host, task),
                    current(host, task)
                )
            }
            Action::Checkpoint(host, task) => {
                format!(
                    "{}: checkpoints batch {}",
                    name(host, task),
                    current(host, task)
                )
            }
            Action::Arrive(at) => format!("{} arrives", request(at)),
            Action::TimeOut(at) => format!("time-out of {}", request(at)),
            Action::Vanish(at) => format!("{} is lost", request(at)),
            Action::Kill(host) => format!("kill -9 of {}", ["host a", "host b"][host]),
        }
    }
}
