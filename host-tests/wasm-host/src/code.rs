//! A module, compiled and held against what Envoy links: what it may import, what it has to export.

use crate::AbiVersion;
use crate::hostcalls::{self, HostFunction};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;
use wasmtime::{Config, Engine, ExternType, FuncType, Module, ValType};

/// Why Envoy would not load a module.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The bytes are no module. The text names the offset.
    #[error("Failed to parse corrupted Wasm module: {0}")]
    Corrupt(String),
    /// No export says for which ABI the module was written.
    #[error(
        "Missing or unknown Proxy-Wasm ABI version: one of the exports `proxy_abi_version_0_2_0` and `proxy_abi_version_0_2_1` is needed"
    )]
    AbiVersion,
    /// Envoy has no such function.
    #[error("Failed to load Wasm module due to a missing import: {module}.{name}{}", nearest(.name))]
    MissingImport {
        /// The module that it is imported from.
        module: String,
        /// The name.
        name: String,
    },
    /// Envoy has that function with other types.
    #[error(
        "Failed to load Wasm module due to an import type mismatch: {module}.{name}, want: {want}, but host exports: {host}"
    )]
    ImportType {
        /// The module that it is imported from.
        module: String,
        /// The name.
        name: String,
        /// What the module wants.
        want: String,
        /// What the host has.
        host: String,
    },
    /// Neither function nor memory nor table.
    #[error(
        "Failed to load Wasm module due to a missing import: {module}.{name} (of a kind that no host has)"
    )]
    ImportKind {
        /// The module that it is imported from.
        module: String,
        /// The name.
        name: String,
    },
    /// The host could allocate nothing in the guest.
    #[error(
        "Wasm module is missing malloc function. It has to export `malloc` or `proxy_on_memory_allocate`"
    )]
    MissingMalloc,
    /// An export by the name of a callback that could not be called.
    #[error("Bad function signature for: {name}, want: {want}, but the module exports: {got}")]
    ExportType {
        /// The name.
        name: String,
        /// What the host would call.
        want: String,
        /// What the module has.
        got: String,
    },
}

/// What the host has by a name like this, if anything.
fn nearest(name: &str) -> String {
    let known = hostcalls::names().filter(|known| known.starts_with("proxy_")).find(|known| {
        let (known, name) = (known.trim_start_matches("proxy_"), name.trim_start_matches("proxy_"));
        known != name && (known.starts_with(name) || name.starts_with(known))
    });
    known.map(|known| format!(" (there is `{known}`)")).unwrap_or_default()
}

/// A type of a function over 32 and 64 bit integers: `iI->i` takes one of each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Signature(pub(crate) &'static str);

impl Signature {
    fn parts(self) -> (&'static str, &'static str) {
        self.0.split_once("->").unwrap_or((self.0, ""))
    }

    pub(crate) fn of_wasmtime(self, engine: &Engine) -> FuncType {
        let types = |letters: &'static str| {
            letters.bytes().map(|letter| if letter == b'I' { ValType::I64 } else { ValType::I32 })
        };
        let (params, results) = self.parts();
        FuncType::new(engine, types(params), types(results))
    }

    fn is(self, known: &FuncType) -> bool {
        let same = |letters: &str, types: &mut dyn Iterator<Item = ValType>| {
            let types: Vec<ValType> = types.collect();
            types.len() == letters.len()
                && letters.bytes().zip(types).all(|(letter, known)| match letter {
                    b'I' => known.is_i64(),
                    _ => known.is_i32(),
                })
        };
        let (params, results) = self.parts();
        same(params, &mut known.params()) && same(results, &mut known.results())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = |letters: &'static str| {
            letters.bytes().map(|letter| if letter == b'I' { "i64" } else { "i32" })
        };
        let (params, results) = self.parts();
        f.write_str(&arrow(types(params).map(str::to_owned), types(results).map(str::to_owned)))
    }
}

fn spelled(known: &FuncType) -> String {
    arrow(known.params().map(|ty| ty.to_string()), known.results().map(|ty| ty.to_string()))
}

/// A type as Envoy spells it: `i32 i64 -> i32`, and `void` for nothing.
fn arrow(params: impl Iterator<Item = String>, results: impl Iterator<Item = String>) -> String {
    let list = |types: Vec<String>| if types.is_empty() { "void".into() } else { types.join(" ") };
    format!("{} -> {}", list(params.collect()), list(results.collect()))
}

