//! Why a call came to nothing, in the author's words where there are some.

use crate::stubs::StubFault;
use crate::{GuestLimits, first_line};
use streamhost_core::contract::{GuestFault, truncate};
use streamhost_core::limits;
use wasmtime::Trap;

/// Why a call came to nothing. `panic` is what it said before it broke off.
pub(crate) fn fault(
    error: &wasmtime::Error,
    limits: GuestLimits,
    panic: Option<String>,
) -> GuestFault {
    let frames = frames(error);
    let at = if frames.is_empty() {
        String::new()
    } else {
        format!(" (at {})", frames.join(" < "))
    };
    let text = format!("{error:#}");
    let what = match (error.downcast_ref::<Trap>(), panic) {
        (Some(Trap::Interrupt), _) => {
            return GuestFault::Time {
                limit: limits.time,
                at,
            };
        }
        _ if text.contains("forcing trap when growing memory") => {
            return GuestFault::Memory {
                limit: bytesize::ByteSize(limits.memory_bytes as u64).to_string(),
                at,
            };
        }
        _ if text.contains("fuel allocated for hostcalls has been exhausted") => {
            return GuestFault::Output;
        }
        (Some(Trap::UnreachableCodeReached), Some(panic)) => panic, // which is what a panic ends in
        (Some(trap), _) => format!("{trap}"),
        (None, panic) => match (error.downcast_ref::<StubFault>(), panic) {
            (Some(exit @ StubFault::Exit(_)), Some(panic)) => format!("{exit}: {panic}"),
            (Some(stub), _) => stub.to_string(),
            (None, _) => first_line(error),
        },
    };
    GuestFault::Trap(truncate(format!("{what}{at}"), limits::REASON_BYTES_MAX))
}

/// The innermost functions of the author's, without those of the panic machinery and the allocator.
fn frames(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<wasmtime::WasmBacktrace>() else {
        return Vec::new();
    };
    let names = backtrace
        .frames()
        .iter()
        .filter_map(|frame| frame.func_name())
        .map(plain_name);
    let own = |name: &String| {
        ![
            "panic", "rust_", "__rust", "abort", "core::", "std::", "alloc::", "dlmalloc",
        ]
        .iter()
        .any(|p| name.contains(p))
    };
    names
        .filter(own)
        .take(4)
        .map(|name| truncate(name, 120))
        .collect()
}

/// A function as its author wrote it: demangled, and without the hash behind it, which the linker's
/// own demangling leaves.
fn plain_name(name: &str) -> String {
    let demangled = format!("{:#}", rustc_demangle::demangle(name));
    let is_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    match demangled.rsplit_once("::h") {
        Some((name, hash)) if is_hash(hash) => name.to_owned(),
        _ => demangled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const LIMITS: GuestLimits = GuestLimits {
        memory_bytes: 64 << 20,
        time: Duration::from_secs(2),
    };

    #[test]
    fn functions_have_the_names_that_their_author_gave() {
        for (name, want) in [
            ("_ZN6clicks5parse17h0123456789abcdefE", "clicks::parse"),
            ("_RNvCs1234_6clicks5parse", "clicks::parse"),
            ("clicks::parse::h0123456789abcdef", "clicks::parse"),
            (
                "clicks::parse::{{closure}}::h0123456789abcdef",
                "clicks::parse::{{closure}}",
            ),
            ("clicks::hello", "clicks::hello"),
            ("memcpy", "memcpy"),
        ] {
            assert_eq!(plain_name(name), want);
        }
    }

    #[test]
    fn a_fault_says_what_the_guest_did_and_not_what_it_logged_before() {
        let odd = || Some("odd quantity".to_string());
        let trap = |trap: Trap, panic| fault(&trap.into(), LIMITS, panic).to_string();
        assert_eq!(
            trap(Trap::UnreachableCodeReached, odd()),
            "odd quantity",
            "a panic's words"
        );
        assert!(trap(Trap::UnreachableCodeReached, None).contains("unreachable"));
        assert!(
            trap(Trap::StackOverflow, odd()).contains("stack"),
            "it overflowed after it had logged"
        );
        assert!(trap(Trap::IntegerDivisionByZero, odd()).contains("divide"));
        assert_eq!(
            trap(Trap::Interrupt, odd()),
            "it ran longer than 2s (limits.time)"
        );
        let said = |text: &'static str| fault(&wasmtime::Error::msg(text), LIMITS, odd());
        let memory = said("forcing trap when growing memory to 67174400 bytes").to_string();
        assert_eq!(
            memory,
            "it needs more than 64.0 MiB of memory (limits.memory)"
        );
        assert_eq!(
            said("too much data: fuel allocated for hostcalls has been exhausted"),
            GuestFault::Output
        );
        assert_eq!(
            GuestFault::Output.to_string(),
            "it answered more than 120.0 MiB in one call: make less of it"
        );
        let at = " (at parse < transform)".to_string();
        let slow = GuestFault::Time {
            limit: LIMITS.time,
            at,
        };
        assert_eq!(
            slow.to_string(),
            "it ran longer than 2s (limits.time) (at parse < transform)"
        );
    }
}
