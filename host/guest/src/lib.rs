//! Compiles, caches, calls and limits components. Whatever a component does, it harms its own job
//! only.

use cache::CodeCache;
use contract::ExportsPre;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use streamhost_core::job::settings::JobLimits;
use streamhost_core::job::validate::JobDescription;
use streamhost_core::limits;
use streamhost_engine::guest::LogSink;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine};

mod alike;
mod stubs;
mod bounds;
mod fault;
mod contract;
mod wit_convert;
mod v1;
mod cache;
mod nesting;
pub mod compiler;
pub mod instance;
mod metrics;
pub mod wrap;
pub mod signature;

pub use compiler::Compiler;
pub use instance::{Instance, Parameters};

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

impl From<JobLimits> for GuestLimits {
    fn from(limits: JobLimits) -> Self {
        GuestLimits {
            memory_bytes: limits.memory_bytes,
            time: limits.time,
        }
    }
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
    /// The file is no job's.
    #[error(transparent)]
    Wrap(#[from] wrap::WrapError),
    /// The process that compiles has refused it, or broke on it.
    #[error("{0}")]
    Refused(String),
    /// The compiler cannot be used.
    #[error("components cannot be compiled here: {0}")]
    Compiler(String),
    /// Nobody waits for it any more.
    #[error("nobody waits for the component any more, so it was not compiled")]
    Unwanted,
    /// It is no component, or a broken one.
    #[error("the component cannot be compiled: {0}")]
    Compile(String),
    /// It wants more than the contract offers.
    #[error(
        "the component imports {0}: a job may import `{LOG_IMPORT}`, `{PARAMETERS_IMPORT}` and `{METRICS_IMPORT}`, and of WASI 0.2 cli, clocks, filesystem, io, random and sockets, which the host answers itself; leave what needs more out of the job"
    )]
    Imports(String),
    /// It does not export what the contract asks for.
    #[error(
        "the component does not export the contract `streamhost:job@0.2.0`: {0}; write it with the streamhost SDK"
    )]
    Exports(String),
    /// Its own code refused, or broke, when asked what it is.
    #[error("the component cannot say what it is: {0}")]
    Describe(String),
}

/// The interface that every component may import.
pub const LOG_IMPORT: &str = "streamhost:job/log@0.2.0";
/// The interface that the component of a job with parameters imports.
pub const PARAMETERS_IMPORT: &str = "streamhost:job/parameters@0.2.0";
/// The interface that the component of a job with metrics of its own imports.
pub const METRICS_IMPORT: &str = "streamhost:job/metrics@0.2.0";

/// The version of the contract that this host speaks, as major and minor number. It takes the one
/// before as well.
pub const CONTRACT: &str = "0.2";

/// The engine that all jobs share, and the cache of compiled code.
pub struct GuestEngine {
    engine: Engine,
    linker: Linker<instance::State>,
    cache: CodeCache,
    compiler: Compiler,
}

/// The engine's settings decide what code is: the process that compiles has the same.
pub(crate) fn engine() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config.epoch_interruption(true);
    // A batch that is run again gives the same to the bit, also by a newer host or on another
    // machine.
    config.cranelift_nan_canonicalization(true);
    config.relaxed_simd_deterministic(true);
    // A component that is composed of others has a memory for each, and code that copies between
    // them; the limit of memory is of their sum.
    config.wasm_multi_memory(true);
    // Half of a bare call's cost, for a feature that the contract does not use.
    config.concurrency_support(false);
    Engine::new(&config)
}

/// The code of a file that was deployed, compiled on this thread.
pub(crate) fn compile_here(engine: &Engine, file: Vec<u8>) -> Result<Vec<u8>, LoadError> {
    let component = wrap::wrap(file)?;
    nesting::check(&component).map_err(|error| LoadError::Compile(error.to_string()))?;
    engine
        .precompile_component(&component)
        .map_err(|e| LoadError::Compile(first_line(&e)))
}

