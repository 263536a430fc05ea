//! What the host changes by itself, for the audit log.

use super::Supervisor;
use crate::api::{Audit, AuditEntry, AuditOutcome, Deployed};
use streamhost_core::job::{DeploymentKind, JobRecord};

impl Supervisor {
    /// Notes a deployment that the host made by itself. It is noted once it is durable, and not
    /// given up where it cannot be: a version that proves unfit must not stay for that.
    pub(super) fn note_own(&self, before: &JobRecord, after: &JobRecord) {
        if let Some(mut entry) = own(before, after)
            && let Err(error) = self.audit.note(&mut entry)
        {
            let (job, verb) = (&after.name, &entry.verb);
            tracing::error!("the {verb} of `{job}` by the host is done, and not noted: {error}");
        }
    }
}

impl Supervisor {
    /// Notes that a shadow became active by itself, as its user asked beforehand.
    pub(super) fn note_promoted(&self, deployed: &Deployed) {
        let mut entry = AuditEntry {
            role: Some("host".to_owned()),
            verb: "promote".to_owned(),
            job: Some(deployed.job.clone()),
            deployment: Some(deployed.deployment),
            version: Some(deployed.version),
            digest: Some(deployed.digest.clone()),
            outcome: AuditOutcome::Done,
            reason: Some("what its `promote-if` asks held at the shadow's end".to_owned()),
            ..AuditEntry::default()
        };
        if let Err(error) = self.audit.note(&mut entry) {
            let job = &deployed.job;
            tracing::error!(
                "the promotion of the shadow of `{job}` is done, and not noted: {error}"
            );
        }
    }
}

/// The entry of a deployment that is new and was not asked for.
fn own(before: &JobRecord, after: &JobRecord) -> Option<AuditEntry> {
    let (was, is) = (before.active(), after.active());
    let reason = is.reason.clone().filter(|_| was.number < is.number)?;
    let verb = match is.kind {
        DeploymentKind::AutomaticRollback => "automatic-rollback",
        DeploymentKind::Deploy | DeploymentKind::Rollback | DeploymentKind::Canary => "limits",
    };
    Some(AuditEntry {
        role: Some("host".to_owned()),
        verb: verb.to_owned(),
        job: Some(after.name.clone()),
        deployment: Some(is.number),
        version: Some(is.version),
        digest: Some(is.digest.clone()),
        signed_by: is.signed_by.clone(),
        settings: AuditEntry::settings_between(Some(&was.settings), &is.settings),
        outcome: AuditOutcome::Done,
        reason: Some(AuditEntry::shortened(&reason)),
        ..AuditEntry::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::testing::deployment;

    #[test]
    fn what_the_host_does_by_itself_has_an_entry_and_what_users_ask_for_has_none_here() {
        let record = |last: Option<(DeploymentKind, Option<&str>)>| {
            let mut deployments = vec![deployment(1, 1, "a"), deployment(2, 2, "b")];
            deployments[1].settings = [("every".to_owned(), "1s".to_owned())].into();
            deployments.extend(last.map(|(kind, reason)| {
                let mut made = deployment(3, 1, "a");
                (made.kind, made.reason) = (kind, reason.map(str::to_owned));
                made
            }));
            JobRecord {
                name: "j".into(),
                paused: false,
                deployments,
                newest_version: 0,
            }
        };
        use DeploymentKind::{AutomaticRollback, Deploy, Rollback};
        let cases = [
            (None, None),
            (Some((Deploy, None)), None),
            (Some((Rollback, None)), None),
            (
                Some((AutomaticRollback, Some("unfit"))),
                Some("automatic-rollback"),
            ),
            (Some((Deploy, Some("other limits"))), Some("limits")),
        ];
        for (last, want) in cases {
            let entry = own(&record(None), &record(last));
            assert_eq!(entry.as_ref().map(|entry| &*entry.verb), want, "{last:?}");
            if let Some(entry) = entry {
                let active = (entry.deployment, entry.version, entry.role.as_deref());
                assert_eq!(active, (Some(3), Some(1), Some("host")));
                assert_eq!(entry.settings[0].before.as_deref(), Some("1s"));
                assert_eq!(entry.reason.as_deref(), last.and_then(|(_, why)| why));
            }
            let stored_again = own(&record(last), &record(last));
            assert_eq!(stored_again, None);
        }
    }
}
