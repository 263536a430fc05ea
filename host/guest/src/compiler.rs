//! Compiles in a process of its own: what a component does to the compiler ends that process, not
//! the host.
//!
//! ```text
//! host ─► the component, on stdin ─► `streamhost compile-component`: limits, wrap, check, compile
//!      ◄─ code on stdout and exit 0, or words on stdout and exit 3 ◄─┘
//! ```

use crate::{LoadError, compile_here};
use bytesize::ByteSize;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use streamhost_core::{clock, limits};

/// The verb of the command line that compiles.
pub const VERB: &str = "compile-component";
/// The process has refused the component, in words.
const REFUSED: u8 = 3;
/// What the process may say when it breaks.
const WORDS_BYTES_MAX: u64 = 4096;
/// Threads that compile one component's functions.
const THREADS: &str = "2";

/// Whether what was asked is still wanted.
pub type Wanted<'a> = &'a dyn Fn() -> bool;

/// Where components are compiled.
pub enum Compiler {
    /// On the caller's thread, without limits: for components that are trusted, as in benches.
    Here,
    /// By this program's verb [`VERB`], within limits.
    Process(Program),
}

/// A program that compiles, and how often it runs at once.
pub struct Program {
    path: PathBuf,
    running: Mutex<usize>,
    ended: Condvar,
}

impl Compiler {
    /// Compiles by the program at `path`, which has the verb [`VERB`].
    pub fn process(path: PathBuf) -> Self {
        Compiler::Process(Program {
            path,
            running: Mutex::new(0),
            ended: Condvar::new(),
        })
    }

    /// Compiles by the program that runs, which has the verb [`VERB`].
    pub fn this_program() -> io::Result<Self> {
        // By this path it is the same program even where its file was replaced.
        let own = PathBuf::from("/proc/self/exe");
        let path = if own.exists() {
            own
        } else {
            std::env::current_exe()?
        };
        Ok(Compiler::process(path))
    }

    /// The code of a file that was deployed: a component, or a module that is wrapped.
    pub(crate) fn compile(
        &self,
        engine: &wasmtime::Engine,
        file: &[u8],
        wanted: Wanted<'_>,
    ) -> Result<Vec<u8>, LoadError> {
        match self {
            Compiler::Here => compile_here(engine, file.to_vec()),
            Compiler::Process(program) => program.compile(file, wanted),
        }
    }
}

impl Program {
    fn compile(&self, file: &[u8], wanted: Wanted<'_>) -> Result<Vec<u8>, LoadError> {
        let _turn = self.turn(wanted)?;
        let broken = |error: io::Error| {
            LoadError::Compiler(format!("its process cannot be started: {error}"))
        };
        let child = Command::new(&self.path)
            .arg(VERB)
            .env_clear()
            .env("RAYON_NUM_THREADS", THREADS)
            // Each one takes address space.
            .env("MALLOC_ARENA_MAX", THREADS)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(broken)?;
        let mut child = Killed(child);
        let said =
            read(child.0.stdout.take(), limits::COMPILED_BYTES_MAX as u64 + 1).map_err(broken)?;
        let words = read(child.0.stderr.take(), WORDS_BYTES_MAX).map_err(broken)?;
        let input = child.0.stdin.take();
        let ended = thread::scope(|scope| {
            scope.spawn(move || {
                // It ends early where the process does, which says why.
                input.map(|mut input| input.write_all(file))
            });
            let ended = child.wait(wanted);
            drop(child); // or the writer would wait for one that reads nothing
            ended
        })?;
        judge(ended, taken(said), &String::from_utf8_lossy(&taken(words)))
    }

    /// Waits until fewer than [`limits::COMPILES_MAX`] run.
    fn turn(&self, wanted: Wanted<'_>) -> Result<Turn<'_>, LoadError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        while *running >= limits::COMPILES_MAX {
            if !wanted() {
                return Err(LoadError::Unwanted);
            }
            let waited = self.ended.wait_timeout(running, limits::LOOK_TIME);
            running = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        *running += 1;
        Ok(Turn(self))
    }
}

/// One of the processes that may run at once.
struct Turn<'a>(&'a Program);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self
            .0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.ended.notify_one();
    }
}

/// A process that does not outlive this.
struct Killed(Child);

