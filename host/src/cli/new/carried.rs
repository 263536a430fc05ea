//! The files that the binary carries, with their paths in the repository; `build.rs` lists them.

include!(concat!(env!("OUT_DIR"), "/carried.rs"));
