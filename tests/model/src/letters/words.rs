//! Steps in words, for counterexamples.

use super::Letters;
use super::state::{Action, GUEST, IDEMPOTENT, LetterSets, RequestKind, Server, Set, State};

impl Letters {
    pub(super) fn words(&self, state: &State, action: Action) -> String {
        let batch = state.host.as_ref().and_then(|host| host.batch.as_ref());
        let number = batch.map_or(state.batch + 1, |batch| batch.intent.batch);
        match action {
            Action::Start => "the host starts and takes its intent up".to_owned(),
            Action::Kill => "kill -9".to_owned(),
            Action::Begin(records) => {
                let (from, to) = (state.committed + 1, state.committed + records);
                format!("the host runs records {from} to {to} and writes intent {number}")
            }
            Action::Fence(server) => format!("the host fences {}", name(server)),
            Action::ReadMarker(server) => format!("the host reads the marker of {}", name(server)),
            Action::Skip(server) => {
                format!("by its marker {} has batch {number}", name(server))
            }
            Action::WriteRows => {
                "the marked sink takes the rows into a transaction, and refuses some or none"
                    .to_owned()
            }
            Action::Note => format!("the refused rows of batch {number} are noted"),
            Action::Commit => format!("the host commits batch {number} to the marked sink"),
            Action::Upsert(record) => format!("the host upserts row {}", record + 1),
            Action::SendLetters => format!("the host sends the dead letters of batch {number}"),
            Action::Checkpoint => format!("the host checkpoints batch {number}"),
            Action::Arrive(at) => format!("{} arrives", request(state, at)),
            Action::Vanish(at) => format!("{} is lost", request(state, at)),
            Action::TimeOut(at) => format!("time-out of {}", request(state, at)),
            Action::ChangeRules if state.is_strict => {
                "the servers take the disputed row from now on".to_owned()
            }
            Action::ChangeRules => "the servers refuse the disputed row from now on".to_owned(),
            Action::Expire => "a week passes: the marker of the dead letters expires".to_owned(),
        }
    }
}

fn name(server: Server) -> &'static str {
    match server {
        Server::Marked => "the marked sink",
        Server::Letters => "the dead letters",
    }
}

fn request(state: &State, at: usize) -> String {
    let request = &state.network[at];
    let late = if request.is_awaited { "" } else { "late: " };
    let what = match &request.kind {
        RequestKind::Commit { marker, .. } => format!("the commit of batch {}", marker.batch),
        RequestKind::Upsert { record } => format!("the upsert of row {}", record + 1),
        RequestKind::Letters { letters, .. } => format!("the dead letters {}", shown(letters)),
    };
    format!("{late}{what}")
}

/// Which dead letters: of the guest, of the marked sink, of the idempotent one.
fn shown(letters: &LetterSets) -> String {
    let of = |(origin, &set): (usize, &Set)| {
        let who = match origin {
            GUEST => "guest",
            IDEMPOTENT => "idempotent sink",
            _ => "marked sink",
        };
        let records = (0..8).filter(move |record| set >> record & 1 == 1);
        records.map(move |record| format!("{} ({who})", record + 1))
    };
    letters
        .iter()
        .enumerate()
        .flat_map(of)
        .collect::<Vec<_>>()
        .join(", ")
}
