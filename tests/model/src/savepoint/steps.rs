//! What may happen.

use super::state::{Checkpoint, Host, Intent, Job, Marker, State};
use super::{RECORDS, Rules, Savepoint, Sink, Written};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Action {
    /// A host opens its job's sinks: it fences, and reads the marker.
    Open(usize),
    Intend(usize, u8),
    Deliver(usize),
    /// The same, and a copy of the request is still on its way.
    Delay(usize),
    /// That one lands.
    Land,
    Checkpoint(usize),
    /// `kill -9`, and a start.
    Kill(usize),
    /// The savepoint is taken while the job runs.
    Save,
    /// The job is stopped after the batch under way, and the savepoint taken.
    SaveAndStop,
    Undeploy,
    /// The first host is gone for good.
    Die,
    /// A job begins from the file on this host.
    Restore(usize),
}

impl Savepoint {
    pub(super) fn possible(&self, state: &State, into: &mut Vec<Action>) {
        if state.late.is_some() {
            into.push(Action::Land);
        }
        for (at, host) in state.hosts.iter().enumerate() {
            self.of_host(state, (at, host), into);
        }
        let old = &state.hosts[0];
        let runs = matches!(old.job, Job::Runs | Job::Starts);
        if state.saved.is_none() && runs {
            into.push(Action::Save);
            let is_whole = old.intent.is_none() || !self.rules.stops_whole;
            if old.job == Job::Runs && is_whole {
                into.push(Action::SaveAndStop);
            }
        }
        if state.hosts[1].job != Job::Absent && old.job != Job::Absent {
            into.push(Action::Die);
        }
        if state.saved.is_none() || state.restored {
            return;
        }
        if old.job != Job::Absent {
            into.extend([Action::Undeploy, Action::Die]);
        } else {
            into.push(Action::Restore(0));
        }
        let has_ended = matches!(old.job, Job::Absent | Job::Paused);
        if has_ended || !self.rules.old_has_ended {
            into.push(Action::Restore(1));
        }
    }

    fn of_host(&self, state: &State, (at, host): (usize, &Host), into: &mut Vec<Action>) {
        let Some(checkpoint) = &host.checkpoint else {
            return;
        };
        if matches!(host.job, Job::Runs | Job::Starts) && state.kills > 0 {
            into.push(Action::Kill(at));
        }
        match (host.job, &host.intent) {
            (Job::Starts, _) => into.push(Action::Open(at)),
            (Job::Runs, None) => {
                let left = RECORDS as u8 - checkpoint.committed;
                into.extend((1..=left.min(2)).map(|n| Action::Intend(at, n)));
            }
            (Job::Runs, Some(_)) if host.delivered => into.push(Action::Checkpoint(at)),
            (Job::Runs, Some(_)) => {
                into.push(Action::Deliver(at));
                if self.sink == Sink::Idempotent && state.late.is_none() {
                    into.push(Action::Delay(at));
                }
            }
            _ => {}
        }
    }

    pub(super) fn take(&self, state: &mut State, action: Action) {
        match action {
            Action::Open(at) => self.open(state, at),
            Action::Intend(at, records) => intend(state, at, records),
            Action::Deliver(at) => self.deliver(state, at),
            Action::Delay(at) => state.late = Some(put_of(&state.hosts[at])),
            Action::Land => {
                if let Some(put) = state.late.take() {
                    state.put(put);
                }
            }
            Action::Checkpoint(at) => checkpoint(&mut state.hosts[at]),
            Action::Kill(at) => {
                state.kills -= 1;
                state.hosts[at].delivered = false;
                state.hosts[at].job = Job::Starts;
            }
            Action::Save => state.saved = self.written(&state.hosts[0]),
            Action::SaveAndStop => {
                state.saved = self.written(&state.hosts[0]);
                state.hosts[0].job = Job::Paused;
                state.stopped = true;
            }
            Action::Undeploy | Action::Die => {
                let old = &mut state.hosts[0];
                (old.job, old.checkpoint, old.intent) = (Job::Absent, None, None);
                old.delivered = false;
            }
            Action::Restore(at) => self.restore(state, at),
        }
    }

    fn written(&self, host: &Host) -> Option<Checkpoint> {
        let mut written = host.checkpoint.clone()?;
        let Some(intent) = &host.intent else {
            return Some(written);
        };
        match self.rules.written {
            Written::Checkpoint => {}
            Written::StateAhead => written.count += intent.to - intent.from,
            Written::Planned => {
                written.count += intent.to - intent.from;
                (written.batch, written.committed) = (intent.batch, intent.to);
                written.time = intent.time;
            }
        }
        Some(written)
    }

