//! Ids of nodes that became copies are used again (`shaders/compact.wgsl`).

use super::kernels::{Buf, Kernel};
use super::{Counter, GpuSaturation, SCAN_ROOTS, Scope};
use crate::GpuError;

impl GpuSaturation<'_> {
    /// Gives all that is kept the lowest ids. The classes are closed, and the host knows of all nodes and unions.
    pub(super) fn compact(&mut self) -> Result<(), GpuError> {
        let before = self.ids;
        // The ids of the caller come first, and stay as they are.
        let roots = (self.loaded, 0);
        self.set(Counter::Indexed, before as u32);
        self.knobs(Scope { roots, ..Scope::default() });
        self.submit(|encoder| {
            self.go(encoder, Kernel::Keep, before);
            self.scan(encoder, SCAN_ROOTS, before);
            self.go(encoder, Kernel::Rename, before);
        });
        let part = self.words(Buf::NextItems) / 8;
        for first in (0..before).step_by(part) {
            let last = before.min(first + part);
            self.knobs(Scope { roots, matches: (first, last), ..Scope::default() });
            self.submit(|encoder| {
                self.go(encoder, Kernel::Lift, last - first);
                self.go(encoder, Kernel::Lower, last - first);
            });
        }
        self.submit(|encoder| {
            self.go(encoder, Kernel::Reparent, before);
            self.go(encoder, Kernel::Shrink, 1);
        });
        if self.host_follows() {
            let names = self.gpu.read(self.buffer(Buf::Order), before)?;
            self.run.readbacks += 1;
            self.host.mirror.rename(&names).ok_or(GpuError::Breach)?;
        }
        self.run.compactions += 1;
        self.ids = self.counters()?[Counter::Ids as usize] as usize;
        self.fill()
    }
}