impl Killed {
    /// Waits for its end, as long as it may take and is wanted.
    fn wait(&mut self, wanted: Wanted<'_>) -> Result<ExitStatus, LoadError> {
        let began = clock::monotonic();
        loop {
            match self.0.try_wait() {
                Ok(Some(ended)) => return Ok(ended),
                Ok(None) => {}
                Err(error) => return Err(LoadError::Compiler(error.to_string())),
            }
            if !wanted() {
                return Err(LoadError::Unwanted);
            }
            if clock::since(began) > limits::COMPILE_TIME {
                return Err(too_long());
            }
            thread::sleep(limits::LOOK_TIME);
        }
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail where it has ended, and then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Reads on a thread of its own: the process may have more to say than a pipe holds.
fn read<R: Read + Send + 'static>(from: Option<R>, most: u64) -> io::Result<JoinHandle<Vec<u8>>> {
    thread::Builder::new()
        .name("compiled".to_owned())
        .spawn(move || {
            let mut bytes = Vec::new();
            if let Some(from) = from {
                // Where it breaks off, the process's end says why.
                let _ = from.take(most).read_to_end(&mut bytes);
            }
            bytes
        })
}

fn taken(reading: JoinHandle<Vec<u8>>) -> Vec<u8> {
    reading.join().unwrap_or_default()
}

/// What the process's end means.
fn judge(ended: ExitStatus, said: Vec<u8>, words: &str) -> Result<Vec<u8>, LoadError> {
    use std::os::unix::process::ExitStatusExt;
    let refused = |why: String| Err(LoadError::Refused(why));
    let is_refused = ended.code() == Some(i32::from(REFUSED));
    let reason = match is_refused {
        true => String::from_utf8_lossy(&said).into_owned(),
        false => words.to_owned(),
    };
    let no_memory = ["memory allocation of", "os error 12"];
    if !ended.success() && no_memory.iter().any(|sign| reason.contains(sign)) {
        return refused(format!(
            "the component takes more than {} to compile: make it smaller, or split the job",
            ByteSize::b(limits::COMPILE_MEMORY_BYTES_MAX).display()
        ));
    }
    match (ended.code(), ended.signal()) {
        (Some(0), _) if said.len() > limits::COMPILED_BYTES_MAX => refused(format!(
            "the component's code is larger than {}: make it smaller, or split the job",
            ByteSize::b(limits::COMPILED_BYTES_MAX as u64).display()
        )),
        (Some(0), _) => Ok(said),
        _ if is_refused => refused(reason),
        (_, Some(SIGXCPU)) => Err(too_long()),
        (_, Some(SIGKILL)) => refused(
            "the component takes more memory to compile than this machine has left".to_owned(),
        ),
        _ if words.contains("overflowed its stack") => refused(
            "the component nests too deeply to be compiled: write it with the streamhost SDK"
                .to_owned(),
        ),
        _ => refused(format!(
            "the compiler broke on the component ({ended}): {}",
            words.lines().next().unwrap_or("without a word")
        )),
    }
}

/// The signal by which a process ends that took too much of the processors' time.
const SIGXCPU: i32 = 24;
/// The one by which the system ends a process when its memory runs out.
const SIGKILL: i32 = 9;

fn too_long() -> LoadError {
    LoadError::Refused(format!(
        "the component takes more than {} s to compile: make it smaller, or split the job",
        limits::COMPILE_TIME.as_secs()
    ))
}

/// The verb [`VERB`]: compiles what stands on stdin within limits, and writes its code to `out`, or
/// words and another exit code.
pub fn serve(out: &mut dyn Write) -> ExitCode {
    match limit_this_process().and_then(|()| compile_stdin()) {
        Ok(Ok(code)) => match out.write_all(&code).and_then(|()| out.flush()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE, // who asked has gone
        },
        Ok(Err(error)) => {
            let _ = write!(out, "{error}").and_then(|()| out.flush());
            ExitCode::from(REFUSED)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn limit_this_process() -> io::Result<()> {
    let cpu = limits::COMPILE_TIME.as_secs();
    let memory = limits::COMPILE_MEMORY_BYTES_MAX;
    rlimit::setrlimit(rlimit::Resource::CORE, 0, 0)?;
    rlimit::setrlimit(rlimit::Resource::CPU, cpu, cpu + 1)?; // at the first one it is told apart
    rlimit::setrlimit(rlimit::Resource::AS, memory, memory)
}

/// On a thread with a stack for what may nest.
fn compile_stdin() -> io::Result<Result<Vec<u8>, LoadError>> {
    let mut file = Vec::new();
    let most = limits::COMPONENT_BYTES_MAX as u64;
    io::stdin().lock().take(most + 1).read_to_end(&mut file)?;
    let compile = move || {
        let engine = crate::engine().map_err(|error| LoadError::Compiler(format!("{error:#}")))?;
        compile_here(&engine, file)
    };
    let compiling = thread::Builder::new()
        .name("compile".to_owned())
        .stack_size(limits::COMPILE_STACK_BYTES)
        .spawn(compile)?;
    compiling
        .join()
        .map_err(|_| io::Error::other("the compiler panicked"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn each_end_of_the_process_has_its_words() {
        let exit = |code: u8| ExitStatus::from_raw(i32::from(code) << 8);
        let signal = ExitStatus::from_raw;
        let cases = [
            (exit(REFUSED), "no job", "", "no job"),
            (
                exit(REFUSED),
                "mmap: (os error 12)",
                "",
                "more than 1.0 GiB",
            ),
            (
                signal(6),
                "",
                "memory allocation of 9 bytes failed",
                "more than 1.0 GiB",
            ),
            (
                signal(6),
                "",
                "\nthread 'x' has overflowed its stack",
                "nests too deeply",
            ),
            (signal(SIGXCPU), "", "", "more than 60 s"),
            (signal(SIGKILL), "", "", "than this machine has left"),
            (signal(11), "", "", "the compiler broke on the component"),
            (
                exit(101),
                "",
                "thread panicked: why",
                "thread panicked: why",
            ),
        ];
        for (ended, said, words, expected) in cases {
            match judge(ended, said.as_bytes().to_vec(), words) {
                Err(LoadError::Refused(told)) => assert!(told.contains(expected), "{told}"),
                other => panic!("{ended}: {other:?}"),
            }
        }
        let code = judge(exit(0), b"code".to_vec(), "a warning");
        assert!(matches!(code, Ok(code) if code == b"code"));
    }
}
