//! WASI as a job may have it. The compilers and runtimes of other languages import clocks, random
//! numbers, streams, files and sockets whether a program uses them or not. Each is answered from
//! what a call has anyway, so that a batch that is run again gives the same to the bit:
//!
//! | asked | answer |
//! |---|---|
//! | wall clock | the batch's time; 1970 where a call has none |
//! | monotonic clock | begins each call at that time, and only waiting moves it: a sleep is over at once |
//! | random numbers | from a seed of component, job, batch and call |
//! | stdout, stderr | lines of the job's log |
//! | stdin, arguments, environment, folders | there are none |
//! | files, sockets, names of hosts | an error |
//! | exit | a fault of the call |
//!
//! `wasmtime-wasi` is not used: its sleeps wait by tokio's timers, and it brings cap-std and tokio's
//! network for files and sockets that are never there. What is called of all these interfaces
//! without them is some forty functions. They are linked by the types that the component itself
//! names, so that every 0.2 of WASI is met alike, and none of its files need be kept here.

mod clocks;
mod random;
mod streams;
mod absent;

use random::Random;
use std::collections::BTreeMap;
use streamhost_core::contract::Finished;
use streamhost_core::limits;
use streamhost_core::types::Chunk;
use streams::{Standard, Written};
use wasmtime::component::types::{Component, ComponentInstance, ComponentItem};
use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType};
use wasmtime::{Engine, StoreContextMut};

/// The interfaces of `wasi:…@0.2` that are answered. All others are refused by name.
const INTERFACES: [&str; 27] = [
    "cli/environment",
    "cli/exit",
    "cli/stdin",
    "cli/stdout",
    "cli/stderr",
    "cli/terminal-input",
    "cli/terminal-output",
    "cli/terminal-stdin",
    "cli/terminal-stdout",
    "cli/terminal-stderr",
    "clocks/monotonic-clock",
    "clocks/wall-clock",
    "filesystem/preopens",
    "filesystem/types",
    "io/error",
    "io/poll",
    "io/streams",
    "random/insecure",
    "random/insecure-seed",
    "random/random",
    "sockets/instance-network",
    "sockets/ip-name-lookup",
    "sockets/network",
    "sockets/tcp",
    "sockets/tcp-create-socket",
    "sockets/udp",
    "sockets/udp-create-socket",
];

/// Why a stub ends the call.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StubFault {
    /// It called `exit`.
    #[error("it ended itself by `exit({0})`")]
    Exit(u8),
    /// It holds streams, waits and the like without end.
    #[error(
        "it holds more than {} of the host's handles at once (streams, waits, networks): drop those that are used no more",
        limits::STUB_HANDLES_MAX
    )]
    Handles,
    /// It asked for more random bytes than are made at once.
    #[error(
        "it asked for {count} random bytes at once, of {} at most: ask for less",
        limits::STUB_RANDOM_BYTES_MAX
    )]
    Random {
        /// So many.
        count: u64,
    },
    /// It waits for nothing, which would never end.
    #[error("it waits for nothing at all (`poll` with an empty list), which never ends")]
    NothingToWaitFor,
    /// A function that cannot be answered.
    #[error("it called `{0}`, which a job does not have")]
    Absent(String),
}

/// What the store of an instance gives the stubs.
pub(crate) trait Stubbed: Send + 'static {
    /// What they answer from.
    fn stubs(&mut self) -> &mut Stubs;

    /// A line for the job's log.
    fn line(&mut self, level: tracing::Level, line: String);
}

/// What tells a call from the others of its batch, however many instances share the work.
#[derive(Clone, Copy)]
pub(crate) enum Call<'a> {
    /// It is of no batch, or its answer must not depend on which one it is.
    Unnamed,
    /// The records of this chunk, in this stage.
    Transform(u32, &'a Chunk),
    /// What this stage finished.
    Finish(u32, &'a Finished),
}

/// What the stubs of one instance answer from.
pub(crate) struct Stubs {
    are_linked: bool,
    random: Random,
    wall_ms: u64,
    monotonic_ns: u64,
    /// The host's resources that the component holds.
    handles: usize,
    /// When what it may wait for is due on the monotonic clock. What is not here is due at once.
    due_ns: BTreeMap<u32, u64>,
    written: [Written; 2],
}

impl Stubs {
    /// Those of a component that imports none of them.
    pub(crate) fn none() -> Self {
        Stubs {
            are_linked: false,
            ..Stubs::new("")
        }
    }

    /// Those of a component with this digest, before any call.
    pub(crate) fn new(digest: &str) -> Self {
        let mut stubs = Stubs {
            are_linked: true,
            random: Random::new(digest),
            wall_ms: 0,
            monotonic_ns: 0,
            handles: 0,
            due_ns: BTreeMap::new(),
            written: Default::default(),
        };
        stubs.begin(None, Call::Unnamed);
        stubs
    }

    /// They are a job's from now on.
    pub(crate) fn of_job(&mut self, job: &str) {
        self.random.of_job(job);
    }

    /// A call begins, of a batch with this time, or of none.
    pub(crate) fn begin(&mut self, batch_ms: Option<i64>, call: Call<'_>) {
        if !self.are_linked {
            return;
        }
        self.wall_ms = batch_ms.map_or(0, |ms| u64::try_from(ms).unwrap_or(0));
        // Runtimes take 0 for a clock that is broken.
        self.monotonic_ns = self.wall_ms.saturating_mul(1_000_000).saturating_add(1);
        self.random.begin(self.wall_ms, call);
        self.written.iter_mut().for_each(Written::begin);
    }

    fn written(&mut self, standard: Standard) -> &mut Written {
        &mut self.written[standard as usize]
    }
}

/// The last lines without an end, once a call is over.
pub(crate) fn flush<T: Stubbed>(state: &mut T) {
    streams::flush(state);
}

/// What the call that is over wrote to stderr, as far as a reason has room; empty where it wrote
/// nothing.
pub(crate) fn said<T: Stubbed>(state: &mut T) -> String {
    flush(state);
    state.stubs().written(Standard::Err).said()
}

/// An interface of WASI that is answered here, without its version; none: any other name.
pub(crate) fn interface(name: &str) -> Option<&'static str> {
    let (interface, version) = name.strip_prefix("wasi:")?.split_once('@')?;
    let patch = version.strip_prefix("0.2.")?;
    let is_number = !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit());
    let known = INTERFACES.iter().copied();
    known
        .filter(|_| is_number)
        .find(|known| *known == interface)
}

