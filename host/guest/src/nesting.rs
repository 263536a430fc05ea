//! What nests too deeply to be compiled. The compiler and its checks call themselves for each level,
//! and keep what they know of all of them.

use streamhost_core::limits;
use wasmparser::{Parser, Payload};

/// Why a component is not compiled.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NestingError {
    /// Components in components.
    #[error(
        "components lie in one another more than {} deep: a job is one component",
        limits::COMPONENT_NESTING_MAX
    )]
    TooDeep,
    /// It cannot be read, as where its types nest too deeply.
    #[error("{0}")]
    Unreadable(String),
}

/// Reads a component's sections and types, and nothing of its functions.
pub(crate) fn check(component: &[u8]) -> Result<(), NestingError> {
    let unreadable = |error: wasmparser::BinaryReaderError| {
        NestingError::Unreadable(format!("{} at byte {}", error.message(), error.offset()))
    };
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(unreadable)? {
            Payload::ComponentSection { .. } | Payload::ModuleSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentTypeSection(types) => {
                for declared in types {
                    declared.map_err(unreadable)?;
                }
            }
            _ => {}
        }
        if depth > limits::COMPONENT_NESTING_MAX {
            return Err(NestingError::TooDeep);
        }
    }
    Ok(())
}