impl GuestEngine {
    /// Starts the engine. Compiled code is kept in the folder `cache`, by component and engine, and
    /// its key beside it.
    pub fn new(cache: &Path, compiler: Compiler) -> wasmtime::Result<Self> {
        let cache = CodeCache::open(cache)?;
        let engine = engine()?;
        let mut linker = Linker::new(&engine);
        bindings::streamhost::job::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
        bindings::streamhost::job::parameters::add_to_linker::<_, HasSelf<_>>(
            &mut linker,
            |state| state,
        )?;
        bindings::streamhost::job::metrics::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| {
            state
        })?;
        v1::bindings::streamhost::job::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| {
            state
        })?;
        tick(&engine)?;
        Ok(GuestEngine {
            engine,
            linker,
            cache,
            compiler,
        })
    }

    /// Compiles a file that was deployed, or takes its code from the cache, and checks what it
    /// imports and exports. `digest` names it: the SHA-256 of its bytes. Compiling ends once it is
    /// no longer `wanted`.
    pub fn load(
        &self,
        digest: &str,
        file: &[u8],
        wanted: compiler::Wanted<'_>,
    ) -> Result<Arc<CompiledJob>, LoadError> {
        let component = self.compile(digest, file, wanted)?;
        let names = component.component_type();
        let imports: Vec<String> = names
            .imports(&self.engine)
            .filter(|(_, item)| !is_types_only(&self.engine, item))
            .map(|(name, _)| name.to_owned())
            .collect();
        let foreign: Vec<String> = imports
            .iter()
            .filter(|name| {
                ![
                    LOG_IMPORT,
                    PARAMETERS_IMPORT,
                    METRICS_IMPORT,
                    v1::LOG_IMPORT,
                ]
                .contains(&name.as_str())
                    && stubs::interface(name).is_none()
            })
            .map(|name| format!("`{name}`"))
            .collect();
        if !foreign.is_empty() {
            return Err(LoadError::Imports(foreign.join(", ")));
        }
        let stubbed = imports
            .iter()
            .filter(|name| stubs::interface(name).is_some());
        let stubbed: Vec<String> = stubbed.cloned().collect();
        let mut linker = self.linker.clone();
        stubs::link(&mut linker, &self.engine, &names)
            .and_then(|()| linker.substituted_component_type(&component).map(|_| ()))
            .map_err(|e| LoadError::Imports(format!("what is not WASI 0.2: {}", first_line(&e))))?;
        let pre = linker
            .instantiate_pre(&component)
            .map_err(|e| LoadError::Exports(first_line(&e)))?;
        let is_v1 = names
            .exports(&self.engine)
            .any(|(name, _)| name == v1::GUEST_EXPORT);
        let pre: Result<Box<dyn ExportsPre>, _> = match is_v1 {
            true => v1::bindings::JobPre::new(pre).map(|pre| Box::new(pre) as _),
            false => bindings::JobPre::new(pre).map(|pre| Box::new(pre) as _),
        };
        let pre = pre.map_err(|e| LoadError::Exports(first_line(&e)))?;
        Ok(Arc::new(CompiledJob {
            digest: digest.to_string(),
            imports,
            stubbed,
            pre,
        }))
    }

    fn compile(
        &self,
        digest: &str,
        file: &[u8],
        wanted: compiler::Wanted<'_>,
    ) -> Result<Component, LoadError> {
        let name = format!("{digest}-{}", self.engine_digest());
        // Code of another version is compiled anew.
        if let Some(code) = self.cache.get(&name)
            && let Ok(component) = self.runnable(&code)
        {
            return Ok(component);
        }
        let code = self.compiler.compile(&self.engine, file, wanted)?;
        self.cache.keep(&name, &code);
        self.runnable(&code)
            .map_err(|e| LoadError::Compile(first_line(&e)))
    }

    fn runnable(&self, code: &[u8]) -> wasmtime::Result<Component> {
        #[expect(
            unsafe_code,
            reason = "the code comes from our own compiler, or from the cache, which has proven that it does; wasmtime \
                      copies it, and checks version and settings"
        )]
        unsafe {
            Component::deserialize(&self.engine, code)
        }
    }

    /// Deletes compiled code of components that nobody names any more, and of other engines.
    pub fn sweep(&self, named: &std::collections::BTreeSet<String>) {
        let own = self.engine_digest();
        self.cache.sweep(
            &named
                .iter()
                .map(|digest| format!("{digest}-{own}"))
                .collect(),
        );
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
    /// The interfaces that it imports, but those of types alone.
    pub imports: Vec<String>,
    /// Those of them that the host answers by itself: WASI's.
    pub stubbed: Vec<String>,
    pre: Box<dyn ExportsPre>,
}

impl CompiledJob {
    /// All that the component imports, interfaces of types alone too.
    pub fn all_imports(&self) -> Vec<String> {
        let names = self.pre.pre().component().component_type();
        let imports = names.imports(self.engine());
        imports.map(|(name, _)| name.to_owned()).collect()
    }

    /// Asks the component what its job is, where the deployment sets these parameters.
    pub fn describe(
        &self,
        limits: GuestLimits,
        log: LogSink,
        parameters: &Parameters,
    ) -> Result<JobDescription, LoadError> {
        Instance::new(self, limits, log)
            .and_then(|instance| instance.told(parameters).describe())
            .map_err(|fault| LoadError::Describe(fault.to_string()))
    }

    /// The version of the contract that it speaks, as major and minor number.
    pub fn contract(&self) -> &'static str {
        self.pre.contract()
    }

    /// What a user should know of that version; nothing where it is this host's own.
    pub fn notice(&self) -> Option<String> {
        let spoken = self.contract();
        (spoken != CONTRACT).then(|| {
            format!(
                "the component speaks contract {spoken}, and this host {CONTRACT}: it runs as before on this release, and no more on the next; build it with the SDK of this release"
            )
        })
    }

    /// Whether its answers depend on how calls are cut: it may draw random numbers, which each call
    /// draws anew, or wait, which moves each call's clock.
    pub fn minds_cuts(&self) -> bool {
        let minds = |name: &String| {
            stubs::interface(name).is_some_and(|interface| {
                interface.starts_with("random/") || interface == "clocks/monotonic-clock"
            })
        };
        self.stubbed.iter().any(minds)
    }

    pub(crate) fn stubs(&self) -> stubs::Stubs {
        match self.stubbed.is_empty() {
            true => stubs::Stubs::none(),
            false => stubs::Stubs::new(&self.digest),
        }
    }

    pub(crate) fn pre(&self) -> &dyn ExportsPre {
        self.pre.as_ref()
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.pre.pre().engine()
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
        let guests = GuestEngine::new(&cache, Compiler::Here).unwrap();
        let load = || match guests.load("digest", EMPTY, &|| true) {
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
