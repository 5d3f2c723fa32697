//! What a guest offers, read from its types.

use wasmparser::component_types::{
    ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType, ComponentFuncType,
    ComponentInstanceTypeId, ComponentValType,
};
use wasmparser::types::{EntityType, Types};
use wasmparser::{PrimitiveValType, ValType};

use super::validate::Outline;
use crate::guest::{Description, Export, GuestKind, MAX_NESTING, ValueType};

/// Describes a component.
pub(super) fn component(outline: &Outline) -> Description {
    let mut exports = Vec::new();
    for name in &outline.exports {
        match outline.export(name) {
            Some(ComponentEntityType::Func(id)) if is_plain(name) => {
                let namer = Namer::new(&outline.types, None);
                exports.push(namer.export(None, name, &outline.types[*id]));
            }
            Some(ComponentEntityType::Instance(id)) if !is_command(name) => {
                let namer = Namer::new(&outline.types, Some(*id));
                for (function, item) in &outline.types[*id].exports {
                    if let ComponentEntityType::Func(id) = item.ty
                        && is_plain(function)
                    {
                        exports.push(namer.export(Some(name), function, &outline.types[id]));
                    }
                }
            }
            _ => {}
        }
    }
    let mut imports = outline.imports.clone();
    imports.sort_unstable();
    Description { kind: GuestKind::Component, exports, imports, initial_memory: outline.initial_memory }
}

/// Describes a core module.
pub(super) fn module(outline: &Outline) -> Description {
    let types = outline.types.as_ref();
    let mut exports = Vec::new();
    for (name, entity) in types.core_exports().into_iter().flatten() {
        let (EntityType::Func(id) | EntityType::FuncExact(id)) = entity else { continue };
        if is_machinery(name) {
            continue;
        }
        let signature = types[id].unwrap_func();
        let param = |(position, ty): (usize, &ValType)| (format!("p{position}"), number(*ty));
        let results = signature.results();
        exports.push(Export {
            interface: None,
            function: name.to_owned(),
            params: signature.params().iter().enumerate().map(param).collect(),
            result: match results {
                [] => None,
                [one] => Some(number(*one)),
                many => Some(ValueType::Tuple(many.iter().map(|ty| number(*ty)).collect())),
            },
        });
    }
    let imports = types.core_imports().into_iter().flatten();
    let mut imports = imports.map(|(module, name, _)| format!("{module}.{name}")).collect::<Vec<_>>();
    imports.sort_unstable();
    imports.dedup();
    Description { kind: GuestKind::Module, exports, imports, initial_memory: outline.initial_memory }
}

/// Whether this is a function on its own and not part of a resource: `[method]list.push`.
fn is_plain(function: &str) -> bool {
    !function.starts_with('[')
}

/// A command's entry is run, not called.
fn is_command(interface: &str) -> bool {
    interface.split('@').next() == Some("wasi:cli/run")
}

/// What toolchains export for themselves.
fn is_machinery(function: &str) -> bool {
    matches!(function, "_start" | "_initialize") || function.starts_with("cabi_")
}

fn number(ty: ValType) -> ValueType {
    match ty {
        ValType::I32 => ValueType::S32,
        ValType::I64 => ValueType::S64,
        ValType::F32 => ValueType::F32,
        ValType::F64 => ValueType::F64,
        ValType::V128 | ValType::Ref(_) => ValueType::Other(ty.to_string()),
    }
}

/// Turns types into ours; the instance they are exported with knows their names.
struct Namer<'a> {
    types: &'a Types,
    instance: Option<ComponentInstanceTypeId>,
    /// How many more types may be inside each other.
    levels: u32,
}

impl<'a> Namer<'a> {
    fn new(types: &'a Types, instance: Option<ComponentInstanceTypeId>) -> Self {
        Self { types, instance, levels: MAX_NESTING }
    }

    fn export(&self, interface: Option<&str>, function: &str, ty: &ComponentFuncType) -> Export {
        Export {
            interface: interface.map(str::to_owned),
            function: function.to_owned(),
            params: ty.params.iter().map(|(name, ty)| (name.to_string(), self.value(*ty))).collect(),
            result: ty.result.map(|ty| self.value(ty)),
        }
    }

    fn value(&self, ty: ComponentValType) -> ValueType {
        match ty {
            ComponentValType::Primitive(primitive) => self::primitive(primitive),
            ComponentValType::Type(id) => self.defined(id),
        }
    }

