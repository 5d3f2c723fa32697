//! Calls of a plain core module's exports: numbers in, numbers out.

use wasmtime::component::Val as ComponentVal;
use wasmtime::{Engine, InstancePre, Linker, Module, ModuleExport, Store, Val, ValType};

use super::guest::Stop;
use super::params::Params;
use super::value::{self, Shape};
use super::wasi::{self, Files, Instance, State, Waiting};
use super::{Refusal, validate};
use crate::guest::Integers;
use crate::item::Input;
use crate::wire::msg::BoundArgument;

/// A module with its imports met.
pub(super) struct Program {
    pre: InstancePre<State>,
    waiting: Waiting,
    /// A reactor's entry: to be called once before anything else.
    initialize: Option<ModuleExport>,
    functions: Vec<Function>,
    /// The arguments of a call; kept for their memory.
    arguments: Vec<ComponentVal>,
}

struct Function {
    export: ModuleExport,
    params: Params,
    results: Vec<ValType>,
    /// What is returned: a tuple if there are several results.
    result: Option<Shape>,
    integers: Integers,
}

impl Program {
    /// Links a module and finds the functions with these names.
    pub(super) fn new(
        engine: &Engine,
        module: &Module,
        exports: &[String],
        integers: Integers,
        files: Files,
    ) -> Result<Self, Refusal> {
        let imports = module.imports().len() > 0;
        let linker = if imports { wasi::module_linker(engine, files) } else { Ok(Linker::new(engine)) };
        let linked = linker.and_then(|linker| linker.instantiate_pre(module));
        let pre = linked.map_err(|error| {
            Refusal::new(format!("cannot be linked: {}", validate::one_line(&format!("{error:#}"))))
        })?;
        module.initialize_copy_on_write_image().map_err(|error| {
            Refusal::new(format!("cannot be loaded: {}", validate::one_line(&format!("{error:#}"))))
        })?;
        let takes_nothing = |ty: &wasmtime::FuncType| ty.params().len() == 0 && ty.results().len() == 0;
        let initialize = module
            .get_export("_initialize")
            .and_then(|ty| {
                ty.func().is_some_and(takes_nothing).then(|| module.get_export_index("_initialize"))
            })
            .flatten();
        let functions =
            exports.iter().map(|name| Function::find(module, name, integers)).collect::<Result<_, _>>()?;
        Ok(Self {
            pre,
            waiting: Waiting::start(imports, files),
            initialize,
            functions,
            arguments: Vec::new(),
        })
    }

    /// Gives parameters of the function at 0 their values.
    pub(super) fn bind(&mut self, bound: &[BoundArgument]) -> Result<(), Refusal> {
        self.functions.first_mut().map_or(Ok(()), |function| function.params.bind(bound))
    }

    /// The store's instance, which is made if there is none yet.
    fn instance(&self, store: &mut Store<State>) -> wasmtime::Result<wasmtime::Instance> {
        match store.data().instance {
            Some(Instance::Module(instance)) => Ok(instance),
            Some(Instance::Component(_)) | None => {
                let instance = self.initialized(store)?;
                store.data_mut().instance = Some(Instance::Module(instance));
                Ok(instance)
            }
        }
    }

    fn initialized(&self, store: &mut Store<State>) -> wasmtime::Result<wasmtime::Instance> {
        let instance = self.pre.instantiate(&mut *store)?;
        if let Some(initialize) = &self.initialize
            && let Some(function) =
                instance.get_module_export(&mut *store, initialize).and_then(wasmtime::Extern::into_func)
        {
            function.call(&mut *store, &[], &mut [])?;
        }
        Ok(instance)
    }

    /// Calls an export in the store's instance and appends what it returns, as JSON, to `value`.
    pub(super) fn call(
        &mut self,
        store: &mut Store<State>,
        export: usize,
        input: Input<'_>,
        value: &mut Vec<u8>,
    ) -> Result<(), Stop> {
        let _waiting = self.waiting.enter();
        let function = &self.functions[export];
        let returned = match input {
            Input::Fold(json) => Some(self.fold(store, function, json)?),
            Input::Span { .. }
            | Input::Number(_)
            | Input::Text(_)
            | Input::File { .. }
            | Input::Arguments(_)
            | Input::Json { .. } => {
                function.params.arguments(input, &mut self.arguments).map_err(Stop::Input)?;
                let instance = self.instance(store)?;
                function.call(store, instance, &self.arguments)?
            }
        };
        match (&function.result, &returned) {
            (Some(shape), Some(val)) => value::write_json(shape, val, value).map_err(Stop::Output),
            _ => {
                value.extend_from_slice(b"null");
                Ok(())
            }
        }
    }

