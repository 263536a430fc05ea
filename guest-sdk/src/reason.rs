//! Why a record is set aside, in words.

use std::fmt::Display;

/// Why a record is set aside: made by `?` of whatever says it in words, so that a closure may meet
/// several kinds of errors. See [`ok`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(String);

// It is not `Display` itself, or this would be one more way from it to itself.
impl<E: Display> From<E> for Reason {
    #[cold]
    fn from(error: E) -> Reason {
        Reason(error.to_string())
    }
}

/// `Ok(value)` at the end of a closure in [`try_map`](crate::Stream::try_map): where `?` stands in
/// it, or nothing can be refused, Rust cannot tell the error's type of a plain `Ok(value)`.
///
/// ```
/// use streamhost::{Job, console, fields, job, kafka, ok};
///
/// #[job]
/// fn halves() -> Job {
///     kafka("numbers")
///         .try_map(|record| {
///             let [name, number] = fields(record.text()?, ',')?;
///             let number: u64 = number.parse()?;
///             if number % 2 == 1 {
///                 return Err(format!("{number} is odd").into());
///             }
///             ok(format!("{name} {}", number / 2))
///         })
///         .to(console())
/// }
///
/// let mut job = streamhost::testing::run(halves);
/// job.send("numbers", ["a,8", "b,3", "c,x"]);
/// assert_eq!(job.rows("console"), ["value=a 4"]);
/// assert_eq!(job.dead_letters(), ["numbers@1: 3 is odd", "numbers@2: invalid digit found in string"]);
/// ```
pub fn ok<T>(value: T) -> Result<T, Reason> {
    Ok(value)
}

/// What the error of a function in [`try_map`](crate::Stream::try_map) must be: all that can be
/// shown as text, and [`Reason`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say why a record is set aside",
    label = "cannot be shown as text",
    note = "the error of `.try_map(…)` is the reason in the dead letter: a `String`, or what implements `Display`"
)]
pub trait Refusal {
    /// The reason in words.
    fn reason(self) -> String;
}

impl<E: Display> Refusal for E {
    fn reason(self) -> String {
        self.to_string()
    }
}

impl Refusal for Reason {
    fn reason(self) -> String {
        self.0
    }
}
