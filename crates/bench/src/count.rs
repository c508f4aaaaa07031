//! Instructions of another process, counted by the processor where the system lets it.

use perf_event::events::Hardware;
#[cfg(test)]
use perf_event::events::Software;
use perf_event::{Builder, Counter};

/// A counter of what one process does; it stands still outside [`Instructions::during`].
pub(crate) struct Instructions(Counter);

impl Instructions {
    /// A counter of instructions in user mode of the main thread of `process`; `None` where the system
    /// or the virtual machine offers none.
    pub(crate) fn of(process: u32) -> Option<Instructions> {
        Self::build(Builder::new(Hardware::INSTRUCTIONS), process)
    }

    fn build(mut builder: Builder<'_>, process: u32) -> Option<Instructions> {
        let process = i32::try_from(process).ok()?;
        builder.observe_pid(process).build().ok().map(Instructions)
    }

    /// Does `act`, and counts what the process did meanwhile; `None` if the counter was taken away.
    pub(crate) fn during<T>(&mut self, act: impl FnOnce() -> T) -> (T, Option<u64>) {
        let before = self.0.enable().and_then(|()| self.0.read()).ok();
        let result = act();
        let after = self.0.read().ok();
        // It counts on if this fails, which the difference allows for.
        let _ = self.0.disable();
        let count = after.zip(before).and_then(|(after, before)| after.checked_sub(before));
        (result, count.filter(|count| *count > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_does_is_counted() {
        let this = std::process::id();
        let Some(mut clock) = Instructions::build(Builder::new(Software::TASK_CLOCK), this) else {
            println!("skipped 1 check: the system offers no counters");
            return;
        };
        // The test's thread is not the main one of the process, which may be idle.
        let ((), idle) = clock.during(|| ());
        assert!(idle.is_none_or(|ns| ns < 1_000_000_000));
        assert!(Instructions::of(u32::MAX).is_none());
    }
}
