//! The files of records that `test` and `bench` are given.

use crate::offline::{Input, InputError, InputFormat};
use clap::ValueEnum;
use std::path::Path;
use streamhost_core::job::JobSpec;

/// How files hold records, where their names do not say it.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum InputForm {
    /// A line is a value.
    Lines,
    /// A line is a JSON object.
    Json,
}

/// `SOURCE=REST`, where the job has this source, or REST alone.
pub(super) fn of_source(text: &str, job: &JobSpec) -> (Option<String>, String) {
    match text.split_once('=') {
        Some((source, rest)) if job.sources.iter().any(|own| own.name == source) => {
            (Some(source.to_owned()), rest.to_owned())
        }
        _ => (None, text.to_owned()),
    }
}

/// Appends the records of files, each `[SOURCE=]FILE`.
pub(super) fn read(
    files: &[String],
    form: Option<InputForm>,
    job: &JobSpec,
    input: &mut Input,
) -> Result<(), InputError> {
    for text in files {
        let (source, path) = of_source(text, job);
        let path = Path::new(&path);
        let format = match form {
            Some(InputForm::Lines) => InputFormat::Lines,
            Some(InputForm::Json) => InputFormat::Json,
            None => usual_format(path),
        };
        input.read(job, path, source.as_deref(), format)?;
    }
    Ok(())
}

fn usual_format(path: &Path) -> InputFormat {
    let extension = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    match &*extension {
        "jsonl" | "ndjson" | "json" => InputFormat::Json,
        _ => InputFormat::Lines,
    }
}
