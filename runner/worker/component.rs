//! Calls of a component's exports.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, Func, InstancePre, Linker, Val};
use wasmtime::{Engine, Store};

use super::bytes::{self, Returned};
use super::guest::Stop;
use super::params::Params;
use super::value::{self, Shape};
use super::wasi::{self, Files, Instance, State, Waiting};
use super::{Refusal, validate};
use crate::item::Input;
use crate::outcome::TrapKind;
use crate::wire::msg::BoundArgument;

/// A component with its imports met.
pub(super) struct Program {
    pre: InstancePre<State>,
    waiting: Waiting,
    functions: Vec<Function>,
    /// The arguments of a call; kept for its memory.
    arguments: Vec<Val>,
}

struct Function {
    index: ComponentExportIndex,
    params: Params,
    result: Option<Shape>,
    /// How to call it with bytes, where there is a short way.
    over_bytes: Option<bytes::Call>,
}

impl Program {
    /// Links a component and finds the functions with these full names.
    pub(super) fn new(
        engine: &Engine,
        component: &Component,
        exports: &[String],
        files: Files,
    ) -> Result<Self, Refusal> {
        let imports = component.component_type().imports(engine).len() > 0;
        // All of WASI takes longer to define than a small guest takes to load.
        let linker = if imports { wasi::component_linker(engine, files) } else { Ok(Linker::new(engine)) };
        let linked = linker.and_then(|linker| linker.instantiate_pre(component));
        let pre = linked.map_err(|error| {
            Refusal::new(format!("cannot be linked: {}", validate::one_line(&format!("{error:#}"))))
        })?;
        component.initialize_copy_on_write_image().map_err(|error| {
            Refusal::new(format!("cannot be loaded: {}", validate::one_line(&format!("{error:#}"))))
        })?;
        let functions =
            exports.iter().map(|name| Function::find(component, name)).collect::<Result<_, _>>()?;
        Ok(Self { pre, waiting: Waiting::start(imports, files), functions, arguments: Vec::new() })
    }

    /// Gives parameters of the function at 0 their values.
    pub(super) fn bind(&mut self, bound: &[BoundArgument]) -> Result<(), Refusal> {
        let Some(function) = self.functions.first_mut().filter(|_| !bound.is_empty()) else { return Ok(()) };
        function.over_bytes = None;
        function.params.bind(bound)
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
        let returned = match (input, function.over_bytes) {
            (Input::Text(bytes) | Input::File { content: bytes, .. }, Some(call)) => {
                let callee = self.callee(store, function)?;
                call(callee, store, bytes).map_err(broken_rule)?
            }
            (Input::Fold(json), _) => Returned::Val(self.fold(store, function, json)?),
            (
                Input::Span { .. }
                | Input::Number(_)
                | Input::Text(_)
                | Input::File { .. }
                | Input::Arguments(_)
                | Input::Json { .. },
                _,
            ) => {
                function.params.arguments(input, &mut self.arguments).map_err(Stop::Input)?;
                let callee = self.callee(store, function)?;
                let mut results = [Val::Bool(false)];
                let results = &mut results[..usize::from(function.result.is_some())];
                callee.call(&mut *store, &self.arguments, results).map_err(broken_rule)?;
                match results {
                    [result] => Returned::Val(std::mem::replace(result, Val::Bool(false))),
                    _ => Returned::Nothing,
                }
            }
        };
        match (&function.result, &returned) {
            (Some(shape), Returned::Val(val)) => value::write_json(shape, val, value).map_err(Stop::Output),
            (_, Returned::Bytes(bytes)) => {
                value::write_bytes(bytes, value);
                Ok(())
            }
            (None, _) | (_, Returned::Nothing) => {
                value.extend_from_slice(b"null");
                Ok(())
            }
        }
    }

    /// The function in the store's instance, which is made if there is none yet.
    fn callee(&self, store: &mut Store<State>, function: &Function) -> Result<Func, Stop> {
        let instance = match store.data().instance {
            Some(Instance::Component(instance)) => instance,
            Some(Instance::Module(_)) | None => {
                let instance = self.pre.instantiate(&mut *store)?;
                store.data_mut().instance = Some(Instance::Component(instance));
                instance
            }
        };
        instance.get_func(&mut *store, function.index).ok_or(Stop::NO_EXPORT)
    }

    /// Folds from the left in one instance, which keeps its state between the merges of one item. A function of one
    /// parameter finishes the value that the fold gives.
    fn fold(&self, store: &mut Store<State>, function: &Function, json: &[u8]) -> Result<Val, Stop> {
        let Some((_, shape)) = function.params.free().first() else {
            return Err(Stop::Input("a function without a parameter merges nothing".to_owned()));
        };
        let mut values = value::fold_values(shape, json).map_err(Stop::Input)?.into_iter();
        let mut merged = values.next().ok_or_else(|| Stop::Input("nothing to merge".to_owned()))?;
        let callee = self.callee(store, function)?;
        let mut call = |arguments: &[Val]| {
            let mut result = [Val::Bool(false)];
            callee.call(&mut *store, arguments, &mut result).map_err(broken_rule)?;
            let [value] = result;
            Ok::<_, Stop>(value)
        };
        for value in values {
            merged = call(&[merged, value])?;
        }
        if function.params.free().len() == 1 { call(&[merged]) } else { Ok(merged) }
    }
}

/// What the runtime refuses without a trap of its own is a value or a handle that breaks the component model.
fn broken_rule(error: wasmtime::Error) -> Stop {
    Stop::Runtime(error, TrapKind::ComponentModel)
}

impl Function {
    fn find(component: &Component, full_name: &str) -> Result<Self, Refusal> {
        let found = match full_name.split_once('#') {
            Some((interface, function)) => component
                .get_export_index(None, interface)
                .and_then(|instance| component.get_export(Some(&instance), function)),
            None => component.get_export(None, full_name),
        };
        let Some((ComponentItem::ComponentFunc(ty), index)) = found else {
            return Err(Refusal::new(format!("has no export `{full_name}`")));
        };
        let refuse = |error| Refusal::new(format!("exports `{full_name}`, which cannot be called: {error}"));
        let params: Vec<_> = ty
            .params()
            .map(|(name, ty)| Ok((name.to_owned(), Shape::new(&ty)?)))
            .collect::<Result<_, String>>()
            .map_err(refuse)?;
        let result = ty.results().next().map(|ty| Shape::new(&ty)).transpose().map_err(refuse)?;
        let over_bytes = bytes::call(&params, result.as_ref());
        Ok(Self { index, params: Params::new(params), result, over_bytes })
    }
}
