//! What is called of a component, whichever version of the contract it speaks.

use crate::instance::State;
use streamhost_core::contract::{Answer, Finished, KeyItems, Moment, Partials};
use streamhost_core::job::validate::JobDescription;
use streamhost_core::types::{Chunk, Column};
use wasmtime::Store;
use wasmtime::component::InstancePre;

/// The outer error: the call broke. The inner one: it said something that cannot be, in words.
pub(crate) type Said<T> = wasmtime::Result<Result<T, String>>;

/// A component that is ready to be instantiated.
pub(crate) trait ExportsPre: Send + Sync {
    /// Makes an instance.
    fn instantiate(&self, store: &mut Store<State>) -> wasmtime::Result<Box<dyn Exports>>;

    /// What the engine knows of it.
    fn pre(&self) -> &InstancePre<State>;

    /// The version of the contract, as major and minor number.
    fn contract(&self) -> &'static str;
}

/// The exports of an instance.
pub(crate) trait Exports: Send {
    /// The export `describe`.
    fn describe(&self, store: &mut Store<State>) -> Said<JobDescription>;

    /// The export `transform`, on a chunk of what is read from a target.
    fn transform(
        &self,
        store: &mut Store<State>,
        stage: u32,
        moment: Moment,
        chunk: (&str, &Chunk),
    ) -> Said<Answer>;

    /// The export `combine`.
    fn combine(
        &self,
        store: &mut Store<State>,
        stage: u32,
        partials: &Partials,
    ) -> wasmtime::Result<Column>;

    /// The export `finish`.
    fn finish(
        &self,
        store: &mut Store<State>,
        stage: u32,
        moment: Moment,
        finished: &Finished,
    ) -> Said<Answer>;

    /// The export `process`.
    fn process(
        &self,
        store: &mut Store<State>,
        stage: u32,
        moment: Moment,
        keys: &KeyItems,
    ) -> Said<Answer>;

    /// The export `migrate`.
    fn migrate(
        &self,
        store: &mut Store<State>,
        stage: u32,
        accumulators: &Column,
    ) -> wasmtime::Result<Column>;
}
