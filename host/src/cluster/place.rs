//! Which host runs which job: a pure function, so that it is tested by tables and by chance.

use std::collections::{BTreeMap, BTreeSet};

/// What places are made of.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    /// Jobs, and the host that asked for each.
    pub(super) jobs: BTreeMap<&'a str, &'a str>,
    /// Those of them that stay there for now, if it lives.
    pub(super) pinned: BTreeSet<&'a str>,
    /// Hosts that live.
    pub(super) hosts: BTreeSet<&'a str>,
    /// Those of them that are to run nothing.
    pub(super) draining: BTreeSet<&'a str>,
    /// Where each job is.
    pub(super) before: &'a BTreeMap<String, String>,
}

/// A host for each job: as even as can be, and as few moves as can be. A job whose host lives stays
/// unless that host drains, or has at least two jobs more than another one. Without any host that
/// may run it, a job stays where it was, if that lives.
pub(super) fn place(ask: &Ask<'_>) -> BTreeMap<String, String> {
    let open: BTreeSet<&str> = ask.hosts.difference(&ask.draining).copied().collect();
    let mut load: BTreeMap<&str, Vec<&str>> = open.iter().map(|host| (*host, Vec::new())).collect();
    let mut left = Vec::new();
    let mut placed = BTreeMap::new();
    for &job in ask.jobs.keys() {
        let before = ask.before.get(job).map(String::as_str);
        match before.and_then(|host| load.get_mut(host)) {
            Some(jobs) => jobs.push(job),
            None if open.is_empty() => {
                if let Some(host) = before.filter(|host| ask.hosts.contains(host)) {
                    placed.insert(job.to_owned(), host.to_owned());
                }
            }
            None => left.push(job),
        }
    }
    for job in left {
        let asked = ask.jobs[job];
        // The one that asked has it compiled already.
        let is_new = !ask.before.contains_key(job);
        let least = load.iter().map(|(host, jobs)| (jobs.len(), *host)).min();
        let chosen = match load.contains_key(asked) {
            true if is_new => Some(asked),
            _ => least.map(|(_, host)| host),
        };
        if let Some(jobs) = chosen.and_then(|host| load.get_mut(host)) {
            jobs.push(job);
        }
    }
    level(&mut load, &ask.pinned);
    let all = load.into_iter();
    placed.extend(all.flat_map(|(host, jobs)| {
        let host = host.to_owned();
        jobs.into_iter()
            .map(move |job| (job.to_owned(), host.clone()))
    }));
    placed
}

