//! First look at a guest's bytes: are they valid, and what do they declare?
//!
//! Function bodies are left to the compiler, so this takes milliseconds for guests of any size.

use wasmparser::component_types::{ComponentEntityType, ComponentItem};
use wasmparser::types::Types;
use wasmparser::{Parser, Payload, ValidPayload, Validator, WasmFeatures};

use super::{Refusal, limits};

/// A valid guest's declarations.
pub(super) struct Outline {
    /// Every type, by what declares it.
    pub(super) types: Types,
    /// A component's imports, in order; empty for a module.
    pub(super) imports: Vec<String>,
    /// A component's exports, in order; empty for a module.
    pub(super) exports: Vec<String>,
    /// Bytes of the memories and tables of all its modules when they start, each module taken once.
    pub(super) initial_memory: u64,
}

impl Outline {
    /// What a component imports under `name`.
    pub(super) fn import(&self, name: &str) -> Option<&ComponentEntityType> {
        self.types.component_item_for_import(name).map(|ComponentItem { ty, .. }| ty)
    }

    /// What a component exports under `name`.
    pub(super) fn export(&self, name: &str) -> Option<&ComponentEntityType> {
        self.types.component_item_for_export(name).map(|ComponentItem { ty, .. }| ty)
    }
}

/// Checks everything but function bodies.
///
/// # Errors
/// If the bytes are not valid WebAssembly with `features` on.
pub(super) fn outline(wasm: &[u8], features: WasmFeatures) -> Result<Outline, Refusal> {
    match read(wasm, features) {
        Ok(Some(outline)) => Ok(outline),
        Ok(None) => {
            Err(Refusal::new(format!("is not a valid component: it ends after {} bytes", wasm.len())))
        }
        Err(error) => Err(invalid(wasm, &error)),
    }
}

/// Says why the bytes are invalid, function bodies included; nothing if they are valid.
pub(super) fn fault(wasm: &[u8], features: WasmFeatures) -> Option<Refusal> {
    let error = Validator::new_with_features(features).validate_all(wasm).err()?;
    Some(invalid(wasm, &error))
}

/// Nothing if the bytes end inside a part.
fn read(wasm: &[u8], features: WasmFeatures) -> Result<Option<Outline>, wasmparser::Error> {
    let mut validator = Validator::new_with_features(features);
    let (mut imports, mut exports, mut initial_memory) = (Vec::new(), Vec::new(), 0_u64);
    let mut types = None;
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match validator.payload(&payload)? {
            ValidPayload::End(ended) => types = Some(ended),
            ValidPayload::Ok | ValidPayload::Parser(_) | ValidPayload::Func(..) => {}
        }
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            // The parser takes the end of the bytes for the end of a part that goes on behind it.
            Payload::ModuleSection { unchecked_range, .. }
            | Payload::ComponentSection { unchecked_range, .. }
                if unchecked_range.end > wasm.len() =>
            {
                return Ok(None);
            }
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    exports.push(export?.name.name.to_owned());
                }
            }
            Payload::MemorySection(section) => {
                for memory in section {
                    initial_memory = initial_memory.saturating_add(bytes_of_memory(&memory?));
                }
            }
            Payload::TableSection(section) => {
                for table in section {
                    initial_memory = initial_memory.saturating_add(bytes_of_table(&table?.ty));
                }
            }
            _ => {}
        }
    }
    Ok(types.map(|types| Outline { types, imports, exports, initial_memory }))
}

fn bytes_of_memory(memory: &wasmparser::MemoryType) -> u64 {
    let page = 1_u128 << memory.page_size_log2.unwrap_or(16);
    u64::try_from(u128::from(memory.initial) * page).unwrap_or(u64::MAX)
}

fn bytes_of_table(table: &wasmparser::TableType) -> u64 {
    table.initial.saturating_mul(limits::TABLE_ELEMENT)
}

/// Proposals that are off, by the names people know them by.
const OFF: &[(WasmFeatures, &str)] = &[
    (WasmFeatures::THREADS, "`threads` (shared memory, atomics)"),
    (WasmFeatures::SHARED_EVERYTHING_THREADS, "`shared-everything-threads`"),
    (WasmFeatures::GC, "`gc`"),
    (WasmFeatures::LEGACY_EXCEPTIONS, "`legacy-exceptions`"),
    (WasmFeatures::CUSTOM_PAGE_SIZES, "`custom-page-sizes`"),
    (WasmFeatures::STACK_SWITCHING, "`stack-switching`"),
    (WasmFeatures::WIDE_ARITHMETIC, "`wide-arithmetic`"),
    (WasmFeatures::MEMORY_CONTROL, "`memory-control`"),
    (WasmFeatures::CM_ASYNC, "`component-model-async`"),
];

fn invalid(wasm: &[u8], error: &wasmparser::Error) -> Refusal {
    let offset = error.offset();
    if let Some(feature) = error.missing_wasm_feature() {
        let known = OFF.iter().find(|(off, _)| off.intersects(feature)).map(|(_, name)| (*name).to_owned());
        let name = known.unwrap_or_else(|| unknown(feature));
        let message = format!("needs the {name} proposal, which is off (offset 0x{offset:x})");
        return match feature {
            WasmFeatures::LEGACY_EXCEPTIONS => Refusal::with_hint(
                message,
                "compile it with the standard exception handling: `-mllvm -wasm-use-legacy-eh=false`",
            ),
            WasmFeatures::THREADS => Refusal::with_hint(message, "compile it without threads"),
            _ => Refusal::new(message),
        };
    }
    let kind = if Parser::is_component(wasm) { "component" } else { "module" };
    Refusal::new(format!("is not a valid {kind}: {} (offset 0x{offset:x})", one_line(error.message())))
}

fn unknown(feature: WasmFeatures) -> String {
    let names = feature.iter_names().map(|(name, _)| name.to_lowercase().replace('_', "-"));
    format!("`{}`", names.collect::<Vec<_>>().join("`, `"))
}

/// The runtime's words on one line.
pub(super) fn one_line(text: &str) -> String {
    text.split('\n').map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}
