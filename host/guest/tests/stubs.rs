//! What WASI answers a job: a core module as a compiler for WASI 0.1 leaves it, and components that
//! import 0.2 by themselves.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use streamhost_core::contract::{Answer, GuestFault, Moment};
use streamhost_core::limits;
use streamhost_core::types::{Chunk, NO_TIME_MS, Partition, Record};
use streamhost_engine::guest::{Guest, LinesLeft, LogSink};
use streamhost_guest::{CompiledJob, Compiler, GuestEngine, GuestLimits, Instance, LoadError};
use streamhost_guest::{Parameters, wrap};

/// A job that asks WASI what its records say.
const ASKS: &str = include_str!("../../../tests/guests/asks.wat");
const BATCH_MS: i64 = 1_700_000_000_123;

fn module(text: &str) -> Vec<u8> {
    wat::parse_str(text).expect("it is WebAssembly")
}

fn load(file: &[u8]) -> Result<Arc<CompiledJob>, LoadError> {
    let folder = tempfile::tempdir().expect("a folder");
    let guests = GuestEngine::new(&folder.path().join("cache"), Compiler::Here).expect("an engine");
    guests.load("digest", file, &|| true)
}

/// An instance, and what it logs.
struct Asked {
    instance: Instance,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Asked {
    fn of(loaded: &CompiledJob, job: &str) -> Self {
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&lines);
        let log: LogSink = Arc::new(move |level, line: &str| {
            kept.lock()
                .expect("unpoisoned")
                .push(format!("{level} {line}"));
        });
        let instance = Instance::new(loaded, GuestLimits::default(), log).expect("an instance");
        Asked {
            instance: instance.of_job(job),
            lines,
        }
    }

    /// Runs records from an offset on, in a batch of this time.
    fn run(&mut self, batch_ms: i64, from: i64, values: &[&str]) -> Result<Answer, GuestFault> {
        let mut chunk = Chunk::new(Partition { source: 0, id: 3 });
        for (offset, value) in (from..).zip(values) {
            chunk.push(Record {
                offset,
                time_ms: 1,
                key: None,
                value: Some(value.as_bytes()),
                headers: &[],
            });
        }
        let moment = Moment {
            batch_ms,
            watermark_ms: NO_TIME_MS,
            partition_ms: NO_TIME_MS,
        };
        self.instance
            .transform(0, moment, &chunk, Duration::from_secs(20))
    }

    /// What one record is answered.
    fn ask(&mut self, batch_ms: i64, from: i64, value: &str) -> Vec<u8> {
        let answer = self.run(batch_ms, from, &[value]).expect("an answer");
        let cells: Vec<&[u8]> = answer.rows[0].cells.iter().collect();
        assert_eq!(cells[0], value.as_bytes());
        cells[1].to_vec()
    }

    fn told(&mut self) -> Vec<String> {
        self.instance.tell(&mut LinesLeft::default());
        std::mem::take(&mut self.lines.lock().expect("unpoisoned"))
    }
}

fn numbers(bytes: &[u8]) -> Vec<u64> {
    let (numbers, rest) = bytes.as_chunks();
    assert!(rest.is_empty());
    numbers.iter().map(|&n| u64::from_le_bytes(n)).collect()
}

#[test]
fn a_core_module_of_wasi_0_1_is_a_job_as_it_is() {
    let loaded = load(&module(ASKS)).expect("a job");
    assert!(!loaded.stubbed.is_empty());
    assert_eq!(loaded.stubbed, loaded.imports, "and it imports no more");
    assert!(loaded.minds_cuts());
    let quiet: LogSink = Arc::new(|_, _: &str| {});
    let described = loaded
        .describe(GuestLimits::default(), quiet, &Parameters::default())
        .expect("a description");
    assert_eq!(described.name, "asks");
    assert_eq!(described.sinks[0].columns[0].name, "asked:answer");
}

#[test]
fn clocks_say_the_batchs_time_and_only_sleeps_move_them() {
    let loaded = load(&module(ASKS)).expect("a job");
    let mut asked = Asked::of(&loaded, "j");
    let ns = BATCH_MS as u64 * 1_000_000;
    for _ in 0..2 {
        // Each call begins anew, so that it does not matter which calls an instance had before.
        let found = numbers(&asked.ask(BATCH_MS, 7, "c"));
        assert_eq!(found, [ns, ns + 1, ns + 1 + 5_000_000_000]);
    }
    let found = numbers(&asked.ask(0, 7, "c"));
    assert_eq!(found[..2], [0, 1], "no runtime takes it for a broken clock");
}

