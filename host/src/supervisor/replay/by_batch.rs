//! What a job makes batch by batch: a replay cuts batches of its own, and makes other rows of it.

use crate::api::{Refusal, ReplayRequest};
use streamhost_core::job::{JobSpec, StageKind, StageSpec};

/// What is to be known of a job's stages that go by batches. What goes on to another stage is merged
/// there, and may come to the same.
///
/// # Errors
/// Such rows are not written where the job's own are.
pub(super) fn check(spec: &JobSpec, request: &ReplayRequest) -> Result<Option<String>, Refusal> {
    let last = |number: u32| {
        let mut others = spec.stages.iter().flat_map(|stage| &stage.inputs);
        others.all(|input| *input != number)
    };
    let numbered = (spec.sources.len() as u32..).zip(&spec.stages);
    let mut stages = numbered.filter(|(number, _)| last(*number));
    let Some((_, stage)) = stages.find(|(_, stage)| is_by_batch(spec, stage)) else {
        return Ok(None);
    };
    let why = format!(
        "stage `{}` makes its results batch by batch, and a replay cuts batches of its own, so its rows are not those that \
         the job made",
        stage.name
    );
    match request.write {
        true => Err(Refusal::Invalid(format!(
            "{why}: nothing of them is mended; --diff compares them, and --sink NAME=OTHER writes them elsewhere"
        ))),
        false => Ok(request.diff.then_some(why)),
    }
}

/// Whether its results depend on where batches were cut.
fn is_by_batch(spec: &JobSpec, stage: &StageSpec) -> bool {
    match &stage.kind {
        StageKind::EachBatch => !stage.inputs.iter().all(|input| is_steady(spec, *input)),
        StageKind::Window(window) => window.processing_time,
        // It may ask for the batch's time, and how far event time is.
        StageKind::Process(_) => true,
        StageKind::Running { .. } | StageKind::Join(_) | StageKind::Lookup => false,
    }
}

/// Whether what belongs together comes of a source or stage in one batch, wherever batches are cut: a
/// window's results do, as they are given when event time has passed its end.
fn is_steady(spec: &JobSpec, number: u32) -> bool {
    let number = number as usize;
    let Some(stage) = number.checked_sub(spec.sources.len()) else {
        return spec.sources[number].table;
    };
    let Some(stage) = spec.stages.get(stage) else {
        return false;
    };
    let mut inputs = stage.inputs.iter();
    match &stage.kind {
        StageKind::Window(window) => {
            !window.processing_time && !window.early && window.updates_ms == 0
        }
        // Inputs are below their own stage, so this ends.
        StageKind::EachBatch | StageKind::Lookup => inputs.all(|input| is_steady(spec, *input)),
        StageKind::Running { .. } | StageKind::Join(_) | StageKind::Process(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use streamhost_core::job::{SourceSpec, Window, WindowForm};

    fn stage(name: &str, kind: StageKind, input: u32) -> StageSpec {
        StageSpec {
            name: name.to_owned(),
            kind,
            inputs: vec![input],
            key_shape: String::new(),
            value_shape: String::new(),
            other_shape: String::new(),
            version: 0,
            migrates: None,
        }
    }

    fn window(processing_time: bool) -> Window {
        Window {
            form: WindowForm::Session { gap_ms: 1 },
            lateness_ms: 0,
            offset_ms: 0,
            updates_ms: 0,
            processing_time,
            early: false,
        }
    }

    #[test]
    fn what_goes_by_batches_at_last_is_not_mended() {
        let running = StageKind::Running { expire_ms: None };
        let cases = [
            (vec![], false),
            (vec![stage("sum", running, 0)], false),
            (vec![stage("each", StageKind::EachBatch, 0)], true),
            // What a window gives out comes together, wherever batches are cut.
            (
                vec![
                    stage("window", StageKind::Window(window(false)), 0),
                    stage("each", StageKind::EachBatch, 1),
                ],
                false,
            ),
            (
                vec![stage("window", StageKind::Window(window(true)), 0)],
                true,
            ),
            // What each batch comes to is merged once more.
            (
                vec![
                    stage("each", StageKind::EachBatch, 0),
                    stage("sum", running, 1),
                ],
                false,
            ),
        ];
        for (stages, goes_by_batches) in cases {
            let spec = JobSpec {
                name: "x".to_owned(),
                every: Duration::ZERO,
                sources: vec![SourceSpec::default()],
                stages,
                sinks: Vec::new(),
                parameters: Vec::new(),
                metrics: Vec::new(),
            };
            let asked = |write| ReplayRequest {
                diff: true,
                write,
                ..ReplayRequest::default()
            };
            let warned = check(&spec, &asked(false)).expect("it is compared");
            assert_eq!(warned.is_some(), goes_by_batches, "{:?}", spec.stages);
            assert_eq!(check(&spec, &asked(true)).is_err(), goes_by_batches);
        }
    }
}
