//! The rules of the source that no compiler knows: held by a test, or they are not held.

mod files;
mod licences;
mod limits;
mod rooms;
mod shape;