#[test]
fn random_numbers_come_again_with_their_call_and_with_no_other() {
    let loaded = load(&module(ASKS)).expect("a job");
    let draw = |job, batch_ms, from, before: &[&str]| {
        let mut asked = Asked::of(&loaded, job);
        for value in before {
            asked.ask(1, 1, value);
        }
        asked.ask(batch_ms, from, "r")
    };
    let one = draw("j", BATCH_MS, 7, &[]);
    assert_eq!(one.len(), 16);
    assert_eq!(one, draw("j", BATCH_MS, 7, &["r", "c", "r"]), "a replay");
    for other in [
        draw("k", BATCH_MS, 7, &[]),
        draw("j", BATCH_MS + 1, 7, &[]),
        draw("j", BATCH_MS, 8, &[]),
    ] {
        assert_ne!(one, other);
    }
    let mut asked = Asked::of(&loaded, "j");
    let answer = asked.run(BATCH_MS, 7, &["r1", "r2"]).expect("an answer");
    let cells: Vec<&[u8]> = answer.rows[0].cells.iter().collect();
    assert_eq!(cells[1], one, "the first record of the call");
    assert_ne!(cells[3], one, "it goes on within the call");
}

#[test]
fn there_are_no_arguments_no_environment_and_no_files() {
    const BADF: u8 = 8;
    let loaded = load(&module(ASKS)).expect("a job");
    let found = Asked::of(&loaded, "j").ask(BATCH_MS, 7, "n");
    assert_eq!(found[..16], [0; 16], "arguments and environment");
    assert_eq!(found[16..18], [BADF, BADF], "a folder, and a file in it");
    assert_eq!(found[18], 0, "stdin can be read");
    assert_eq!(found[20..], [0; 4], "it is at its end");
}

#[test]
fn what_is_written_is_logged_within_bounds() {
    let loaded = load(&module(ASKS)).expect("a job");
    let mut asked = Asked::of(&loaded, "j");
    asked
        .run(BATCH_MS, 7, &["one", "out", "err"])
        .expect("rows");
    assert_eq!(asked.told(), ["INFO one", "INFO out", "WARN err"]);
    asked.run(BATCH_MS, 7, &["flood"]).expect("rows");
    let flood = asked.told();
    let most = limits::LOG_LINES_PER_BATCH_MAX;
    assert_eq!(flood.len(), most + 1);
    assert!(flood[..most].iter().all(|line| line == "WARN flood"));
    assert!(flood[most].contains("lines were left out"), "{flood:?}");
    let long = format!("e{}", "x".repeat(3 * limits::LOG_LINE_BYTES_MAX));
    asked.run(BATCH_MS, 7, &[&long]).expect("rows");
    assert!(asked.told()[0].len() <= limits::LOG_LINE_BYTES_MAX + "WARN ".len());
}

#[test]
fn a_call_that_ends_itself_is_told_in_its_own_words() {
    let loaded = load(&module(ASKS)).expect("a job");
    for (value, want) in [
        ("panicked at 7", "panicked at 7"),
        ("x", "it ended itself by `exit("),
        ("b", "2097152 random bytes at once, of 1048576 at most"),
    ] {
        let mut asked = Asked::of(&loaded, "j");
        let said = asked
            .run(BATCH_MS, 7, &[value])
            .expect_err(value)
            .to_string();
        assert!(said.starts_with(want) || said.contains(want), "{said}");
        assert!(!said.contains('\n'), "{said}");
    }
}

/// The module of a job that does nothing, with these imports and this function, in the contract's
/// world and what `imports` adds to it.
fn component(packages: &str, imports: &str, text: &str) -> Vec<u8> {
    let mut wit = wit_parser::Resolve::default();
    let contract = include_str!("../../../wit/streamhost.wit");
    wit.push_str("streamhost.wit", contract)
        .expect("the contract");
    let world = format!(
        "package test:job; {packages} world job {{ include streamhost:job/job@0.2.0; {imports} }}"
    );
    let package = wit.push_str("job.wit", &world).expect("a world");
    let world = wit
        .select_world(&[package], Some("job"))
        .expect("its world");
    let mut module = module(text);
    let encoding = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &wit, world, encoding, false)
        .expect("it is embedded");
    wrap::wrap(module).expect("a component")
}