/// Moves jobs one by one from the host with the most to the one with the least.
fn level(load: &mut BTreeMap<&str, Vec<&str>>, pinned: &BTreeSet<&str>) {
    loop {
        let counts = || load.iter().map(|(host, jobs)| (jobs.len(), *host));
        let (Some((most, from)), Some((least, to))) = (counts().max(), counts().min()) else {
            return;
        };
        if most < least + 2 {
            return;
        }
        let movable = |jobs: &mut Vec<&str>| jobs.iter().rposition(|job| !pinned.contains(job));
        let Some(jobs) = load.get_mut(from) else {
            return;
        };
        let Some(at) = movable(jobs) else { return };
        let job = jobs.remove(at);
        if let Some(jobs) = load.get_mut(to) {
            jobs.push(job);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use streamhost_core::testing::xorshift;

    fn text(all: &BTreeMap<String, String>) -> String {
        let each = all.iter().map(|(job, host)| format!("{job}@{host}"));
        each.collect::<Vec<_>>().join(" ")
    }

    fn of(text: &str) -> BTreeMap<String, String> {
        let each = text.split_whitespace().map(|one| one.split_once('@'));
        let owned = |(job, host): (&str, &str)| (job.to_owned(), host.to_owned());
        each.flatten().map(owned).collect()
    }

    #[test]
    fn jobs_are_placed_evenly_and_moved_as_little_as_can_be() {
        // jobs with who asked | hosts | draining | before | after
        let cases = [
            ("a@x", "x y", "", "", "a@x"),
            ("a@x b@x", "x y", "", "a@x", "a@x b@y"),
            ("a@x b@x c@x", "x y z", "", "a@x b@y", "a@x b@y c@z"),
            ("a@x b@x", "x y", "", "a@x b@y", "a@x b@y"),
            ("a@x b@x", "y", "", "a@x b@y", "a@y b@y"),
            ("a@x b@x", "x y z", "", "a@y b@y", "a@y b@x"),
            ("a@x b@x", "x y", "x", "a@x b@y", "a@y b@y"),
            ("a@x", "x", "x", "a@x", "a@x"),
            ("a@x", "", "", "a@x", ""),
            ("a@x", "x y", "x", "", "a@y"),
            ("", "x", "", "a@x", ""),
        ];
        for (jobs, hosts, draining, before, after) in cases {
            let (jobs, before) = (of(jobs), of(before));
            let placed = place(&Ask {
                jobs: jobs.iter().map(|(j, h)| (j.as_str(), h.as_str())).collect(),
                hosts: hosts.split_whitespace().collect(),
                draining: draining.split_whitespace().collect(),
                pinned: BTreeSet::new(),
                before: &before,
            });
            assert_eq!(
                text(&placed),
                after,
                "{jobs:?} {hosts} {draining} {before:?}"
            );
        }
    }

    #[test]
    fn a_job_that_is_restored_stays_where_its_savepoint_is() {
        let before = of("a@x");
        let place = |hosts: &'static str| {
            let placed = place(&Ask {
                jobs: [("a", "x"), ("b", "x")].into(),
                hosts: hosts.split_whitespace().collect(),
                draining: BTreeSet::new(),
                pinned: ["b"].into(),
                before: &before,
            });
            text(&placed)
        };
        assert_eq!(place("x y"), "a@y b@x");
        assert_eq!(place("y"), "a@y b@y");
    }

    #[test]
    fn whatever_comes_and_goes_all_jobs_have_a_host_and_hosts_are_even() {
        let names: Vec<String> = (0..20).map(|i| format!("n{i}")).collect();
        for seed in 1..500 {
            let mut random = seed;
            let mut before = BTreeMap::new();
            for _ in 0..20 {
                let mut pick = |most: u64| -> BTreeSet<&str> {
                    let chosen = names.iter().take(most as usize);
                    let chosen = chosen.filter(|_| !xorshift(&mut random).is_multiple_of(3));
                    chosen.map(String::as_str).collect()
                };
                let (jobs, hosts) = (pick(20), pick(6));
                let draining: BTreeSet<&str> = pick(2);
                let draining: BTreeSet<&str> = draining.intersection(&hosts).copied().collect();
                let ask = Ask {
                    jobs: jobs.iter().map(|job| (*job, "n0")).collect(),
                    hosts: hosts.clone(),
                    draining: draining.clone(),
                    pinned: BTreeSet::new(),
                    before: &before,
                };
                let placed = place(&ask);
                let again = place(&Ask {
                    before: &placed,
                    ..ask.clone()
                });
                assert_eq!(again, placed, "seed {seed}: nothing changed, and jobs move");
                let open: Vec<&str> = hosts.difference(&draining).copied().collect();
                if !open.is_empty() {
                    assert_eq!(placed.len(), jobs.len(), "seed {seed}");
                    let of = |host: &&str| placed.values().filter(|h| h == host).count();
                    let counts: Vec<usize> = open.iter().map(of).collect();
                    let (most, least) = (counts.iter().max(), counts.iter().min());
                    assert!(
                        most <= least.map(|l| l + 1).as_ref(),
                        "seed {seed}: {counts:?}"
                    );
                    assert_eq!(counts.iter().sum::<usize>(), jobs.len(), "seed {seed}");
                }
                before = placed;
            }
        }
    }
}
