//! Places the jobs, while this host leads.

use super::Cluster;
use super::control::View;
use super::place::{Ask, place};
use super::records::{Placement, Record};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use streamhost_connectors::kafka::log::{LogError, LogWriter};
use streamhost_connectors::kafka::members::Members;
use streamhost_core::limits;
use streamhost_core::state::JournalEntry;

/// What whoever leads has.
struct Lead {
    /// Nobody else's placement is written from here on.
    writer: LogWriter,
    members: Members,
    /// The newest placement: nobody else writes any.
    newest: Placement,
}

impl Cluster {
    /// Leads whenever the group says that this host does.
    pub(super) fn lead(&self) {
        let mut lead = None;
        while self.goes_on() {
            self.control.await_change(limits::CLUSTER_LOOK_TIME);
            if !self.leads.load(Ordering::SeqCst) {
                lead = None;
                continue;
            }
            if let Err(error) = self.lead_once(&mut lead) {
                tracing::debug!("the jobs of the cluster are not placed: {error}");
                lead = None;
                std::thread::sleep(limits::CLUSTER_LOOK_TIME);
            }
        }
    }

    fn lead_once(&self, lead: &mut Option<Lead>) -> Result<(), LogError> {
        let lead = match lead {
            Some(lead) => lead,
            None => lead.insert(self.begin_to_lead()?),
        };
        let live = lead.members.now()?;
        // It is known in a moment. Brokers that have just taken the group over know nobody of it: no
        // job is stopped for that.
        let Some(live) = live.filter(|live| live.contains(&self.me)) else {
            return Ok(());
        };
        let placed = self
            .control
            .look(|view| placed(view, &live, &lead.newest, &self.me));
        let Some(next) = placed else {
            return Ok(());
        };
        let (key, value) = Record::Placement(next.clone()).write();
        let before_bytes = 0; // it is of one part
        lead.writer.write(&[JournalEntry {
            key,
            value,
            before_bytes,
        }])?;
        lead.newest = next;
        Ok(())
    }

    /// Fences whoever led before, and then reads what that one wrote.
    fn begin_to_lead(&self) -> Result<Lead, LogError> {
        let (topic, id) = (self.names.control(), self.names.leader());
        let writer = LogWriter::open(&self.kafka, &topic, &id, &self.cancel)?;
        let view = View::read(&self.kafka, &topic, || self.goes_on())?;
        tracing::info!("this host places the jobs of the cluster");
        Ok(Lead {
            writer,
            members: Members::of(&self.kafka, &self.names.group())?,
            newest: view.placement,
        })
    }
}

/// The next placement, if it is another one.
fn placed(view: &View, live: &BTreeSet<String>, before: &Placement, me: &str) -> Option<Placement> {
    if !view.is_whole {
        return None;
    }
    // A member that has not said where it is cannot be asked for anything yet.
    let known = live.iter().filter(|host| view.hosts.contains_key(*host));
    let hosts: BTreeSet<&str> = known.map(String::as_str).collect();
    let draining = hosts
        .iter()
        .copied()
        .filter(|host| view.hosts[*host].draining);
    let jobs: BTreeMap<&str, &str> = view
        .jobs
        .iter()
        .map(|(job, claim)| (job.as_str(), claim.host.as_str()))
        .collect();
    let jobs = place(&Ask {
        jobs,
        draining: draining.collect(),
        pinned: (view.jobs.iter())
            .filter(|(_, claim)| claim.pinned)
            .map(|(job, _)| job.as_str())
            .collect(),
        hosts: hosts.clone(),
        before: &before.jobs,
    });
    let hosts: BTreeSet<String> = hosts.into_iter().map(str::to_owned).collect();
    if (&jobs, &hosts, me) == (&before.jobs, &before.hosts, &*before.leader) {
        return None;
    }
    Some(Placement {
        jobs,
        hosts,
        ..Placement::new(before.number + 1, me)
    })
}

#[cfg(test)]
mod tests {
    use super::super::records::{Claim, HostRecord};
    use super::*;

    #[test]
    fn a_placement_is_written_where_anything_of_it_is_another() {
        let mut view = View {
            is_whole: true,
            ..View::default()
        };
        let host = HostRecord::new("http://127.0.0.1:1", "p", false);
        view.hosts.insert("x".to_owned(), host.clone());
        view.hosts.insert("y".to_owned(), host);
        view.jobs.insert("j".to_owned(), Claim::new("x", None));
        let live = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let first = placed(&view, &live(&["x", "z"]), &Placement::default(), "x").unwrap();
        assert_eq!((first.number, first.jobs["j"].as_str()), (1, "x"));
        assert_eq!(first.hosts, live(&["x"]), "`z` has not said where it is");
        assert_eq!(placed(&view, &live(&["x"]), &first, "x"), None);
        let other_leader = placed(&view, &live(&["x"]), &first, "y").unwrap();
        assert_eq!((other_leader.number, &*other_leader.leader), (2, "y"));
        let moved = placed(&view, &live(&["y"]), &first, "y").unwrap();
        assert_eq!(moved.jobs["j"], "y");
        view.is_whole = false;
        assert_eq!(placed(&view, &live(&["y"]), &first, "y"), None);
    }
}
