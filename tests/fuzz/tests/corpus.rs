//! Each target's corpus, and mutations of it drawn from a seed: `STREAMHOST_SEED=7` replays a run.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use streamhost_fuzz::{TARGETS, Target};

const SEED: u64 = 0x5eed;

/// What a mutation writes over a number: edges of lengths and counts.
const EDGES: [&[u8]; 6] = [
    &[0xff; 4],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0; 4],
    &[0x80, 0, 0, 0],
    b"9223372036854775808",
    "\u{202e}\u{0}".as_bytes(),
];

/// Panics on any thread, those of the host included.
static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Small, fast, and the same everywhere: xorshift.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % below.max(1) as u64) as usize
    }

    fn mutate(&mut self, input: &mut Vec<u8>, others: &[Vec<u8>]) {
        let at = self.roll(input.len() + 1);
        match self.roll(6) {
            0 if at < input.len() => input[at] ^= 1 << self.roll(8),
            1 if at < input.len() => input[at] = self.roll(256) as u8,
            2 => drop(input.splice(at..at, [self.roll(256) as u8])),
            3 => {
                let end = (at + self.roll(16)).min(input.len());
                input.drain(at..end);
            }
            4 => {
                let edge = EDGES[self.roll(EDGES.len())];
                let end = (at + self.roll(5)).min(input.len());
                drop(input.splice(at..end, edge.iter().copied()));
            }
            _ => {
                let other = &others[self.roll(others.len())];
                let from = self.roll(other.len());
                let part = &other[from..(from + self.roll(64)).min(other.len())];
                drop(input.splice(at..at, part.iter().copied()));
            }
        }
    }
}

fn corpus(target: &Target) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target.name);
    let files = std::fs::read_dir(&folder).expect("each target has a corpus");
    let mut files: Vec<_> = files
        .map(|file| file.expect("it can be read").path())
        .map(|path| (path.clone(), std::fs::read(path).expect("it can be read")))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}

/// Runs an input; what breaks is kept beside the build, to be replayed and added to the corpus.
fn holds(target: &Target, input: &[u8], what: &str) {
    let before = PANICS.load(Ordering::SeqCst);
    let ran = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    if ran.is_ok() && PANICS.load(Ordering::SeqCst) == before {
        return;
    }
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.input", target.name));
    std::fs::write(&kept, input).expect("it can be kept");
    panic!("{}: {what} breaks it: {}", target.name, kept.display());
}

/// Counts panics of all threads; one of a thread of the host ends no test by itself.
static COUNTED: Once = Once::new();

fn check(name: &str) {
    COUNTED.call_once(|| {
        let told = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let thread = std::thread::current();
            // A test's own thread is named after its target, and is judged by what it returns.
            let is_own = thread
                .name()
                .is_some_and(|name| streamhost_fuzz::named(name).is_some());
            PANICS.fetch_add(usize::from(!is_own), Ordering::SeqCst);
            told(info);
        }));
    });
    let target = streamhost_fuzz::named(name).expect("it is a target");
    let files = corpus(target);
    for (path, input) in &files {
        holds(target, input, &path.display().to_string());
    }
    let inputs: Vec<_> = files.into_iter().map(|(_, input)| input).collect();
    let seed = std::env::var("STREAMHOST_SEED").ok();
    let seed = seed.and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    let mut dice = Dice(seed | 1);
    for number in 0..target.mutations {
        let mut input = inputs[dice.roll(inputs.len())].clone();
        for _ in 0..=dice.roll(8) {
            dice.mutate(&mut input, &inputs);
        }
        holds(
            target,
            &input,
            &format!("mutation {number} of STREAMHOST_SEED={seed}"),
        );
    }
}

macro_rules! check_all {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                check(stringify!($target));
            }
        )*

        #[test]
        fn no_target_is_left_out() {
            let checked = [$(stringify!($target)),*];
            assert_eq!(TARGETS.map(|target| target.name), checked);
        }
    };
}

check_all!(config settings component records shapes answers gateway broker tables api);
