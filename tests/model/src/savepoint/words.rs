//! Steps in words.

use super::Savepoint;
use super::state::State;
use super::steps::Action;

impl Savepoint {
    pub(super) fn words(&self, state: &State, action: Action) -> String {
        let host = |at: usize| ["the first host", "the second host"][at];
        let batch = |at: usize| state.hosts[at].intent.as_ref().map_or(0, |i| i.batch);
        match action {
            Action::Open(at) => format!("{} opens the sink", host(at)),
            Action::Intend(at, 1) => format!("{} plans a batch of 1 record", host(at)),
            Action::Intend(at, n) => format!("{} plans a batch of {n} records", host(at)),
            Action::Deliver(at) => format!("{} delivers batch {}", host(at), batch(at)),
            Action::Delay(at) => {
                format!("a request of batch {} of {} is late", batch(at), host(at))
            }
            Action::Land => "the late request lands".to_owned(),
            Action::Checkpoint(at) => format!("{} checkpoints batch {}", host(at), batch(at)),
            Action::Kill(at) => format!("{} is killed, and starts", host(at)),
            Action::Save => "a savepoint is taken".to_owned(),
            Action::SaveAndStop => "a savepoint is taken, and its job stopped".to_owned(),
            Action::Undeploy => "the job is undeployed".to_owned(),
            Action::Die => "the first host is gone for good".to_owned(),
            Action::Restore(at) => format!("a job begins from the savepoint on {}", host(at)),
        }
    }
}
