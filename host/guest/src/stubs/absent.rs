//! Functions of what is not there: files, sockets, arguments, the environment. Each says so by the
//! type that it has: an empty list, nothing, or an error. Most need no answer at all, as they are
//! methods of what nobody can open.

use super::{StubFault, Stubbed};
use wasmtime::StoreContextMut;
use wasmtime::component::types::{ComponentFunc, Type};
use wasmtime::component::{LinkerInstance, Val};

/// The errors by which files and sockets say that something may not be had, the fitting ones first.
const DENIED: [&str; 4] = ["access", "access-denied", "not-supported", "unsupported"];

/// Links a function of the interface `interface` that answers as if there were nothing.
pub(super) fn link<T: Stubbed>(
    linker: &mut LinkerInstance<'_, T>,
    interface: &str,
    name: &str,
    function: &ComponentFunc,
) -> wasmtime::Result<()> {
    let mut results = function.results();
    let answer = results.next().as_ref().and_then(nothing);
    let called = format!("{interface} {name}");
    linker.func_new(
        name,
        move |_: StoreContextMut<'_, T>, _, _, results: &mut [Val]| match (&answer, results) {
            (Some(answer), [result]) => {
                *result = answer.clone();
                Ok(())
            }
            _ => Err(StubFault::Absent(called.clone()).into()),
        },
    )
}

/// The value of a type that says that there is nothing; none where it has no such value.
fn nothing(kind: &Type) -> Option<Val> {
    match kind {
        Type::List(_) => Some(Val::List(Vec::new())),
        Type::Option(_) => Some(Val::Option(None)),
        Type::Result(result) => match result.err() {
            None => Some(Val::Result(Err(None))),
            Some(Type::Enum(errors)) => {
                let error = DENIED
                    .iter()
                    .find(|denied| errors.names().any(|name| name == **denied))?;
                let error = Box::new(Val::Enum((*error).to_owned()));
                Some(Val::Result(Err(Some(error))))
            }
            Some(_) => None,
        },
        _ => None,
    }
}
