//! Parameters: what a deployment tells a job.

use std::time::Duration;

/// A value that a deployment may set: `--set param.NAME=VALUE`, and else `default`. It is asked for
/// in the job's function, never in a closure, so that the job says at its deploy which parameters it
/// has, of which types; what is set is held against that. A value that changes makes a new version.
///
/// ```
/// use streamhost::{Job, Record, console, fields, job, kafka, param, testing};
///
/// fn parse(record: Record<'_>) -> Result<(&str, u64), String> {
///     let [item, quantity] = fields(record.text()?, ',')?;
///     Ok((item, quantity.parse().map_err(|e| format!("quantity: {e}"))?))
/// }
///
/// #[job]
/// fn large() -> Job {
///     let least = param::<u64>("min-quantity", 5);
///     kafka("orders")
///         .try_map(parse)
///         .filter(move |(_, quantity)| *quantity >= least)
///         .map(|(item, _)| item)
///         .to(console())
/// }
///
/// let mut job = testing::run(large);
/// job.send("orders", ["tea,7", "pot,4"]);
/// assert_eq!(job.rows("console"), ["value=tea"]);
///
/// let mut job = testing::run_with(large, &[("min-quantity", "3")]);
/// job.send("orders", ["tea,7", "pot,4"]);
/// assert_eq!(job.rows("console"), ["value=tea", "value=pot"]);
/// ```
///
/// A name has 1 to 64 letters, digits, `-`, `_` and `.`; a job has 64 parameters at most. Where two
/// parts of a job need a value, ask once and hand it on. What a parameter decides must fit what is
/// kept: a window's length that changes is refused at the deploy, as any other change of it.
///
/// Panics where a value is beyond the type, such as 300 for a `u8`: the deploy is refused with these
/// words.
pub fn param<T: Parameter>(name: &str, default: T) -> T {
    let text = get(name, T::KIND, default.to_text());
    T::of_text(&text).unwrap_or_else(|| {
        let what = std::any::type_name::<T>();
        panic!("`param.{name}={text}` is no {what}: set another value")
    })
}

/// What a [`param`] may be: an integer, an `f64`, a `bool`, a `String`, or a [`Duration`] of whole
/// milliseconds, which is set as `90s` or `5m`.
#[diagnostic::on_unimplemented(
    message = "a parameter cannot be a `{Self}`",
    label = "no parameter's type",
    note = "parameters are integers up to 64 bits, `f64`, `bool`, `String` and `Duration`; read others from a `String`"
)]
pub trait Parameter: Sized {
    /// The number of its kind in the contract.
    const KIND: u8;
    /// The value as it crosses.
    fn to_text(&self) -> String;
    /// A value that has crossed. None: it is beyond the type.
    fn of_text(text: &str) -> Option<Self>;
}

macro_rules! plain {
    ($($kind:literal: $($own:ty)*;)*) => { $($(
        impl Parameter for $own {
            const KIND: u8 = $kind;
            fn to_text(&self) -> String {
                self.to_string()
            }
            fn of_text(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        }
    )*)* };
}
plain! {
    0: String;
    1: i8 i16 i32 i64 isize;
    2: u8 u16 u32 u64 usize;
    3: f64;
    4: bool;
}

impl Parameter for Duration {
    const KIND: u8 = 5;
    fn to_text(&self) -> String {
        self.as_millis().to_string()
    }
    fn of_text(text: &str) -> Option<Self> {
        text.parse().ok().map(Duration::from_millis)
    }
}

#[cfg(target_family = "wasm")]
fn get(name: &str, kind: u8, default: String) -> String {
    crate::bindings::streamhost::job::parameters::get(name, kind, &default)
}

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::told;

#[cfg(not(target_family = "wasm"))]
use native::get;

/// The host's part, in tests.
#[cfg(not(target_family = "wasm"))]
mod native {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use streamhost_core::job::{ParameterDescription, ParameterKind};

    /// What a job is told, and what it has asked for.
    #[derive(Default)]
    struct Told {
        set: BTreeMap<String, String>,
        asked: Vec<ParameterDescription>,
    }

    thread_local! {
        static TOLD: RefCell<Told> = RefCell::default();
    }

    /// Runs a job that is told this, and says what it has asked for.
    pub(crate) fn told<T>(
        set: BTreeMap<String, String>,
        f: impl FnOnce() -> T,
    ) -> (T, Vec<ParameterDescription>) {
        let told = Told {
            set,
            asked: Vec::new(),
        };
        let before = TOLD.replace(told);
        let result = f();
        let told = TOLD.replace(before);
        (result, told.asked)
    }

    pub(super) fn get(name: &str, kind: u8, default: String) -> String {
        TOLD.with_borrow_mut(|told| {
            let value = told.set.get(name).and_then(|value| {
                let kind = ParameterKind::of_number(kind).ok()?;
                kind.for_component(value).ok()
            });
            let value = value.unwrap_or_else(|| default.clone());
            let parameter = ParameterDescription {
                name: name.into(),
                kind,
                default,
            };
            if !told.asked.contains(&parameter) {
                told.asked.push(parameter);
            }
            value
        })
    }
}
