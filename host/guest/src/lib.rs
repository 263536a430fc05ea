//! Compiles, caches, calls and limits components. Whatever a component does, it harms its own job
//! only.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::limits;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};
use wasmtime::{Config, Engine};

mod wit_convert;
pub mod instance;
pub mod wrap;

pub use instance::Instance;

/// The contract's types, generated from `wit/`.
pub(crate) mod bindings {
    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "job",
        ownership: Borrowing { duplicate_if_necessary: true },
    });
}

/// What one instance may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuestLimits {
    /// Linear memory.
    pub memory_bytes: usize,
    /// One call.
    pub time: Duration,
}

impl Default for GuestLimits {
    fn default() -> Self {
        GuestLimits {
            memory_bytes: limits::GUEST_MEMORY_BYTES_DEFAULT,
            time: limits::GUEST_TIME_DEFAULT,
        }
    }
}

/// Why a component cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is no component, or a broken one.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    /// It wants more than the contract offers.
    #[error(
        "the component imports {0}: a job may import `{LOG_IMPORT}` and nothing else; build it for wasm32-unknown-unknown with `streamhost build`, without files, clocks, threads or network"
    )]
    Imports(String),
    /// It does not export what the contract asks for.
    #[error(
        "the component does not export the contract `streamhost:job@0.1.0`: {0}; write it with the streamhost SDK"
    )]
    Exports(String),
    /// Its own code refused, or broke, when asked what it is.
    #[error("the component cannot say what it is: {0}")]
    Describe(String),
}

/// The one interface that a component may import.
pub const LOG_IMPORT: &str = "streamhost:job/log@0.1.0";

/// Its version, as major and minor number.
const CONTRACT: &str = "0.1";

/// The engine that all jobs share, and the cache of compiled code.
pub struct GuestEngine {
    engine: Engine,
    linker: Linker<instance::State>,
    cache: PathBuf,
}

impl GuestEngine {
    /// Starts the engine. Compiled code is kept in `cache`, by component and engine.
    pub fn new(cache: &Path) -> wasmtime::Result<Self> {
        std::fs::create_dir_all(cache)?;
        let mut config = Config::new();
        config.epoch_interruption(true);
        // A batch that is run again gives the same to the bit, also by a newer host or on another
        // machine.
        config.cranelift_nan_canonicalization(true);
        config.relaxed_simd_deterministic(true);
        config.wasm_multi_memory(false); // the limit of memory is of each one
        // Half of a bare call's cost, for a feature that the contract does not use.
        config.concurrency_support(false);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        bindings::streamhost::job::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
        tick(&engine)?;
        Ok(GuestEngine {
            engine,
            linker,
            cache: cache.to_path_buf(),
        })
    }

    /// Compiles a component, or takes its code from the cache, and checks what it imports and
    /// exports. `digest` names it: the SHA-256 of the bytes that were deployed.
    pub fn load(&self, digest: &str, component: &[u8]) -> Result<Arc<CompiledJob>, LoadError> {
        let component = self.compile(digest, component)?;
        let names = component.component_type();
        let foreign: Vec<String> = names
            .imports(&self.engine)
            .filter(|(name, item)| *name != LOG_IMPORT && !is_types_only(&self.engine, item))
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        if !foreign.is_empty() {
            return Err(LoadError::Imports(foreign.join(", ")));
        }
        let pre = self
            .linker
            .instantiate_pre(&component)
            .map_err(|e| LoadError::Exports(first_line(&e)))?;
        let pre = bindings::JobPre::new(pre).map_err(|e| LoadError::Exports(first_line(&e)))?;
        Ok(Arc::new(CompiledJob {
            digest: digest.to_string(),
            pre,
        }))
    }

