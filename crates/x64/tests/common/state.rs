//! Two instances of one module, compared after every call.

use wasmtime::{
    Engine, Extern, Instance, Linker, Module, Ref, Store, Trap, Val, ValType, WasmBacktrace,
};

/// Fuel of each call, where fuel is counted.
const FUEL: u64 = 200_000;

/// Bits of a value, or what kind of reference it is.
pub fn show(value: &Val) -> String {
    match value {
        Val::I32(value) => format!("{value:#x}:i32"),
        Val::I64(value) => format!("{value:#x}:i64"),
        Val::F32(value) => format!("{value:#x}:f32"),
        Val::F64(value) => format!("{value:#x}:f64"),
        Val::V128(value) => format!("{:#x}:v128", value.as_u128()),
        other => format!("null: {}", other.ref_().is_none_or(|value| value.is_null())),
    }
}

/// How a call ended.
#[derive(Debug, PartialEq)]
pub enum Ending {
    /// With these results.
    Results(Vec<String>),
    /// With a trap, in these frames: functions and offsets in the module, innermost first.
    Trap(String, Vec<(u32, Option<usize>)>),
}

impl Ending {
    pub fn overflowed(&self) -> bool {
        matches!(self, Ending::Trap(trap, _) if trap.contains("stack"))
    }

    /// Whether both are the same trap but for the offset in the innermost frame: stock gives the
    /// fault of a load that it folded into another instruction the place of that one.
    pub fn differs_by_folded_load(&self, other: &Ending) -> bool {
        let (Ending::Trap(this, these), Ending::Trap(that, those)) = (self, other) else {
            return false;
        };
        let ([first, outer @ ..], [second, others @ ..]) = (&these[..], &those[..]) else {
            return false;
        };
        this == that && this.contains("memory") && first.0 == second.0 && outer == others
    }
}

/// An instance of one side.
pub struct Side {
    pub store: Store<()>,
    pub instance: Instance,
}

impl Side {
    /// Instantiates `module`; imported functions do nothing and answer zeros.
    pub fn new(engine: &Engine, module: &Module) -> wasmtime::Result<Side> {
        let mut store = Store::new(engine, ());
        let _ = store.set_fuel(FUEL);
        store.set_epoch_deadline(1 << 40);
        let mut linker = Linker::new(engine);
        linker.define_unknown_imports_as_default_values(&mut store, module)?;
        let instance = linker.instantiate(&mut store, module)?;
        Ok(Side { store, instance })
    }

    pub fn call(&mut self, name: &str, args: &[Val]) -> Ending {
        let func = self.instance.get_func(&mut self.store, name).expect("an export");
        let mut results: Vec<Val> = func
            .ty(&self.store)
            .results()
            .map(|ty| Val::default_for_ty(&ty).unwrap_or(Val::I32(0)))
            .collect();
        let _ = self.store.set_fuel(FUEL);
        match func.call(&mut self.store, args, &mut results) {
            Ok(()) => Ending::Results(results.iter().map(show).collect()),
            Err(error) => {
                let trap = match error.downcast_ref::<Trap>() {
                    Some(trap) => trap.to_string(),
                    None => error.root_cause().to_string(),
                };
                let frames = error.downcast_ref::<WasmBacktrace>().map_or_else(Vec::new, |trace| {
                    let frames = trace.frames().iter();
                    frames.map(|frame| (frame.func_index(), frame.module_offset())).collect()
                });
                Ending::Trap(trap, frames)
            }
        }
    }

    /// Everything that a module exports, as text and bytes.
    pub fn state(&mut self) -> Vec<(String, Vec<u8>)> {
        let exports: Vec<(String, Extern)> = self
            .instance
            .exports(&mut self.store)
            .map(|export| (export.name().to_string(), export.into_extern()))
            .collect();
        let mut state =
            vec![("fuel".into(), self.store.get_fuel().unwrap_or(0).to_le_bytes().into())];
        for (name, export) in exports {
            let bytes = match export {
                Extern::Memory(memory) => memory.data(&self.store).to_vec(),
                Extern::Global(global) => show(&global.get(&mut self.store)).into_bytes(),
                Extern::Table(table) => {
                    let size = table.size(&self.store).min(200);
                    let null = |store: &mut Store<()>, at| {
                        table.get(store, at).is_some_and(|value: Ref| value.is_null())
                    };
                    (0..size).map(|at| u8::from(null(&mut self.store, at))).collect()
                }
                _ => continue,
            };
            state.push((name, bytes));
        }
        state
    }
}

/// Calls `name` on both sides and compares results or traps, and all exported state.
///
/// # Errors
/// What differs.
pub fn compare_call(sides: &mut [Side; 2], name: &str, args: &[Val]) -> Result<Ending, String> {
    let [stock, ours] = sides;
    let (wanted, got) = (stock.call(name, args), ours.call(name, args));
    if wanted != got && !wanted.differs_by_folded_load(&got) {
        let args: Vec<String> = args.iter().map(show).collect();
        return Err(format!("{name} {args:?}: stock {wanted:x?}, ours {got:x?}"));
    }
    if wanted.overflowed() {
        return Ok(wanted);
    }
    for ((what, wanted), (_, got)) in stock.state().iter().zip(&ours.state()) {
        if wanted != got {
            let at = wanted.iter().zip(got).position(|(one, other)| one != other);
            return Err(format!("after {name}: {what} differs at {at:?}"));
        }
    }
    Ok(wanted)
}

/// Edge values and noise for a parameter, by a number.
pub fn argument(ty: &ValType, number: u64) -> Val {
    let edges = [0u64, 1, 2, 7, 100, u64::MAX, 1 << 31, (1 << 31) - 1, 1 << 63, 65536, 0x7fc0_0000];
    let value = if number.is_multiple_of(2) {
        edges[(number / 2) as usize % edges.len()]
    } else {
        number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (number % 50)
    };
    match ty {
        ValType::I32 => Val::I32(value as i32),
        ValType::I64 => Val::I64(value as i64),
        ValType::F32 => Val::F32((value as u32).rotate_left((number % 3) as u32 * 8)),
        ValType::F64 => Val::F64(value.rotate_left((number % 3) as u32 * 16)),
        ValType::V128 => {
            let high = value.rotate_left(17).wrapping_mul(number | 1);
            Val::V128((u128::from(value) | u128::from(high) << 64).into())
        }
        ValType::Ref(_) => Val::default_for_ty(ty).unwrap_or(Val::I32(0)),
    }
}
