//! What people and tools write: the configuration, settings, component files.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use streamhost_core::job::names;
use streamhost_core::job::settings::{JobLimits, Settings};
use streamhost_guest::signature::{self, SigningKey, TrustedKeys};
use streamhost_guest::wrap;
use streamhost_host::config::Config;

/// An error may name all faults, each of which repeats what was written; it does not grow beyond
/// that.
fn is_in_proportion(told: &str, input: &[u8]) {
    let most = 4096 + 64 * input.len();
    assert!(
        told.len() <= most,
        "{} bytes of error for {}",
        told.len(),
        input.len()
    );
}

/// `streamhost.toml`.
pub(crate) fn config(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Err(error) = Config::parse(Path::new("streamhost.toml"), &text) {
        is_in_proportion(&error.to_string(), input);
    }
}

/// Pairs of `--set`, a line each, and names of all kinds.
pub(crate) fn settings(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let pairs: BTreeMap<String, String> = pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    if let Err(faults) = Settings::parse(&pairs, JobLimits::default()) {
        let told: Vec<_> = faults.iter().map(ToString::to_string).collect();
        is_in_proportion(&told.join("\n"), input);
    }
    for rule in [
        names::job,
        names::topic,
        names::table,
        names::path,
        names::address,
    ] {
        if let Err(told) = rule(&text) {
            is_in_proportion(&told, input);
        }
    }
}

/// A key that has signed nothing.
fn trusted() -> &'static TrustedKeys {
    static TRUSTED: OnceLock<TrustedKeys> = OnceLock::new();
    TRUSTED.get_or_init(|| {
        let key = SigningKey::generate("nobody").expect("OpenSSL 3 has Ed25519");
        let text = key.public_text().expect("it has a public half");
        let trusted = TrustedKeys::parse([text.as_str()]).expect("its own form");
        trusted.expect("there is one")
    })
}

/// A file that is said to be a component.
pub(crate) fn component(input: &[u8]) {
    if let Err(error) = wrap::form(input) {
        is_in_proportion(&error.to_string(), &[]);
    }
    drop(wrap::sdk_version(input));
    drop(signature::claims(input));
    if let Err(error) = signature::verify(input, trusted()) {
        is_in_proportion(&error.to_string(), &[]);
    }
    if let Err(error) = wrap::wrap(input.to_vec()) {
        is_in_proportion(&error.to_string(), input);
    }
}
