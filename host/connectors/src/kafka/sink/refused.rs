//! Which records of a batch a topic refuses for what is in them. A broker that finds one of them
//! refuses all that came with it, so they are found by halves.

use super::Failure;
use streamhost_engine::sink::SinkError;

/// Of the records that failed together those that fail alone. `trial` sends the records at some
/// positions, and gives those that fail.
pub(crate) fn refused_alone(
    failed: &[Failure],
    mut trial: impl FnMut(&[usize]) -> Result<Vec<Failure>, SinkError>,
) -> Result<Vec<Failure>, SinkError> {
    let positions: Vec<usize> = failed.iter().map(|failure| failure.position).collect();
    let (mut groups, mut refused) = (halves(&positions), Vec::new());
    while let Some(group) = groups.pop() {
        let failed = trial(&group)?;
        match (group.len(), failed.first()) {
            (_, None) => {}
            (1, Some(failure)) => refused.push(*failure),
            _ => {
                let positions: Vec<usize> = failed.iter().map(|failure| failure.position).collect();
                groups.extend(halves(&positions));
            }
        }
    }
    refused.sort_by_key(|failure| failure.position);
    Ok(refused)
}

/// What failed, in two parts; one alone is a part of its own.
fn halves(positions: &[usize]) -> Vec<Vec<usize>> {
    let (one, other) = positions.split_at(positions.len() / 2);
    [one, other]
        .into_iter()
        .filter(|part| !part.is_empty())
        .map(<[usize]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::error::RDKafkaErrorCode as Code;

    /// A topic that refuses all that comes together with a bad one.
    #[test]
    fn the_bad_ones_are_found_among_those_that_fail_with_them() {
        let failure = |position: usize| Failure {
            position,
            code: Code::InvalidRecord,
        };
        for bad in [
            vec![],
            vec![0],
            vec![99],
            vec![3, 4, 50],
            (0..100).collect(),
        ] {
            let all: Vec<_> = (0..100).map(failure).collect();
            let mut trials = 0;
            let found = refused_alone(&all, |group| {
                trials += 1;
                let is_bad = group.iter().any(|position| bad.contains(position));
                Ok(group
                    .iter()
                    .filter(|_| is_bad)
                    .copied()
                    .map(failure)
                    .collect())
            });
            let found: Vec<_> = found.unwrap().iter().map(|f| f.position).collect();
            assert_eq!(found, bad);
            assert!(trials <= 2 + 14 * bad.len(), "{trials} for {bad:?}");
        }
    }
}
