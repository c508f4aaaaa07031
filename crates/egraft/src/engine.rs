//! The engine flag, and whole modules through it.

use crate::optimizer::Optimizer;
use crate::options::Options;
use crate::report::Report;
use crate::{Error, target};
use egraft_seam::{CodeStore, SeamHandle, SeamOptions};
use std::sync::Arc;
use wasmtime::{Config, Engine, Module};

/// Egraft's settings on a [`wasmtime::Config`].
pub trait ConfigExt {
    /// Turns Egraft on for engines built from this configuration.
    ///
    /// Compile modules with [`Handle::module`]. A plain `Module::new` gives stock code, except for
    /// functions of modules that went through the handle before. Other settings may still be
    /// changed afterwards.
    ///
    /// # Errors
    /// [`Error::Seam`] if the configuration has an incremental cache of its own or no compiler;
    /// [`Error::Cache`] if the cache directory cannot be used.
    fn egraft(&mut self, options: Options) -> Result<Handle, Error>;

    /// Sets target and CPU by name.
    ///
    /// `target` is a triple or an architecture such as `aarch64`, `None` for the host. `cpu` is
    /// `native`, `baseline`, `avx2`, `avx512`, or any CPU or feature that Cranelift knows for the
    /// target.
    ///
    /// # Errors
    /// [`Error::Target`] and [`Error::Cpu`] for names that do not exist.
    fn egraft_target(&mut self, target: Option<&str>, cpu: &str) -> Result<&mut Self, Error>;
}

impl ConfigExt for Config {
    fn egraft(&mut self, options: Options) -> Result<Handle, Error> {
        let optimizer = Arc::new(Optimizer::new(&options));
        let mut seam = SeamOptions::default().with_memory_limit(options.memory_limit);
        let store = open_store(&options)?.map(Arc::new);
        if let Some(store) = &store {
            seam = seam.with_store(store.clone());
        }
        let seam = egraft_seam::attach(self, optimizer.clone(), seam)?;
        Ok(Handle { seam, optimizer, store })
    }

    fn egraft_target(&mut self, target: Option<&str>, cpu: &str) -> Result<&mut Self, Error> {
        target::set(self, target, cpu)?;
        Ok(self)
    }
}

fn open_store(options: &Options) -> Result<Option<CodeStore>, Error> {
    let Some(directory) = &options.cache_dir else { return Ok(None) };
    Ok(Some(CodeStore::open(directory, options.cache_limit)?))
}

/// Compiles modules for engines. Clones share their code.
#[derive(Clone)]
pub struct Handle {
    seam: SeamHandle,
    optimizer: Arc<Optimizer>,
    store: Option<Arc<CodeStore>>,
}

impl Handle {
    /// `Module::new` with Egraft's code, under the configuration of `engine`. `wasm` is binary or
    /// text.
    ///
    /// # Errors
    /// [`Error::Seam`] with Wasmtime's own error for a bad module.
    pub fn module(&self, engine: &Engine, wasm: &[u8]) -> Result<(Module, Report), Error> {
        let session = self.optimizer.session(self.store.as_deref());
        let (module, report) = self.seam.module(engine, wasm)?;
        Ok((module, session.report(report)))
    }

    /// `Engine::precompile_module` with Egraft's code. `wasm` is binary or text.
    ///
    /// # Errors
    /// As [`module`](Self::module).
    pub fn precompile(&self, engine: &Engine, wasm: &[u8]) -> Result<Compiled, Error> {
        let session = self.optimizer.session(self.store.as_deref());
        let (cwasm, report) = self.seam.precompile(engine, wasm)?;
        Ok(Compiled { cwasm, report: session.report(report) })
    }
}

/// A compiled module.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Compiled {
    /// What any Wasmtime of this version deserialises.
    pub cwasm: Vec<u8>,
    /// What became of its functions.
    pub report: Report,
}

/// Compiles `wasm`, binary or text, to a `.cwasm` for the target of `config`.
///
/// # Errors
/// [`Error::Seam`] with Wasmtime's own error for a bad module; [`Error::Cache`] if the cache
/// directory cannot be used.
pub fn compile(config: &Config, options: &Options, wasm: &[u8]) -> Result<Compiled, Error> {
    let optimizer = Optimizer::new(options);
    let store = open_store(options)?;
    let session = optimizer.session(store.as_ref());
    let (cwasm, report) = egraft_seam::precompile_module(config, wasm, &optimizer, store.as_ref())?;
    Ok(Compiled { cwasm, report: session.report(report) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Effort;

    const WAT: &str = r#"(module (memory (export "memory") 1)
        (func $fill (export "fill") (param $at i32) (result i32)
            (loop $next
                (v128.store (local.get $at)
                    (i8x16.add (v128.load (local.get $at)) (v128.const i64x2 1 1)))
                (br_if $next (local.tee $at (i32.sub (local.get $at) (i32.const 16)))))
            (i32.load (i32.const 0))))"#;

    #[test]
    fn effort_zero_is_stock_to_the_byte() {
        let config = Config::new();
        let options = Options::default().effort(Effort::Stock).measure_stock(true);
        let compiled = compile(&config, &options, WAT.as_bytes()).unwrap();
        let stock = Engine::new(&config).unwrap().precompile_module(WAT.as_bytes()).unwrap();
        assert_eq!(compiled.cwasm, stock);
        let fill = compiled.report.function("fill").unwrap();
        assert!(!fill.taken && fill.reason.as_deref().unwrap().contains("effort is 0"), "{fill}");
        assert_eq!(fill.shape.unwrap().vector_loops, 1);
    }

    #[test]
    fn a_handle_compiles_for_engines() {
        let mut config = Config::new();
        let handle = config.egraft(Options::default().measure_stock(true)).unwrap();
        let engine = Engine::new(&config).unwrap();
        let (module, report) = handle.module(&engine, WAT.as_bytes()).unwrap();
        assert_eq!(module.exports().count(), 2);
        assert!(report.function("fill").unwrap().stock_code_bytes.unwrap() > 0);
        assert!(report.function("0").is_some() && report.function("nothing").is_none());
        // Another engine of the same machine takes the code too.
        let (module, again) = handle.module(&Engine::default(), WAT.as_bytes()).unwrap();
        assert_eq!((module.exports().count(), again.taken()), (2, report.taken()));
        let error = handle.module(&engine, b"\0asm\x01\0\0\0\xff").unwrap_err();
        assert!(error.to_string().contains("offset"), "{error}");
    }

    #[test]
    fn a_cache_directory_gives_the_same_code_again() {
        let directory = tempfile::tempdir().unwrap();
        let options = Options::default().cache_dir(directory.path());
        let first = compile(&Config::new(), &options, WAT.as_bytes()).unwrap();
        let second = compile(&Config::new(), &options, WAT.as_bytes()).unwrap();
        assert_eq!(first.cwasm, second.cwasm);
        assert!(second.report.function("fill").unwrap().from_cache);
        let hits = second.report.cache.unwrap().hits;
        assert!(hits >= 1);
        for entry in std::fs::read_dir(directory.path()).unwrap() {
            let path = entry.unwrap().path();
            if std::fs::metadata(&path).unwrap().len() > 0 {
                std::fs::write(&path, b"egraftCS").unwrap();
            }
        }
        let third = compile(&Config::new(), &options, WAT.as_bytes()).unwrap();
        assert_eq!(first.cwasm, third.cwasm);
        assert_eq!(third.report.cache.unwrap().rejected, hits);
    }
}
