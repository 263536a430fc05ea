//! The three standard streams: stdin is at its end, and what is written to the others becomes lines
//! of the job's log.

use super::{Stubbed, clocks, give};
use streamhost_core::contract::truncate;
use streamhost_core::limits;
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentType, LinkerInstance, Lower, Resource};

/// What is read from: stdin alone.
pub(super) struct Input;
/// What is written to.
pub(super) struct Output;
/// Why a stream failed: none ever does.
pub(super) struct Failure;

/// Where something is written to.
#[derive(Clone, Copy)]
pub(super) enum Standard {
    Out,
    Err,
}

impl Standard {
    /// That of a stream's number.
    fn of(rep: u32) -> Self {
        match rep {
            0 => Standard::Out,
            _ => Standard::Err,
        }
    }

    /// A program that goes on writes warnings to stderr: what it ends with is told as the reason.
    fn level(self) -> tracing::Level {
        match self {
            Standard::Out => tracing::Level::INFO,
            Standard::Err => tracing::Level::WARN,
        }
    }
}

/// Why a stream gives no more.
#[derive(ComponentType, Lower)]
#[component(variant)]
enum StreamError {
    #[expect(dead_code, reason = "WASI has this case, and no stream of a job fails")]
    #[component(name = "last-operation-failed")]
    LastOperationFailed(Resource<Failure>),
    #[component(name = "closed")]
    Closed,
}

/// What was written to a stream.
#[derive(Default)]
pub(super) struct Written {
    /// Of a line that has no end yet, as much as a line may have.
    begun: Vec<u8>,
    /// The lines of this call, as far as a reason has room.
    said: String,
}

impl Written {
    /// A call begins.
    pub(super) fn begin(&mut self) {
        self.begun.clear();
        self.said.clear();
    }

    /// The lines of this call.
    pub(super) fn said(&self) -> String {
        self.said.clone()
    }

    /// Takes bytes, and gives the lines that end in them.
    fn take(&mut self, bytes: &[u8], mut line: impl FnMut(String)) {
        let mut parts = bytes.split(|&byte| byte == b'\n');
        self.begin_line(parts.next().unwrap_or_default());
        for part in parts {
            self.end_line(&mut line);
            self.begin_line(part);
        }
    }

    fn begin_line(&mut self, bytes: &[u8]) {
        let room = limits::LOG_LINE_BYTES_MAX.saturating_sub(self.begun.len());
        self.begun
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// An empty line says nothing, and is left out.
    fn end_line(&mut self, line: &mut impl FnMut(String)) {
        let text = String::from_utf8_lossy(&self.begun).trim_end().to_owned();
        self.begun.clear();
        if text.is_empty() {
            return;
        }
        let half = limits::REASON_BYTES_MAX / 2;
        if self.said.len() < half {
            let between = if self.said.is_empty() { "" } else { " | " };
            self.said.push_str(between);
            self.said
                .push_str(&truncate(text.trim_start().to_owned(), half));
        }
        line(text);
    }
}

fn write<T: Stubbed>(state: &mut T, standard: Standard, bytes: &[u8]) {
    let mut written = std::mem::take(state.stubs().written(standard));
    written.take(bytes, |line| state.line(standard.level(), line));
    *state.stubs().written(standard) = written;
}

/// Ends the lines that have no end.
pub(super) fn flush<T: Stubbed>(state: &mut T) {
    for standard in [Standard::Out, Standard::Err] {
        if !state.stubs().written(standard).begun.is_empty() {
            write(state, standard, b"\n");
        }
    }
}

/// Links a function, if it is one of streams.
pub(super) fn link<T: Stubbed>(
    linker: &mut LinkerInstance<'_, T>,
    interface: &str,
    name: &str,
) -> wasmtime::Result<bool> {
    match (interface, name) {
        ("cli/stdin", "get-stdin") => linker
            .func_wrap(name, |mut store: StoreContextMut<'_, T>, (): ()| {
                Ok((give::<T, Input>(&mut store, 0)?,))
            }),
        ("cli/stdout", "get-stdout") => link_standard(linker, name, Standard::Out),
        ("cli/stderr", "get-stderr") => link_standard(linker, name, Standard::Err),
        ("io/error", "[method]error.to-debug-string") => linker.func_wrap(
            name,
            |_: StoreContextMut<'_, T>, (_,): (Resource<Failure>,)| {
                Ok(("nothing failed".to_owned(),))
            },
        ),
        ("io/streams", name) => {
            return Ok(link_input(linker, name)?
                || link_output(linker, name)?
                || link_more_output(linker, name)?);
        }
        _ => return Ok(false),
    }?;
    Ok(true)
}

fn link_standard<T: Stubbed>(
    linker: &mut LinkerInstance<'_, T>,
    name: &str,
    standard: Standard,
) -> wasmtime::Result<()> {
    linker.func_wrap(name, move |mut store: StoreContextMut<'_, T>, (): ()| {
        Ok((give::<T, Output>(&mut store, standard as u32)?,))
    })
}