    fn compile(&self, digest: &str, bytes: &[u8]) -> Result<Component, LoadError> {
        let path = self
            .cache
            .join(format!("{digest}-{}.cwasm", self.engine_digest()));
        if path.exists() {
            // A file that was cut short or is of another build is compiled anew, not trusted.
            #[expect(
                unsafe_code,
                reason = "the cache folder is the host's own; wasmtime checks version and settings"
            )]
            let cached = unsafe { Component::deserialize_file(&self.engine, &path) };
            if let Ok(component) = cached {
                return Ok(component);
            }
        }
        let code = self
            .engine
            .precompile_component(bytes)
            .map_err(|e| LoadError::Compile(first_line(&e)))?;
        if let Err(error) = keep(&path, &code) {
            let path = path.display();
            tracing::warn!(
                "{path} cannot be written, so the component is compiled anew at the next start: {error}"
            );
        }
        #[expect(
            unsafe_code,
            reason = "these bytes were made by this engine a line ago"
        )]
        unsafe { Component::deserialize(&self.engine, &code) }
            .map_err(|e| LoadError::Compile(first_line(&e)))
    }

    /// Deletes compiled code of components that nobody names any more, and of other engines.
    pub fn sweep(&self, named: &std::collections::BTreeSet<String>) {
        let Ok(folder) = std::fs::read_dir(&self.cache) else {
            return;
        };
        let own = format!("-{}.cwasm", self.engine_digest());
        for path in folder.flatten().map(|entry| entry.path()) {
            let file = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            let is_named = file
                .strip_suffix(&own)
                .is_some_and(|digest| named.contains(digest));
            if !is_named && std::fs::remove_file(&path).is_err() {
                tracing::warn!(
                    "{} is of no more use, but cannot be deleted",
                    path.display()
                );
            }
        }
    }

    /// Names the compiler and its settings: code of another one is never run.
    fn engine_digest(&self) -> String {
        use std::hash::{Hash, Hasher};
        let mut hasher = std::hash::DefaultHasher::new();
        self.engine
            .precompile_compatibility_hash()
            .hash(&mut hasher);
        format!("{:016x}", hasher.finish())
    }
}

/// Written beside, made durable and renamed, so that a crash leaves no half of a file and a power
/// loss none with zeros for code: what stands in the cache is run as it is.
fn keep(path: &Path, code: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(code)?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}

fn is_types_only(engine: &Engine, item: &wasmtime::component::types::ComponentExtern) -> bool {
    use wasmtime::component::types::ComponentItem;
    match &item.ty {
        ComponentItem::ComponentInstance(instance) => instance
            .exports(engine)
            .all(|(_, item)| matches!(item.ty, ComponentItem::Type(_))),
        ComponentItem::Type(_) => true,
        _ => false,
    }
}

/// Errors of the engine are chains with backtraces; a refusal is one line.
pub(crate) fn first_line(error: &wasmtime::Error) -> String {
    let text = format!("{error:#}");
    text.lines()
        .next()
        .unwrap_or("no reason given")
        .trim()
        .to_string()
}

/// Deadlines are counted in epochs; this thread counts them for as long as the engine lives.
fn tick(engine: &Engine) -> std::io::Result<()> {
    let engine = engine.weak();
    let run = move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(limits::EPOCH);
        }
    };
    std::thread::Builder::new()
        .name("epochs".into())
        .spawn(run)
        .map(|_| ())
}

/// A compiled component, ready to be instantiated by any lane.
pub struct CompiledJob {
    /// The SHA-256 of the bytes that were deployed.
    pub digest: String,
    pre: bindings::JobPre<instance::State>,
}

impl CompiledJob {
    /// What the component imports.
    pub fn imports(&self) -> Vec<String> {
        let names = self.pre.instance_pre().component().component_type();
        let imports = names.imports(self.engine());
        imports.map(|(name, _)| name.to_owned()).collect()
    }

    /// The version of the contract that it speaks, as major and minor number.
    pub fn contract(&self) -> &'static str {
        CONTRACT
    }

    pub(crate) fn pre(&self) -> &bindings::JobPre<instance::State> {
        &self.pre
    }

    pub(crate) fn engine(&self) -> &Engine {
        let pre: &InstancePre<instance::State> = self.pre.instance_pre();
        pre.engine()
    }
}

impl std::fmt::Debug for CompiledJob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CompiledJob({})", self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component with nothing in it.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    #[test]
    fn a_component_is_loaded_whether_its_code_can_be_kept_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let cache = folder.path().join("cache");
        let guests = GuestEngine::new(&cache).unwrap();
        let load = || match guests.load("digest", EMPTY) {
            Err(LoadError::Exports(_)) => {} // it was compiled
            other => panic!("{other:?}"),
        };
        load();
        assert_eq!(
            std::fs::read_dir(&cache).unwrap().count(),
            1,
            "kept, and nothing beside it"
        );
        load();
        std::fs::remove_dir_all(&cache).unwrap();
        load();
    }
}