/// Links all that a component imports of the interfaces that are answered.
pub(crate) fn link<T: Stubbed>(
    linker: &mut Linker<T>,
    engine: &Engine,
    component: &Component,
) -> wasmtime::Result<()> {
    for (name, item) in component.imports(engine) {
        if let (Some(interface), ComponentItem::ComponentInstance(imported)) =
            (interface(name), &item.ty)
        {
            let place = Place { name, interface };
            link_interface(&mut linker.instance(name)?, engine, &place, imported)?;
        }
    }
    Ok(())
}

/// An interface that a component imports: its whole name, and the one in the list.
struct Place<'a> {
    name: &'a str,
    interface: &'static str,
}

fn link_interface<T: Stubbed>(
    linker: &mut LinkerInstance<'_, T>,
    engine: &Engine,
    place: &Place<'_>,
    imported: &ComponentInstance,
) -> wasmtime::Result<()> {
    for (name, item) in imported.exports(engine) {
        match &item.ty {
            ComponentItem::Resource(_) => link_resource(linker, name)?,
            ComponentItem::ComponentFunc(function) => {
                let known = clocks::link(linker, place.interface, name)?
                    || random::link(linker, place.interface, name)?
                    || streams::link(linker, place.interface, name)?
                    || link_rest(linker, place.interface, name)?;
                if !known {
                    absent::link(linker, place.name, name, function)?;
                }
            }
            _ => {} // types, which need no answer
        }
    }
    Ok(())
}

/// What a component may hold of the host's.
struct Network;
/// Files, sockets and terminals: there is none of them.
struct Absent;

fn link_resource<T: Stubbed>(
    linker: &mut LinkerInstance<'_, T>,
    name: &str,
) -> wasmtime::Result<()> {
    let kind = match name {
        "pollable" => ResourceType::host::<clocks::Pollable>(),
        "input-stream" => ResourceType::host::<streams::Input>(),
        "output-stream" => ResourceType::host::<streams::Output>(),
        "error" => ResourceType::host::<streams::Failure>(),
        "network" => ResourceType::host::<Network>(),
        _ => ResourceType::host::<Absent>(),
    };
    let is_pollable = name == "pollable";
    linker.resource(name, kind, move |mut store, rep| {
        let stubs = store.data_mut().stubs();
        stubs.handles = stubs.handles.saturating_sub(1);
        if is_pollable {
            stubs.due_ns.remove(&rep);
        }
        Ok(())
    })
}

/// Gives the component a resource of the host's to hold.
fn give<T: Stubbed, R: 'static>(
    store: &mut StoreContextMut<'_, T>,
    rep: u32,
) -> wasmtime::Result<Resource<R>> {
    let stubs = store.data_mut().stubs();
    if stubs.handles >= limits::STUB_HANDLES_MAX {
        return Err(StubFault::Handles.into());
    }
    stubs.handles += 1;
    Ok(Resource::new_own(rep))
}

fn link_rest<T: Stubbed>(
    linker: &mut LinkerInstance<'_, T>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<bool> {
    match (interface, name) {
        ("cli/exit", "exit") => linker.func_wrap(
            name,
            |_: StoreContextMut<'_, T>, (status,): (Result<(), ()>,)| -> wasmtime::Result<()> {
                Err(StubFault::Exit(u8::from(status.is_err())).into())
            },
        ),
        ("cli/exit", "exit-with-code") => linker.func_wrap(
            name,
            |_: StoreContextMut<'_, T>, (code,): (u8,)| -> wasmtime::Result<()> {
                Err(StubFault::Exit(code).into())
            },
        ),
        ("sockets/instance-network", "instance-network") => linker
            .func_wrap(name, |mut store: StoreContextMut<'_, T>, (): ()| {
                Ok((give::<T, Network>(&mut store, 0)?,))
            }),
        _ => return Ok(false),
    }?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_listed_is_answered_in_any_0_2() {
        let known = |name| interface(name).is_some();
        for (name, want) in [
            ("wasi:clocks/wall-clock@0.2.0", true),
            ("wasi:clocks/wall-clock@0.2.12", true),
            ("wasi:clocks/wall-clock@0.2.0-rc-2023-11-10", false),
            ("wasi:clocks/wall-clock@0.2.", false),
            ("wasi:clocks/wall-clock@0.3.0", false),
            ("wasi:clocks/wall-clock", false),
            ("wasi:clocks/timezone@0.2.0", false),
            ("wasi:http/outgoing-handler@0.2.0", false),
            ("other:clocks/wall-clock@0.2.0", false),
        ] {
            assert_eq!(known(name), want, "{name}");
        }
    }
}
