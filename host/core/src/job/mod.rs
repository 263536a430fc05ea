//! What a component describes, what is proven of it, and what is stored of a job.

mod spec;
mod join;
pub mod names;
pub mod connector;
pub mod budget;
pub mod settings;
mod metrics;
mod parameters;
mod share;
pub mod validate;
mod record;
pub mod memory;

pub use join::{Join, JoinSide, Partners};
pub use metrics::{MetricDescription, MetricKind, MetricSpec, MetricValues, ValueHistogram};
pub use parameters::{ParameterDescription, ParameterKind, ParameterSpec};
pub use record::{CanaryRecord, DeploymentKind, DeploymentRecord, JobRecord};
pub use share::Share;
pub use spec::{
    ColumnSpec, JobSpec, Process, SinkSpec, SourceSpec, StageKind, StageSpec, Window, WindowForm,
    since_window_begin,
};