/// Reading meets the end.
fn link_input<T: Stubbed>(
    linker: &mut LinkerInstance<'_, T>,
    name: &str,
) -> wasmtime::Result<bool> {
    type Counted = (Resource<Input>, u64);
    match name {
        "[method]input-stream.read" | "[method]input-stream.blocking-read" => {
            linker.func_wrap(name, |_: StoreContextMut<'_, T>, (_, _): Counted| {
                Ok((Err::<Vec<u8>, _>(StreamError::Closed),))
            })
        }
        "[method]input-stream.skip" | "[method]input-stream.blocking-skip" => linker
            .func_wrap(name, |_: StoreContextMut<'_, T>, (_, _): Counted| {
                Ok((Err::<u64, _>(StreamError::Closed),))
            }),
        "[method]input-stream.subscribe" => linker.func_wrap(
            name,
            |mut store: StoreContextMut<'_, T>, (_,): (Resource<Input>,)| {
                clocks::due_now(&mut store)
            },
        ),
        _ => return Ok(false),
    }?;
    Ok(true)
}

type Done = (Result<(), StreamError>,);

fn link_output<T: Stubbed>(
    linker: &mut LinkerInstance<'_, T>,
    name: &str,
) -> wasmtime::Result<bool> {
    match name {
        "[method]output-stream.check-write" => linker.func_wrap(
            name,
            |_: StoreContextMut<'_, T>, (_,): (Resource<Output>,)| {
                Ok((Ok::<_, StreamError>(limits::STUB_WRITE_BYTES_MAX),))
            },
        ),
        "[method]output-stream.write" | "[method]output-stream.blocking-write-and-flush" => linker
            .func_wrap(
                name,
                |mut store: StoreContextMut<'_, T>,
                 (stream, bytes): (Resource<Output>, Vec<u8>)|
                 -> wasmtime::Result<Done> {
                    write(store.data_mut(), Standard::of(stream.rep()), &bytes);
                    Ok((Ok(()),))
                },
            ),
        "[method]output-stream.flush" | "[method]output-stream.blocking-flush" => linker.func_wrap(
            name,
            |_: StoreContextMut<'_, T>, (_,): (Resource<Output>,)| -> wasmtime::Result<Done> {
                Ok((Ok(()),))
            },
        ),
        "[method]output-stream.subscribe" => linker.func_wrap(
            name,
            |mut store: StoreContextMut<'_, T>, (_,): (Resource<Output>,)| {
                clocks::due_now(&mut store)
            },
        ),
        _ => return Ok(false),
    }?;
    Ok(true)
}

/// Zeros are no text, and are dropped; nothing can be had from an input to be written on.
fn link_more_output<T: Stubbed>(
    linker: &mut LinkerInstance<'_, T>,
    name: &str,
) -> wasmtime::Result<bool> {
    match name {
        "[method]output-stream.write-zeroes"
        | "[method]output-stream.blocking-write-zeroes-and-flush" => linker.func_wrap(
            name,
            |_: StoreContextMut<'_, T>,
             (_, _): (Resource<Output>, u64)|
             -> wasmtime::Result<Done> { Ok((Ok(()),)) },
        ),
        "[method]output-stream.splice" | "[method]output-stream.blocking-splice" => linker
            .func_wrap(
                name,
                |_: StoreContextMut<'_, T>, (_, _, _): (Resource<Output>, Resource<Input>, u64)| {
                    Ok((Err::<u64, _>(StreamError::Closed),))
                },
            ),
        _ => return Ok(false),
    }?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that come of these writes, and what is said in a reason.
    fn lines(writes: &[&[u8]]) -> (Vec<String>, String) {
        let mut written = Written::default();
        let mut lines = Vec::new();
        for bytes in writes {
            written.take(bytes, |line| lines.push(line));
        }
        (lines, written.said())
    }

    #[test]
    fn what_is_written_is_cut_into_lines() {
        let (found, said) = lines(&[b"one\ntw", b"o\r\n\n\n  three", b"\n", b"no end"]);
        assert_eq!(found, ["one", "two", "  three"]);
        assert_eq!(said, "one | two | three");
        assert_eq!(lines(&[b"\xff\n"]).0, ["\u{fffd}"]);
    }

    #[test]
    fn a_line_and_a_reason_have_an_end() {
        let long = vec![b'x'; 10 * limits::LOG_LINE_BYTES_MAX];
        let (found, said) = lines(&[&long, &long, b"\nshort\n", &long, b"\n"]);
        let lengths: Vec<usize> = found.iter().map(String::len).collect();
        let most = limits::LOG_LINE_BYTES_MAX;
        assert_eq!(lengths, [most, 5, most]);
        assert!(said.len() <= limits::REASON_BYTES_MAX, "{}", said.len());
        assert!(said.starts_with("xx"), "{said}");
    }
}
