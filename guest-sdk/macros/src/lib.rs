//! `#[job]`, `#[derive(Row)]` and `#[derive(Key)]` of the crate `streamhost`, which re-exports and
//! tests them.

use proc_macro::TokenStream;

mod job;
mod key;
mod row;

/// Makes a function the job of its component.
///
/// The function takes nothing and returns `Job`. Its name is the job's: lower-case letters, digits
/// and `_`; `#[job(name = "clicks-eu")]` gives another one, which may have `-` too. A component has
/// one job.
///
/// ```ignore
/// #[job]
/// fn clicks() -> Job {
///     kafka("clicks").try_map(Click::parse).to(hbase("clicks"))
/// }
/// ```
#[proc_macro_attribute]
pub fn job(arguments: TokenStream, item: TokenStream) -> TokenStream {
    job::expand(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a struct a row: what a sink takes.
///
/// Each field is a column, named after the field or by its attribute:
///
/// - `#[row("family:qualifier")]`: the column's name. HBase needs it; elsewhere the field's own
///   name does.
/// - `#[row(key)]`: the row's key. Several such fields make one key, joined by `#[row(separator =
///   "…")]` on the struct; a record whose parts hold the separator, or end in a piece of it (the
///   last part may), is set aside, as its key would not be its own.
/// - `#[row(key, column = "name")]`: the key as a column too, such as a field of a topic's JSON
///   objects.
/// - `#[row(value)]`: the whole value, raw, in a topic or on the console. There are no other
///   columns then.
/// - `#[row(dynamic)]`: pairs of a column's name and its value, for columns that only the data
///   knows: a map, or a list of pairs.
/// - `#[row(skip)]`: no column.
///
/// ```ignore
/// #[derive(Row)]
/// #[row(separator = "|")]
/// struct Reading<'a> {
///     #[row(key)]
///     sensor: &'a str,
///     #[row(key)]
///     at: u64,
///     #[row("place:site")]
///     site: Option<&'a str>, // None: no cell
///     #[row(dynamic)]
///     values: BTreeMap<String, f64>, // "values:temperature" and so on
/// }
/// ```
#[proc_macro_derive(Row, attributes(row))]
pub fn row(item: TokenStream) -> TokenStream {
    row::expand(item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}

/// Makes a struct a key: what `key_by` takes. Its fields are keys, in their order.
///
/// ```ignore
/// #[derive(Key, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
/// struct Visit<'a> {
///     page: &'a str,
///     user: u64,
/// }
/// ```
#[proc_macro_derive(Key)]
pub fn key(item: TokenStream) -> TokenStream {
    key::expand(item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