    fn defined(&self, id: ComponentDefinedTypeId) -> ValueType {
        // The host reads no deeper.
        let Some(levels) = self.levels.checked_sub(1) else { return ValueType::Other("…".to_owned()) };
        let inside = Self { levels, ..*self };
        let boxed = |ty: ComponentValType| Box::new(inside.value(ty));
        match &self.types[id] {
            ComponentDefinedType::Primitive(primitive) => self::primitive(*primitive),
            ComponentDefinedType::List { element, .. } => ValueType::List(boxed(*element)),
            ComponentDefinedType::Option { ty, .. } => ValueType::Option(boxed(*ty)),
            ComponentDefinedType::Tuple(tuple) => {
                ValueType::Tuple(tuple.types.iter().map(|ty| inside.value(*ty)).collect())
            }
            ComponentDefinedType::Record(record) => {
                let fields = record.fields.iter();
                ValueType::Record(fields.map(|(name, ty)| (name.to_string(), inside.value(*ty))).collect())
            }
            ComponentDefinedType::Variant(variant) => {
                let case = |ty: Option<ComponentValType>| ty.map(|ty| inside.value(ty));
                let cases = variant.cases.iter();
                ValueType::Variant(cases.map(|(name, ty)| (name.to_string(), case(ty.ty))).collect())
            }
            ComponentDefinedType::Enum(cases) => {
                ValueType::Enum(cases.iter().map(ToString::to_string).collect())
            }
            ComponentDefinedType::Flags(names) => {
                ValueType::Flags(names.iter().map(ToString::to_string).collect())
            }
            ComponentDefinedType::Result { ok, err, .. } => {
                ValueType::Result { ok: ok.map(boxed), err: err.map(boxed) }
            }
            other => ValueType::Other(self.name(id).unwrap_or_else(|| inside.spelled(other))),
        }
    }

    /// The name under which the interface exports a type.
    fn name(&self, id: ComponentDefinedTypeId) -> Option<String> {
        let exports = &self.types[self.instance?].exports;
        let is_it = |ty: &ComponentEntityType| match ty {
            ComponentEntityType::Type { created, .. } => {
                ComponentDefinedTypeId::try_from(*created).is_ok_and(|created| created == id)
            }
            _ => false,
        };
        exports.iter().find(|(_, item)| is_it(&item.ty)).map(|(name, _)| name.clone())
    }

    /// A type without a name of its own, as WIT writes it.
    fn spelled(&self, ty: &ComponentDefinedType) -> String {
        let or_hole = |ty: Option<ComponentValType>| match ty {
            Some(ty) => self.value(ty).to_string(),
            None => "_".to_owned(),
        };
        match ty {
            ComponentDefinedType::FixedLengthList { element, length, .. } => {
                format!("list<{}, {length}>", self.value(*element))
            }
            ComponentDefinedType::Map { key, value, .. } => {
                format!("map<{}, {}>", self.value(*key), self.value(*value))
            }
            ComponentDefinedType::Future { ty, .. } => format!("future<{}>", or_hole(*ty)),
            ComponentDefinedType::Stream { ty, .. } => format!("stream<{}>", or_hole(*ty)),
            ComponentDefinedType::Own(_) => "own".to_owned(),
            ComponentDefinedType::Borrow(_) => "borrow".to_owned(),
            ComponentDefinedType::Primitive(_)
            | ComponentDefinedType::List { .. }
            | ComponentDefinedType::Option { .. }
            | ComponentDefinedType::Tuple(_)
            | ComponentDefinedType::Record(_)
            | ComponentDefinedType::Variant(_)
            | ComponentDefinedType::Flags(_)
            | ComponentDefinedType::Enum(_)
            | ComponentDefinedType::Result { .. } => "type".to_owned(),
        }
    }
}

fn primitive(ty: PrimitiveValType) -> ValueType {
    match ty {
        PrimitiveValType::Bool => ValueType::Bool,
        PrimitiveValType::S8 => ValueType::S8,
        PrimitiveValType::U8 => ValueType::U8,
        PrimitiveValType::S16 => ValueType::S16,
        PrimitiveValType::U16 => ValueType::U16,
        PrimitiveValType::S32 => ValueType::S32,
        PrimitiveValType::U32 => ValueType::U32,
        PrimitiveValType::S64 => ValueType::S64,
        PrimitiveValType::U64 => ValueType::U64,
        PrimitiveValType::F32 => ValueType::F32,
        PrimitiveValType::F64 => ValueType::F64,
        PrimitiveValType::Char => ValueType::Char,
        PrimitiveValType::String => ValueType::String,
        PrimitiveValType::ErrorContext => ValueType::Other("error-context".to_owned()),
    }
}
