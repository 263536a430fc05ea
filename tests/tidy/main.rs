//! The rules of the source that no compiler knows: held by a test, or they are not held.

mod boundaries;
mod connectors;
mod components;
mod docs;
mod files;
mod licences;
mod limits;
mod shape;