/// A module of the contract's form: nothing is called of it but its start.
fn with_start(imports: &str, start: &str) -> String {
    let job = "streamhost:job/guest@0.2.0";
    let words = |count: usize| "i32 ".repeat(count);
    format!(
        "(module {imports} (memory (export \"memory\") 1)
           (func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 4096))
           (func (export \"{job}#describe\") (result i32) {start} (unreachable))
           (func (export \"{job}#transform\") (param i32) (result i32) (unreachable))
           (func (export \"{job}#combine\") (param {}) (result i32) (unreachable))
           (func (export \"{job}#finish\") (param i32) (result i32) (unreachable))
           (func (export \"{job}#process\") (param i32) (result i32) (unreachable))
           (func (export \"{job}#migrate\") (param {}) (result i32) (unreachable)))",
        words(13),
        words(5)
    )
}

#[test]
fn any_0_2_is_met_by_the_types_that_the_component_names() {
    let packages = "package wasi:sockets@0.2.4 {
        interface network { resource network; enum error-code { unknown, access-denied } }
        interface instance-network { use network.{network}; instance-network: func() -> network; }
        interface tcp { resource tcp-socket; }
        interface tcp-create-socket {
          use network.{error-code}; use tcp.{tcp-socket};
          enum family { ipv4, ipv6 }
          create-tcp-socket: func(family: family) -> result<tcp-socket, error-code>;
        }
      }
      package wasi:filesystem@0.2.0 {
        interface types { resource descriptor; }
        interface preopens {
          use types.{descriptor}; get-directories: func() -> list<tuple<descriptor, string>>;
        }
      }";
    let imports = "import wasi:sockets/instance-network@0.2.4;
      import wasi:sockets/tcp-create-socket@0.2.4; import wasi:filesystem/preopens@0.2.0;";
    let text = with_start(
        "(import \"wasi:sockets/instance-network@0.2.4\" \"instance-network\" (func $network (result i32)))
         (import \"wasi:sockets/tcp-create-socket@0.2.4\" \"create-tcp-socket\" (func $socket (param i32 i32)))
         (import \"wasi:filesystem/preopens@0.2.0\" \"get-directories\" (func $folders (param i32)))",
        // A network, a socket that is denied, and no folders.
        "(drop (call $network))
         (call $socket (i32.const 0) (i32.const 64))
         (if (i32.ne (i32.load8_u (i32.const 64)) (i32.const 1)) (then (return (i32.const 0))))
         (if (i32.ne (i32.load8_u (i32.const 68)) (i32.const 1)) (then (return (i32.const 0))))
         (call $folders (i32.const 72))
         (if (i32.load (i32.const 76)) (then (return (i32.const 0))))",
    );
    let loaded = load(&component(packages, imports, &text)).expect("all is answered");
    assert!(!loaded.minds_cuts());
    let said = describe(&loaded);
    assert!(said.contains("unreachable"), "it comes to its end: {said}");
}

fn describe(loaded: &CompiledJob) -> String {
    let quiet: LogSink = Arc::new(|_, _: &str| {});
    let described = loaded.describe(GuestLimits::default(), quiet, &Parameters::default());
    described.expect_err("it does not describe").to_string()
}

#[test]
fn handles_without_end_and_a_wait_for_nothing_end_the_call() {
    let packages = "package wasi:cli@0.2.0 {
        interface stdout { use wasi:io/streams@0.2.0.{output-stream}; get-stdout: func() -> output-stream; }
      }
      package wasi:io@0.2.0 {
        interface streams { resource output-stream; }
        interface poll { resource pollable; poll: func(in: list<borrow<pollable>>) -> list<u32>; }
      }";
    let imports = "import wasi:cli/stdout@0.2.0; import wasi:io/poll@0.2.0;";
    let functions = "(import \"wasi:cli/stdout@0.2.0\" \"get-stdout\" (func $stdout (result i32)))
      (import \"wasi:io/poll@0.2.0\" \"poll\" (func $poll (param i32 i32 i32)))";
    for (start, want) in [
        (
            "(loop $more (drop (call $stdout)) (br $more))",
            "more than 1024 of the host's handles",
        ),
        (
            "(call $poll (i32.const 0) (i32.const 0) (i32.const 64))",
            "waits for nothing at all",
        ),
    ] {
        let text = with_start(functions, start);
        let loaded = load(&component(packages, imports, &text)).expect("all is answered");
        let said = describe(&loaded);
        assert!(said.contains(want), "{said}");
    }
}

#[test]
fn all_else_is_refused_by_name() {
    let wall = "interface wall-clock { now: func() -> string; }";
    for (package, interface, want) in [
        (
            "wasi:http@0.2.0",
            "interface types { f: func(); }",
            "`wasi:http/types@0.2.0`",
        ),
        ("wasi:clocks@0.3.0", wall, "`wasi:clocks/wall-clock@0.3.0`"),
        (
            "other:clocks@0.2.0",
            wall,
            "`other:clocks/wall-clock@0.2.0`",
        ),
        ("wasi:clocks@0.2.0", wall, "what is not WASI 0.2"),
    ] {
        let (name, version) = package.split_once('@').expect("a version");
        let which = if interface.contains("types") {
            "types"
        } else {
            "wall-clock"
        };
        let (function, parameters) = match which {
            "types" => ("f", ""),
            _ => ("now", "(param i32)"),
        };
        let packages = format!("package {package} {{ {interface} }}");
        let imported = format!("{name}/{which}@{version}");
        let text = with_start(
            &format!("(import \"{imported}\" \"{function}\" (func {parameters}))"),
            "",
        );
        let file = component(&packages, &format!("import {imported};"), &text);
        match load(&file) {
            Err(error @ LoadError::Imports(_)) => {
                let said = error.to_string();
                assert!(said.contains(want) && !said.contains('\n'), "{said}");
            }
            other => panic!("{package}: {other:?}"),
        }
    }
}

#[test]
fn several_memories_have_one_limit_together() {
    let pages = |count: usize| count << 16;
    let text = with_start("", "(drop (memory.grow 1 (i32.const 3)))")
        .replace("(memory (export", "(memory 1 1000) (memory (export");
    // The exported one is the second here.
    let text = text.replace("memory.grow 1", "memory.grow 0");
    let loaded = load(&component("", "", &text)).expect("it is compiled");
    let quiet: LogSink = Arc::new(|_, _: &str| {});
    let described = |memory_bytes| {
        let limits = GuestLimits {
            memory_bytes,
            ..GuestLimits::default()
        };
        let described = loaded.describe(limits, quiet.clone(), &Parameters::default());
        described.expect_err("it breaks").to_string()
    };
    assert!(described(pages(5)).contains("unreachable"));
    let said = described(pages(4));
    assert!(
        said.contains("it needs more than 256.0 KiB of memory"),
        "{said}"
    );
    assert!(described(pages(1)).contains("memory"));
}

#[test]
fn components_in_a_component_are_compiled() {
    // Both have a memory, and text crosses: the engine makes a module that copies from the one to
    // the other.
    let text = r#"(component
      (component $inner
        (core module $m (memory (export "memory") 1)
          (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 64))
          (func (export "f") (param i32 i32)))
        (core instance $i (instantiate $m))
        (func (export "f") (param "text" string)
          (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc")))))
      (component $outer
        (import "f" (func $f (param "text" string)))
        (core module $libc (memory (export "memory") 1))
        (core instance $libc (instantiate $libc))
        (core func $f (canon lower (func $f) (memory (core memory $libc "memory"))))
        (core module $m (import "" "f" (func (param i32 i32)))
          (func (export "g") (call 0 (i32.const 0) (i32.const 8))))
        (core instance $m (instantiate $m (with "" (instance (export "f" (func $f))))))
        (func (export "g") (canon lift (core func $m "g"))))
      (instance $inner (instantiate $inner))
      (instance $outer (instantiate $outer (with "f" (func $inner "f"))))
      (export "g" (func $outer "g")))"#;
    match load(&module(text)) {
        Err(LoadError::Exports(_)) => {} // it was compiled, and is no job
        other => panic!("{other:?}"),
    }
}