    fn restore(&self, state: &mut State, at: usize) {
        let Some(saved) = state.saved.clone() else {
            return;
        };
        state.restored = true;
        let Rules {
            by_clock,
            epoch_is_new,
            ..
        } = self.rules;
        let restored = Some((saved.epoch, saved.batch));
        let mut begun = Checkpoint { restored, ..saved };
        if by_clock {
            begun.time = begun.time.max(state.now);
        }
        if epoch_is_new {
            state.epoch += 1;
            begun.epoch = state.epoch;
        }
        let mut job = Job::Starts;
        if !self.rules.after_fence {
            // What the deploy has seen is believed at the start.
            if !self.fits(state.marker.as_ref(), &mut begun) {
                job = Job::Refused;
            }
            begun.restored = None;
        }
        state.hosts[at] = Host {
            job,
            checkpoint: Some(begun),
            intent: None,
            delivered: false,
            by_clock,
        };
    }

    /// Whether a job may begin from the savepoint by what its marked sink holds.
    fn fits(&self, marker: Option<&Marker>, begun: &mut Checkpoint) -> bool {
        let (Some(marker), Some((epoch, batch))) = (marker, begun.restored) else {
            return true;
        };
        let is_ahead = (marker.epoch, marker.batch) > (epoch, batch);
        if marker.epoch == begun.epoch || !is_ahead || !self.rules.minds_markers {
            return true;
        }
        if !self.keyed {
            begun.already = begun.already.max(marker.offset);
        }
        !self.keyed
    }

    fn open(&self, state: &mut State, at: usize) {
        let host = &mut state.hosts[at];
        host.job = Job::Runs;
        let Some(checkpoint) = host.checkpoint.as_mut() else {
            return;
        };
        if self.sink != Sink::Marked {
            return;
        }
        state.owner = at as u8;
        let Some(marker) = &state.marker else {
            return;
        };
        let last = host.intent.as_ref().map_or(checkpoint.batch, |i| i.batch);
        let is_ahead = (marker.epoch, marker.batch) > (checkpoint.epoch, last);
        if is_ahead || !self.fits(Some(marker), checkpoint) {
            host.job = Job::Refused;
            return;
        }
        let holds =
            |intent: &Intent| marker.epoch == checkpoint.epoch && marker.batch >= intent.batch;
        host.delivered = host.intent.as_ref().is_some_and(holds);
    }

    fn deliver(&self, state: &mut State, at: usize) {
        if self.sink == Sink::Marked && usize::from(state.owner) != at {
            state.hosts[at].job = Job::Starts; // fenced: it opens once more
            return;
        }
        let put = put_of(&state.hosts[at]);
        let host = &mut state.hosts[at];
        host.delivered = true;
        let (Some(intent), Some(checkpoint)) = (&host.intent, &host.checkpoint) else {
            return;
        };
        let from = intent.from.max(checkpoint.already);
        for record in from..intent.to {
            let count = &mut state.rows[usize::from(record)];
            *count = (*count + 1).min(2);
        }
        if self.sink == Sink::Marked {
            let (epoch, batch) = (checkpoint.epoch, intent.batch);
            let offset = intent.to.max(checkpoint.already);
            state.marker = Some(Marker {
                epoch,
                batch,
                offset,
            });
        }
        if self.sink == Sink::Idempotent {
            state.put(put);
        }
    }
}

fn put_of(host: &Host) -> (u8, u8) {
    match (&host.intent, &host.checkpoint) {
        (Some(intent), Some(checkpoint)) => {
            let value = checkpoint.count + intent.to - intent.from;
            (intent.time, value)
        }
        _ => (0, 0),
    }
}

fn intend(state: &mut State, at: usize, records: u8) {
    let now = state.now;
    let host = &mut state.hosts[at];
    let Some(checkpoint) = &host.checkpoint else {
        return;
    };
    let (from, above) = (checkpoint.committed, checkpoint.time + 1);
    let time = if host.by_clock { above.max(now) } else { above };
    let (batch, to) = (checkpoint.batch + 1, from + records);
    host.intent = Some(Intent {
        batch,
        from,
        to,
        time,
    });
    state.now += 1;
}

fn checkpoint(host: &mut Host) {
    let (Some(intent), Some(checkpoint)) = (host.intent.take(), &mut host.checkpoint) else {
        return;
    };
    checkpoint.batch = intent.batch;
    checkpoint.committed = intent.to;
    checkpoint.count += intent.to - intent.from;
    checkpoint.time = intent.time;
    checkpoint.restored = None;
    host.delivered = false;
}
