//! `dev --watch`: what is saved in a job's folder is built, tested, and swapped in while the host
//! runs. What does not build, or fails its tests, is shown, and the version before goes on.
//!
//! ```text
//! changes ─► cargo build ─┬─► deploy
//!            cargo test ──┘
//! ```

mod cargo;
mod changes;

use super::Engine;
use super::build::{BuildError, Project, wrapped};
use super::deploy;
use super::screen::Screen;
use crate::api::DeployRequest;
use cargo::Cargo;
use changes::Changes;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use streamhost_core::{clock, limits};

/// How often it is looked whether cargo has ended, something was saved, or the host ends.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A profile of cargo's: its name, and what it is.
type Profile = (&'static str, &'static [&'static str]);

/// That of what is swapped in while its author works: quick to build, with few optimisations.
const OF_BUILD: Profile = (
    "streamhost-watch",
    &[
        "inherits='release'",
        "opt-level=1",
        "incremental=true",
        "codegen-units=256",
        "lto=false",
        "panic='abort'",
        "strip='debuginfo'",
    ],
);
/// That of its tests. Linking all that a debugger wants to know takes half of their time.
const OF_TESTS: Profile = (
    "streamhost-watch-test",
    &["inherits='dev'", "debug='line-tables-only'"],
);

/// Why a folder cannot be watched.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system does not tell of changes.
    #[error("{}: changes cannot be watched: {error}; build and deploy by hand", path.display())]
    Watcher {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        error: notify::Error,
    },
}

/// A job's folder, and the host that runs what is in it.
pub(super) struct Watch {
    project: Project,
    changes: Changes,
    colors: bool,
}

/// How an attempt to bring in what was saved went.
enum Attempt {
    /// Swapped in, or shown why not.
    Over,
    /// Something newer was saved then.
    Overtaken(Instant),
    /// The host ends.
    Ended,
}

/// Why what was saved is not swapped in.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// What cargo said of it.
    #[error("{output}\n{what}")]
    Cargo { what: String, output: String },
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("cargo cannot be started: {0}")]
    Start(std::io::Error),
    #[error("{0}")]
    Refused(String),
}

impl Watch {
    /// Watches a job's folder, but for the host's data.
    pub(super) fn begin(
        folder: &Path,
        data: &Path,
        screen: &Screen,
    ) -> Result<Watch, super::CliError> {
        let project = Project::find(folder)?;
        let changes = Changes::of(folder, &[&project.target_directory, data]);
        let changes = changes.map_err(|error| WatchError::Watcher {
            path: folder.to_owned(),
            error,
        })?;
        Ok(Watch {
            project,
            changes,
            colors: screen.colors(),
        })
    }

    /// Builds, tests and swaps until the host ends. `tell` shows what happens.
    pub(super) fn run(
        mut self,
        engine: &Arc<dyn Engine>,
        is_ending: &dyn Fn() -> bool,
        tell: &dyn Fn(&str),
    ) {
        let mut saved = clock::monotonic();
        loop {
            saved = match self.attempt(saved, engine, is_ending, tell) {
                Attempt::Ended => return,
                Attempt::Overtaken(again) => again,
                Attempt::Over => match self.wait(is_ending) {
                    Some(saved) => saved,
                    None => return,
                },
            };
        }
    }

    /// When something was saved next; none: the host ends.
    fn wait(&mut self, is_ending: &dyn Fn() -> bool) -> Option<Instant> {
        loop {
            if is_ending() {
                return None;
            }
            if let Some(saved) = self.changes.next(LOOK_EVERY) {
                return Some(saved);
            }
        }
    }

    fn attempt(
        &mut self,
        saved: Instant,
        engine: &Arc<dyn Engine>,
        is_ending: &dyn Fn() -> bool,
        tell: &dyn Fn(&str),
    ) -> Attempt {
        tell(&format!("building and testing `{}`", self.project.name()));
        let (mut build, mut test) = match self.start() {
            Ok(started) => started,
            Err(failure) => return over(&failure, tell),
        };
        loop {
            if is_ending() {
                return Attempt::Ended; // both are ended where they are dropped
            }
            if let Some(again) = self.changes.next(LOOK_EVERY) {
                tell("saved again: beginning anew");
                return Attempt::Overtaken(again);
            }
            let (built, tested) = (build.done(), test.done());
            let failed = [(&built, &build, "build"), (&tested, &test, "test")];
            let failed = failed
                .into_iter()
                .find(|(done, ..)| matches!(done, Some(false)));
            if let Some((_, cargo, what)) = failed {
                return over(&cargo.failure(what), tell);
            }
            if built.is_some() && tested.is_some() {
                break;
            }
        }
        let deployed = self.deploy(&build, engine, is_ending);
        let said = match deployed {
            Ok(said) => said,
            Err(failure) => return over(&failure, tell),
        };
        let seconds = |time: Duration| format!("{:.1} s", time.as_secs_f64());
        let (took, build, test) = (clock::since(saved), build.took(), test.took());
        tell(&format!(
            "{said}swapped in {} after the save (build {}, tests beside it {})",
            seconds(took),
            seconds(build),
            seconds(test),
        ));
        Attempt::Over
    }

    /// Starts both: their target folders differ, so neither waits for the other.
    fn start(&self) -> Result<(Cargo, Cargo), Failure> {
        let mut build = self.project.cargo_build(OF_BUILD.0);
        let mut test = self.project.cargo_test(OF_TESTS.0);
        let color = if self.colors { "always" } else { "never" };
        for (command, (profile, is)) in [(&mut build, OF_BUILD), (&mut test, OF_TESTS)] {
            command.args(["--color", color]);
            for setting in is {
                command.args(["--config", &format!("profile.{profile}.{setting}")]);
            }
        }
        let build = Cargo::start(build).map_err(Failure::Start)?;
        let test = Cargo::start(test).map_err(Failure::Start)?;
        Ok((build, test))
    }

    fn deploy(
        &self,
        build: &Cargo,
        engine: &Arc<dyn Engine>,
        is_ending: &dyn Fn() -> bool,
    ) -> Result<String, Failure> {
        let made = build
            .lines()
            .filter_map(|line| self.project.module_in(&line))
            .last();
        let module = made.ok_or_else(|| BuildError::NoArtifact {
            package: self.project.name().to_owned(),
        })?;
        let request = DeployRequest {
            create_tables: true,
            ..DeployRequest::default()
        };
        let deployed = engine.deploy(wrapped(&module)?, request, &|| !is_ending());
        let deployed = deployed.map_err(|refusal| Failure::Refused(refusal.to_string()))?;
        let mut said = Vec::new();
        deploy::said(&mut said, &deployed).map_err(Failure::Start)?;
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

fn over(failure: &Failure, tell: &dyn Fn(&str)) -> Attempt {
    tell(&format!(
        "{failure}\nnothing was swapped: what ran before goes on"
    ));
    Attempt::Over
}

impl Cargo {
    /// Why it failed, in its own words.
    fn failure(&self, what: &str) -> Failure {
        let what = match self.is_overdue() {
            true => format!(
                "cargo {what} has not ended in {}",
                humantime::format_duration(limits::CARGO_TIME)
            ),
            false => format!("cargo {what} failed"),
        };
        Failure::Cargo {
            what,
            output: self.output(),
        }
    }
}
