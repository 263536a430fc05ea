//! The last hour of all jobs in a file, so that charts go on after a restart of the host. Nothing
//! depends on it: a file that cannot be read is left aside, and one that is lost leaves charts
//! empty.

use super::points::Point;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::Path;
use std::time::Instant;
use streamhost_core::{clock, limits};

/// Rises with each change of the form; another one is not read.
const FORMAT: u32 = 1;

/// What is kept of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct KeptSeries {
    /// Points of its charts, oldest first.
    pub(super) points: VecDeque<Point>,
    /// Minutes since 1970, and the records a second in them.
    pub(super) minutes: VecDeque<(i64, f64)>,
}

/// What is kept of all jobs, by name.
pub(super) type KeptJobs = BTreeMap<String, KeptSeries>;

#[derive(Serialize, Deserialize)]
struct KeptFile {
    format: u32,
    jobs: KeptJobs,
}

/// When the file was written last.
pub(super) struct Keeping {
    at: Instant,
}

impl Default for Keeping {
    fn default() -> Self {
        Keeping {
            at: clock::monotonic(),
        }
    }
}

impl Keeping {
    /// Whether it is time to write it again; it counts as written then.
    pub(super) fn is_due(&mut self) -> bool {
        let now = clock::monotonic();
        let due = now - self.at >= limits::SERIES_FILE_TIME;
        if due {
            self.at = now;
        }
        due
    }
}

/// Writes the file anew: what stands there is whole at any moment.
pub(super) fn write(path: &Path, jobs: KeptJobs) -> io::Result<()> {
    let file = KeptFile {
        format: FORMAT,
        jobs,
    };
    let beside = path.with_extension("new");
    std::fs::write(&beside, serde_json::to_vec(&file)?)?;
    std::fs::rename(&beside, path)
}

/// What was kept, as far as it is of the last hour. Without a file there is nothing; an error says
/// why one is left aside.
pub(super) fn read(path: &Path, now_ms: i64) -> Result<KeptJobs, String> {
    let length = match std::fs::metadata(path) {
        Ok(data) => data.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(KeptJobs::new()),
        Err(error) => return Err(error.to_string()),
    };
    if length > limits::SERIES_FILE_BYTES_MAX {
        let max = limits::SERIES_FILE_BYTES_MAX;
        return Err(format!("it has {length} bytes, over {max}"));
    }
    let text = std::fs::read(path).map_err(|error| error.to_string())?;
    let file: KeptFile = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if file.format != FORMAT {
        return Err(format!("its format is {}, not {FORMAT}", file.format));
    }
    let mut jobs = file.jobs;
    let now = now_ms.div_euclid(1000);
    let hour = limits::SERIES_STEP_SECONDS as i64 * limits::SERIES_POINTS_MAX as i64;
    for kept in jobs.values_mut() {
        // One from the future is of a clock that was put back.
        kept.points
            .retain(|point| (now - hour..=now).contains(&point.seconds()));
        let minutes = (now - hour) / 60..=now / 60;
        kept.minutes.retain(|(minute, _)| minutes.contains(minute));
        kept.points.truncate(limits::SERIES_POINTS_MAX);
        kept.minutes.truncate(limits::RECENT_MINUTES);
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_of_ours_is_left_aside() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("series.json");
        assert_eq!(read(&path, 0), Ok(KeptJobs::new()), "there is none");
        for (text, words) in [
            ("", "EOF"),
            ("{\"format\": 1, \"jo", "EOF"),
            ("[]", "invalid"),
            ("{\"format\": 2, \"jobs\": {}}", "its format is 2"),
        ] {
            std::fs::write(&path, text).expect("written");
            let said = read(&path, 0).expect_err(text);
            assert!(said.contains(words), "{text}: {said}");
        }
        let file = std::fs::File::create(&path).expect("a file");
        file.set_len(limits::SERIES_FILE_BYTES_MAX + 1)
            .expect("it is sparse");
        assert!(read(&path, 0).expect_err("too long").contains("bytes"));
        assert!(write(&folder.path().join("none").join("x"), KeptJobs::new()).is_err());
    }
}
