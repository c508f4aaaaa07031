//! Machine code that stock Cranelift finished, with other source locations and words, and with accesses in pairs.
//!
//! Finished buffers have no setters, so what is in one is written into a new one. What wasm functions of this
//! project do not have (exception handlers, stack maps, patchable calls) is refused.

use crate::error::Unsupported;
use crate::pairs;
use crate::standin::{Places, StandIns};
use crate::words::Plain;
use cranelift_codegen::ir::RelSourceLoc;
use cranelift_codegen::isa::aarch64::inst::Inst;
use cranelift_codegen::{Final, FinalizedRelocTarget, MachBuffer, MachBufferFinalized};

/// What is at an offset of the code; ends before starts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    EndPlace,
    CallSite(Option<u32>),
    /// By number.
    Trap(usize),
    StartPlace(u32),
}

/// `old` with the words of `stand_ins` patched and their source locations replaced, and accesses in pairs that `may_pair`.
/// Source locations of `old` count from 0. Also where stand-ins are, and what was to be found, by offset.
///
/// # Errors
/// [`Unsupported`] if a stand-in became something else, or if the code has what cannot be written anew.
pub(crate) fn rebuilt(
    old: &MachBufferFinalized<Final>,
    stand_ins: &StandIns,
    may_pair: impl Fn(Plain) -> bool,
) -> Result<(MachBuffer<Inst>, Places), Unsupported> {
    let refuse = |what: &str| Err(Unsupported::new("machine code", what));
    if !old.user_stack_maps().is_empty() {
        return refuse("it has stack maps");
    }
    if old.patchable_call_sites().next().is_some() || old.debug_tags().next().is_some() {
        return refuse("it has patchable calls or debug tags");
    }
    let places: Vec<(u32, u32, u32)> =
        old.get_srclocs_sorted().iter().map(|one| (one.start, one.end, one.loc.bits())).collect();
    let mut code = old.data().to_vec();
    let mut seen = stand_ins.patch(&mut code, &places)?;
    let noted = old.traps().iter().map(|trap| trap.offset);
    let noted = noted.chain(old.relocs().iter().map(|reloc| reloc.offset));
    let moved = pairs::pair(&mut code, noted, may_pair);
    let now = |offset: u32| moved.as_ref().map_or(offset, |moved| moved.offset(offset));

    let mut events: Vec<(u32, Event)> = Vec::new();
    for (start, end, place) in places {
        events.push((start, Event::StartPlace(stand_ins.place(place))));
        events.push((end, Event::EndPlace));
    }
    for site in old.call_sites() {
        if !site.exception_handlers.is_empty() {
            return refuse("it has exception handlers");
        }
        events.push((site.ret_addr, Event::CallSite(site.frame_offset)));
    }
    events.extend(old.traps().iter().zip(0..).map(|(trap, at)| (trap.offset, Event::Trap(at))));
    events.sort_unstable();

    let mut buffer: MachBuffer<Inst> = MachBuffer::new();
    let mut done = 0;
    for (offset, event) in events {
        let offset = now(offset);
        buffer.put_data(&code[done as usize..offset as usize]);
        done = offset;
        match event {
            Event::EndPlace => buffer.end_srcloc(),
            Event::StartPlace(place) => {
                buffer.start_srcloc(RelSourceLoc::new(place));
            }
            Event::CallSite(frame) => buffer.add_try_call_site(frame, std::iter::empty()),
            Event::Trap(at) => buffer.add_trap(old.traps()[at].code),
        }
    }
    buffer.put_data(&code[done as usize..]);
    for reloc in old.relocs() {
        let FinalizedRelocTarget::ExternalName(name) = &reloc.target else {
            return refuse("a relocation to a part of itself");
        };
        buffer.add_reloc_at_offset(now(reloc.offset), reloc.kind, &name.clone(), reloc.addend);
    }
    if let Some(layout) = old.frame_layout() {
        buffer.set_frame_layout(layout.clone());
    }
    seen.iter_mut().for_each(|(offset, _)| *offset = now(*offset));
    Ok((buffer, seen))
}
