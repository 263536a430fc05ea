//! A cargo that runs beside the host: what it says is kept, within a limit, and it ends with who
//! started it.

use rustix::process::{Pid, Signal, kill_process_group};
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use streamhost_core::{clock, limits};

/// What a program says.
#[derive(Default)]
struct Kept {
    text: String,
    lost: bool,
}

/// A cargo. It ends where this is dropped, with all that it started.
pub(super) struct Cargo {
    child: Child,
    readers: Vec<JoinHandle<()>>,
    /// Standard output.
    out: Arc<Mutex<Kept>>,
    /// Standard error.
    err: Arc<Mutex<Kept>>,
    began: Instant,
    /// How it ended, and after how long.
    ended: Option<(bool, Duration)>,
}

fn locked(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cargo {
    /// Starts it, in a process group of its own: a Ctrl-C is the host's to heed.
    pub(super) fn start(mut command: Command) -> io::Result<Cargo> {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.process_group(0).spawn()?;
        let (out, err) = (Arc::<Mutex<Kept>>::default(), Arc::<Mutex<Kept>>::default());
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|from| keep(from, &out)));
        readers.extend(child.stderr.take().map(|from| keep(from, &err)));
        Ok(Cargo {
            child,
            readers,
            out,
            err,
            began: clock::monotonic(),
            ended: None,
        })
    }

    /// Whether it did well; none while it runs.
    pub(super) fn done(&mut self) -> Option<bool> {
        if let Some((well, _)) = self.ended {
            return Some(well);
        }
        let ended = self.child.try_wait();
        let well = match ended {
            Ok(None) if self.is_overdue() => {
                self.kill();
                false
            }
            Ok(None) => return None,
            Ok(Some(status)) => status.success(),
            Err(_) => false,
        };
        let took = self.took();
        for reader in self.readers.drain(..) {
            let _ = reader.join(); // it only keeps lines
        }
        self.ended = Some((well, took));
        Some(well)
    }

    /// How long it took, or runs.
    pub(super) fn took(&self) -> Duration {
        self.ended
            .map_or_else(|| clock::since(self.began), |(_, took)| took)
    }

    pub(super) fn is_overdue(&self) -> bool {
        self.took() >= limits::CARGO_TIME
    }

    /// The lines of its standard output.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let text = locked(&self.out).text.clone();
        text.lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .into_iter()
    }

    /// All that it said for people.
    pub(super) fn output(&self) -> String {
        let mut all = String::new();
        for kept in [&self.err, &self.out] {
            let kept = locked(kept);
            let lines = kept
                .text
                .lines()
                .filter(|line| !line.starts_with("{\"reason\":"));
            for line in lines {
                all += line;
                all.push('\n');
            }
            if kept.lost {
                all += "… and more, which is left out\n";
            }
        }
        all.trim_end().to_owned()
    }

    fn kill(&mut self) {
        if let Some(group) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL); // or it has ended by itself
        }
        let _ = self.child.wait();
    }
}

impl Drop for Cargo {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
            for reader in self.readers.drain(..) {
                let _ = reader.join();
            }
        }
    }
}

/// Keeps the lines that come, the first ones where there are too many.
fn keep(from: impl Read + Send + 'static, into: &Arc<Mutex<Kept>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        loop {
            line.clear();
            let most = limits::CARGO_OUTPUT_BYTES_MAX as u64;
            match from.by_ref().take(most).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let mut kept = locked(&into);
            if kept.text.len() + line.len() > limits::CARGO_OUTPUT_BYTES_MAX {
                kept.lost = true;
            } else {
                kept.text += &String::from_utf8_lossy(&line);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(cargo: &mut Cargo) -> bool {
        loop {
            if let Some(well) = cargo.done() {
                return well;
            }
            std::thread::yield_now();
        }
    }

    fn shell(script: &str) -> Cargo {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null());
        Cargo::start(command).expect("a shell")
    }

    #[test]
    fn what_it_says_is_kept_within_a_limit() {
        let mut well = shell("echo '{\"reason\":\"x\"}'; echo out; echo error >&2");
        assert!(ended(&mut well));
        assert_eq!(well.output(), "error\nout");
        assert_eq!(well.lines().count(), 2);
        let mut much = shell("yes aaaaaaaaaaaaaaa | head -n 200000; exit 3");
        assert!(!ended(&mut much));
        let output = much.output();
        assert!(output.len() <= limits::CARGO_OUTPUT_BYTES_MAX + 100);
        assert!(output.ends_with("… and more, which is left out"));
    }

    #[test]
    fn it_ends_with_all_that_it_started() {
        let mut waits = shell("sleep 1000 & echo $!; wait");
        while waits.lines().next().is_none() {
            assert_eq!(waits.done(), None);
        }
        let child = waits.lines().next().expect("a line");
        drop(waits);
        // It was killed; the system may be at it still.
        let state = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
        while !state().is_empty() && !state().contains(" Z ") {
            std::thread::yield_now();
        }
    }
}