    fn fold(&self, store: &mut Store<State>, function: &Function, json: &[u8]) -> Result<ComponentVal, Stop> {
        let Some((_, shape)) = function.params.free().first() else {
            return Err(Stop::Input("a function without a parameter merges nothing".to_owned()));
        };
        let mut values = value::fold_values(shape, json).map_err(Stop::Input)?.into_iter();
        let mut merged = values.next().ok_or_else(|| Stop::Input("nothing to merge".to_owned()))?;
        let instance = self.instance(store)?;
        for value in values {
            merged = function.call(store, instance, &[merged, value])?.ok_or(Stop::NO_EXPORT)?;
        }
        if function.params.free().len() == 1 {
            merged = function.call(store, instance, &[merged])?.ok_or(Stop::NO_EXPORT)?;
        }
        Ok(merged)
    }
}

impl Function {
    fn find(module: &Module, name: &str, integers: Integers) -> Result<Self, Refusal> {
        let ty = module.get_export(name).and_then(|ty| ty.func().cloned());
        let (Some(ty), Some(export)) = (ty, module.get_export_index(name)) else {
            return Err(Refusal::new(format!("has no export `{name}`")));
        };
        let refuse = |ty| Refusal::new(format!("exports `{name}`, which cannot be called: it has a `{ty}`"));
        let params = ty
            .params()
            .enumerate()
            .map(|(position, ty)| Ok((format!("p{position}"), shape(&ty, integers)?)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(refuse)?;
        let results = ty.results().map(|ty| shape(&ty, integers)).collect::<Result<Vec<_>, _>>();
        let mut results = results.map_err(refuse)?;
        let result = if results.len() > 1 { Some(Shape::Tuple(results)) } else { results.pop() };
        let params = Params::new(params);
        Ok(Self { export, params, results: ty.results().collect(), result, integers })
    }

    fn call(
        &self,
        store: &mut Store<State>,
        instance: wasmtime::Instance,
        arguments: &[ComponentVal],
    ) -> Result<Option<ComponentVal>, Stop> {
        let callee =
            instance.get_module_export(&mut *store, &self.export).and_then(wasmtime::Extern::into_func);
        let callee = callee.ok_or(Stop::NO_EXPORT)?;
        let arguments = arguments.iter().map(lower).collect::<Option<Vec<_>>>().ok_or(Stop::NO_EXPORT)?;
        let mut results = self.results.iter().map(|_| Val::I32(0)).collect::<Vec<_>>();
        callee.call(&mut *store, &arguments, &mut results)?;
        let mut results = results
            .iter()
            .map(|val| lift(val, self.integers))
            .collect::<Option<Vec<_>>>()
            .ok_or(Stop::NO_EXPORT)?;
        Ok(if results.len() > 1 { Some(ComponentVal::Tuple(results)) } else { results.pop() })
    }
}

/// The component type that a number is treated as.
fn shape(ty: &ValType, integers: Integers) -> Result<Shape, String> {
    match (ty, integers) {
        (ValType::I32, Integers::Signed) => Ok(Shape::S32),
        (ValType::I32, Integers::Unsigned) => Ok(Shape::U32),
        (ValType::I64, Integers::Signed) => Ok(Shape::S64),
        (ValType::I64, Integers::Unsigned) => Ok(Shape::U64),
        (ValType::F32, _) => Ok(Shape::F32),
        (ValType::F64, _) => Ok(Shape::F64),
        (ValType::V128 | ValType::Ref(_), _) => Err(ty.to_string()),
    }
}

fn lower(val: &ComponentVal) -> Option<Val> {
    match val {
        ComponentVal::S32(value) => Some(Val::I32(*value)),
        ComponentVal::U32(value) => Some(Val::I32(value.cast_signed())),
        ComponentVal::S64(value) => Some(Val::I64(*value)),
        ComponentVal::U64(value) => Some(Val::I64(value.cast_signed())),
        ComponentVal::Float32(value) => Some(Val::F32(value.to_bits())),
        ComponentVal::Float64(value) => Some(Val::F64(value.to_bits())),
        _ => None,
    }
}

fn lift(val: &Val, integers: Integers) -> Option<ComponentVal> {
    match (val, integers) {
        (Val::I32(value), Integers::Signed) => Some(ComponentVal::S32(*value)),
        (Val::I32(value), Integers::Unsigned) => Some(ComponentVal::U32(value.cast_unsigned())),
        (Val::I64(value), Integers::Signed) => Some(ComponentVal::S64(*value)),
        (Val::I64(value), Integers::Unsigned) => Some(ComponentVal::U64(value.cast_unsigned())),
        (Val::F32(bits), _) => Some(ComponentVal::Float32(f32::from_bits(*bits))),
        (Val::F64(bits), _) => Some(ComponentVal::Float64(f64::from_bits(*bits))),
        _ => None,
    }
}
