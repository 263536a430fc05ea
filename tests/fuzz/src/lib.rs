//! What comes from outside, given to the host's readers in every form: configuration, settings,
//! stored records, answers of components, answers of servers, requests to its own ones.
//!
//! A target is a function of bytes that must return. `cargo test` gives each of them its corpus and
//! a bounded number of mutations of it, drawn from a seed; `tests/run.sh fuzz` looks for new inputs
//! with libFuzzer.

mod answers;
mod records;
mod servers;
mod text;

/// A target: its name, which is that of its corpus, and what it does with an input.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// Panics where the host would do something wrong.
    pub run: fn(&[u8]),
    /// Mutations in an ordinary test: fewer where each costs a connection.
    pub mutations: u32,
}

/// All targets.
pub const TARGETS: [Target; 10] = [
    target("config", text::config, 20_000),
    target("settings", text::settings, 20_000),
    target("component", text::component, 20_000),
    target("records", records::records, 20_000),
    target("shapes", records::shapes, 20_000),
    target("answers", answers::answers, 20_000),
    target("gateway", servers::gateway, 300),
    target("broker", servers::broker, 300),
    target("tables", servers::tables, 300),
    target("api", servers::api, 300),
];

const fn target(name: &'static str, run: fn(&[u8]), mutations: u32) -> Target {
    Target {
        name,
        run,
        mutations,
    }
}

/// The target of this name.
pub fn named(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