/// Every export that the host calls, with its type.
pub(crate) const CALLBACKS: [(&str, Signature); 35] = [
    ("_initialize", Signature("")),
    ("_start", Signature("")),
    ("main", Signature("ii->i")),
    ("__main_void", Signature("->i")),
    ("malloc", Signature("i->i")),
    ("proxy_on_memory_allocate", Signature("i->i")),
    ("proxy_on_context_create", Signature("ii")),
    ("proxy_on_vm_start", Signature("ii->i")),
    ("proxy_on_configure", Signature("ii->i")),
    ("proxy_validate_configuration", Signature("ii->i")),
    ("proxy_on_tick", Signature("i")),
    ("proxy_on_queue_ready", Signature("ii")),
    ("proxy_on_new_connection", Signature("i->i")),
    ("proxy_on_downstream_data", Signature("iii->i")),
    ("proxy_on_upstream_data", Signature("iii->i")),
    ("proxy_on_downstream_connection_close", Signature("ii")),
    ("proxy_on_upstream_connection_close", Signature("ii")),
    ("proxy_on_request_headers", Signature("iii->i")),
    ("proxy_on_request_body", Signature("iii->i")),
    ("proxy_on_request_trailers", Signature("ii->i")),
    ("proxy_on_request_metadata", Signature("ii->i")),
    ("proxy_on_response_headers", Signature("iii->i")),
    ("proxy_on_response_body", Signature("iii->i")),
    ("proxy_on_response_trailers", Signature("ii->i")),
    ("proxy_on_response_metadata", Signature("ii->i")),
    ("proxy_on_http_call_response", Signature("iiiii")),
    ("proxy_on_grpc_receive_initial_metadata", Signature("iii")),
    ("proxy_on_grpc_receive", Signature("iii")),
    ("proxy_on_grpc_receive_trailing_metadata", Signature("iii")),
    ("proxy_on_grpc_close", Signature("iii")),
    ("proxy_on_done", Signature("i->i")),
    ("proxy_on_log", Signature("i")),
    ("proxy_on_delete", Signature("i")),
    ("proxy_on_foreign_function", Signature("iii")),
    ("envoy_on_resolve_dns", Signature("iii")),
];

/// How many arguments a callback takes.
pub(crate) fn arity(callback: &str) -> Option<usize> {
    let (_, signature) = CALLBACKS.into_iter().find(|(name, _)| *name == callback)?;
    Some(signature.parts().0.len())
}

struct Compiled {
    module: Module,
    abi: AbiVersion,
    sha256: [u8; 32],
    size: usize,
}

/// A compiled module. Cloning it is cheap, and compiling once for many hosts saves time.
#[derive(Clone)]
pub struct Code(Arc<Compiled>);

impl Code {
    /// Compiles a module and checks that Envoy would link it.
    ///
    /// # Errors
    /// What Envoy would refuse, with the import, the export or the byte.
    pub fn compile(wasm: &[u8]) -> Result<Self, LoadError> {
        let mut config = Config::new();
        config.consume_fuel(true);
        config.cranelift_nan_canonicalization(true);
        config.relaxed_simd_deterministic(true);
        let corrupt = |error: wasmtime::Error| LoadError::Corrupt(format!("{error:#}"));
        let engine = Engine::new(&config).map_err(corrupt)?;
        let module = Module::from_binary(&engine, wasm).map_err(corrupt)?;
        let abi = abi_version(&module)?;
        check_imports(&module, abi)?;
        check_exports(&module)?;
        let sha256 = Sha256::digest(wasm).into();
        Ok(Self(Arc::new(Compiled { module, abi, sha256, size: wasm.len() })))
    }

    /// The version of the ABI that the module names.
    pub fn abi(&self) -> AbiVersion {
        self.0.abi
    }

    /// The bytes of the module.
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// What it imports, as `module.name`, in its own order.
    pub fn imports(&self) -> Vec<String> {
        let imports = self.module().imports();
        imports.map(|import| format!("{}.{}", import.module(), import.name())).collect()
    }

    /// The names of what it exports, in its own order.
    pub fn exports(&self) -> Vec<String> {
        self.module().exports().map(|export| export.name().to_owned()).collect()
    }

    pub(crate) fn module(&self) -> &Module {
        &self.0.module
    }

    pub(crate) fn sha256(&self) -> &[u8; 32] {
        &self.0.sha256
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Compiled { abi, size, .. } = &*self.0;
        f.debug_struct("Code").field("abi", abi).field("size", size).finish_non_exhaustive()
    }
}

fn abi_version(module: &Module) -> Result<AbiVersion, LoadError> {
    let known = |name: &str| match name {
        "proxy_abi_version_0_2_0" => Some(AbiVersion::V0_2_0),
        "proxy_abi_version_0_2_1" => Some(AbiVersion::V0_2_1),
        _ => None,
    };
    module.exports().find_map(|export| known(export.name())).ok_or(LoadError::AbiVersion)
}

fn check_imports(module: &Module, abi: AbiVersion) -> Result<(), LoadError> {
    for import in module.imports() {
        let (from, name) = (import.module().to_owned(), import.name().to_owned());
        match import.ty() {
            ExternType::Func(want) => {
                let Some(HostFunction { signature, .. }) = hostcalls::find(&from, &name, abi)
                else {
                    return Err(LoadError::MissingImport { module: from, name });
                };
                if !signature.is(&want) {
                    let (want, host) = (spelled(&want), signature.to_string());
                    return Err(LoadError::ImportType { module: from, name, want, host });
                }
            }
            ExternType::Memory(_) | ExternType::Table(_) => {}
            _ => return Err(LoadError::ImportKind { module: from, name }),
        }
    }
    Ok(())
}

fn check_exports(module: &Module) -> Result<(), LoadError> {
    for (name, want) in CALLBACKS {
        if let Some(ExternType::Func(got)) = module.get_export(name)
            && !want.is(&got)
        {
            let (name, want, got) = (name.to_owned(), want.to_string(), spelled(&got));
            return Err(LoadError::ExportType { name, want, got });
        }
    }
    let has = |name: &str| matches!(module.get_export(name), Some(ExternType::Func(_)));
    if has("malloc") || has("proxy_on_memory_allocate") {
        Ok(())
    } else {
        Err(LoadError::MissingMalloc)
    }
}
