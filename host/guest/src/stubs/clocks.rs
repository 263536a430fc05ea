//! The clocks, and what may be waited for. Nothing waits: the monotonic clock moves to when it is
//! due.

use super::{StubFault, Stubbed, Stubs, give};
use streamhost_core::limits;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, LinkerInstance, Lower, Resource};

/// What may be waited for. Its number says when it is due, or that it is now.
pub(super) struct Pollable;
/// The number of all that are due as soon as they are there.
const DUE: u32 = 0;

/// A time since 1970.
#[derive(Clone, Copy, ComponentType, Lower)]
#[component(record)]
struct Datetime {
    seconds: u64,
    nanoseconds: u32,
}

const RESOLUTION_NS: u64 = 1_000_000; // batches have their times in milliseconds

impl Stubs {
    fn now(&self) -> Datetime {
        Datetime {
            seconds: self.wall_ms / 1000,
            nanoseconds: (self.wall_ms % 1000) as u32 * 1_000_000,
        }
    }

    fn due_at(&self, pollable: &Resource<Pollable>) -> u64 {
        self.due_ns.get(&pollable.rep()).copied().unwrap_or(0)
    }

    /// Waits for one, which is to say that its time has come.
    fn wait(&mut self, pollable: &Resource<Pollable>) {
        self.monotonic_ns = self.monotonic_ns.max(self.due_at(pollable));
    }

    /// Waits for the first of them, and gives the places of all that are due then.
    fn wait_for_any(&mut self, all: &[Resource<Pollable>]) -> Result<Vec<u32>, StubFault> {
        let dues = all.iter().map(|pollable| self.due_at(pollable));
        let first = dues.min().ok_or(StubFault::NothingToWaitFor)?;
        self.monotonic_ns = self.monotonic_ns.max(first);
        let places = (0..).zip(all);
        Ok(places
            .filter(|(_, pollable)| self.due_at(pollable) <= self.monotonic_ns)
            .map(|(place, _)| place)
            .collect())
    }
}

/// One that is due at once, such as a stream's.
pub(super) fn due_now<T: Stubbed>(
    store: &mut StoreContextMut<'_, T>,
) -> wasmtime::Result<(Resource<Pollable>,)> {
    Ok((give(store, DUE)?,))
}

/// One that is due then.
fn due_at<T: Stubbed>(
    store: &mut StoreContextMut<'_, T>,
    at_ns: impl FnOnce(u64) -> u64,
) -> wasmtime::Result<(Resource<Pollable>,)> {
    let stubs = store.data_mut().stubs();
    let at_ns = at_ns(stubs.monotonic_ns);
    // There are fewer of them than handles, so one of these numbers is free.
    let mut numbers = DUE + 1..=limits::STUB_HANDLES_MAX as u32;
    let number = numbers.find(|number| !stubs.due_ns.contains_key(number));
    let number = number.ok_or(StubFault::Handles)?;
    let pollable = give(store, number)?;
    store.data_mut().stubs().due_ns.insert(number, at_ns);
    Ok((pollable,))
}

/// Links a function, if it is one of clocks or of waiting.
pub(super) fn link<T: Stubbed>(
    linker: &mut LinkerInstance<'_, T>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<bool> {
    match interface {
        "clocks/wall-clock" => link_wall(linker, name),
        "clocks/monotonic-clock" => link_monotonic(linker, name),
        "io/poll" => link_poll(linker, name),
        _ => Ok(false),
    }
}

fn link_wall<T: Stubbed>(linker: &mut LinkerInstance<'_, T>, name: &str) -> wasmtime::Result<bool> {
    match name {
        "now" => linker.func_wrap(name, |mut store: StoreContextMut<'_, T>, (): ()| {
            Ok((store.data_mut().stubs().now(),))
        }),
        "resolution" => linker.func_wrap(name, |_: StoreContextMut<'_, T>, (): ()| {
            Ok((Datetime {
                seconds: 0,
                nanoseconds: RESOLUTION_NS as u32,
            },))
        }),
        _ => return Ok(false),
    }?;
    Ok(true)
}

fn link_monotonic<T: Stubbed>(
    linker: &mut LinkerInstance<'_, T>,
    name: &str,
) -> wasmtime::Result<bool> {
    match name {
        "now" => linker.func_wrap(name, |mut store: StoreContextMut<'_, T>, (): ()| {
            Ok((store.data_mut().stubs().monotonic_ns,))
        }),
        "resolution" => linker.func_wrap(name, |_: StoreContextMut<'_, T>, (): ()| {
            Ok((RESOLUTION_NS,))
        }),
        "subscribe-instant" => linker.func_wrap(
            name,
            |mut store: StoreContextMut<'_, T>, (when,): (u64,)| due_at(&mut store, |_| when),
        ),
        "subscribe-duration" => linker.func_wrap(
            name,
            |mut store: StoreContextMut<'_, T>, (long,): (u64,)| {
                due_at(&mut store, |now| now.saturating_add(long))
            },
        ),
        _ => return Ok(false),
    }?;
    Ok(true)
}

fn link_poll<T: Stubbed>(linker: &mut LinkerInstance<'_, T>, name: &str) -> wasmtime::Result<bool> {
    type One = (Resource<Pollable>,);
    match name {
        "[method]pollable.ready" => linker.func_wrap(
            name,
            |mut store: StoreContextMut<'_, T>, (pollable,): One| {
                let stubs = store.data_mut().stubs();
                Ok((stubs.due_at(&pollable) <= stubs.monotonic_ns,))
            },
        ),
        "[method]pollable.block" => linker.func_wrap(
            name,
            |mut store: StoreContextMut<'_, T>, (pollable,): One| {
                store.data_mut().stubs().wait(&pollable);
                Ok(())
            },
        ),
        "poll" => linker.func_wrap(
            name,
            |mut store: StoreContextMut<'_, T>, (all,): (Vec<Resource<Pollable>>,)| {
                Ok((store.data_mut().stubs().wait_for_any(&all)?,))
            },
        ),
        _ => return Ok(false),
    }?;
    Ok(true)
}
