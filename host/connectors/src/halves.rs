//! Which rows of a batch a server refuses for what is in them. One that finds such a row refuses all
//! that came with it, so they are found by halves.

use streamhost_engine::sink::SinkError;

/// Positions that failed, each with what was said of it.
pub(crate) type Failed<R> = Vec<(usize, R)>;

/// Of what failed together what fails alone, ascending; no more is looked for once `most` are found.
/// `trial` gives what is at some positions, ascending, to the server, and says which of it fails.
pub(crate) fn refused_alone<R>(
    failed: &[usize],
    most: usize,
    mut trial: impl FnMut(&[usize]) -> Result<Failed<R>, SinkError>,
) -> Result<Failed<R>, SinkError> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    halve(failed, &mut groups);
    let mut refused = Vec::new();
    while let Some(group) = groups.pop()
        && refused.len() < most
    {
        let failed = trial(&group)?;
        if group.len() == 1 {
            refused.extend(failed);
        } else {
            let positions: Vec<usize> = failed.iter().map(|(position, _)| *position).collect();
            halve(&positions, &mut groups);
        }
    }
    Ok(refused)
}

/// What failed, in two parts, of which the first is tried first: what is taken is taken in order.
fn halve(positions: &[usize], groups: &mut Vec<Vec<usize>>) {
    let (one, other) = positions.split_at(positions.len() / 2);
    for part in [other, one] {
        if !part.is_empty() {
            groups.push(part.to_vec());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that refuses all that comes together with a bad one.
    #[test]
    fn the_bad_ones_are_found_among_those_that_fail_with_them() {
        let all: Vec<usize> = (0..100).collect();
        for bad in [vec![], vec![0], vec![99], vec![3, 4, 50], all.clone()] {
            let (mut trials, mut taken) = (0, Vec::new());
            let found = refused_alone(&all, 100, |group| {
                trials += 1;
                let is_bad = group.iter().any(|position| bad.contains(position));
                match is_bad {
                    true => Ok(group.iter().map(|position| (*position, "bad")).collect()),
                    false => {
                        taken.extend_from_slice(group);
                        Ok(Vec::new())
                    }
                }
            });
            let found: Vec<_> = found.unwrap().into_iter().map(|(at, _)| at).collect();
            assert_eq!(found, bad);
            assert!(trials <= 2 + 14 * bad.len(), "{trials} for {bad:?}");
            assert!(taken.is_sorted() && taken.len() == 100 - bad.len());
        }
        let many = refused_alone(&all, 3, |group| {
            Ok(group.iter().map(|position| (*position, ())).collect())
        });
        assert_eq!(many.unwrap().len(), 3, "no more is looked for");
    }
}
