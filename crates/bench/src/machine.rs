//! What the machine is, and what on it may disturb measurements.

use crate::results::Machine;
use std::fs;

/// The processor's time as the system counts it, to tell how much of it others took.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    stolen: u64,
    all: u64,
}

impl Clock {
    /// Reads it; `None` where the system does not tell.
    pub fn now() -> Option<Clock> {
        let text = fs::read_to_string("/proc/stat").ok()?;
        let first = text.lines().next()?.strip_prefix("cpu ")?;
        let fields: Vec<u64> =
            first.split_whitespace().take(8).filter_map(|field| field.parse().ok()).collect();
        Some(Clock { stolen: *fields.get(7)?, all: fields.iter().sum() })
    }

    /// Share of the time since then that the hypervisor gave to others.
    pub fn stolen_since(self) -> Option<f64> {
        let now = Clock::now()?;
        let all = now.all.checked_sub(self.all).filter(|all| *all > 0)?;
        Some(now.stolen.saturating_sub(self.stolen) as f64 / all as f64)
    }
}

/// The machine as it is before a run.
pub fn machine(pinned_to: Option<usize>) -> Machine {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let memory = fs::read_to_string("/proc/meminfo").ok();
    let mut notes = Vec::new();
    let flags = cpuinfo.lines().find(|line| line.starts_with("flags")).unwrap_or_default();
    if flags.split_whitespace().any(|flag| flag == "hypervisor") {
        notes.push("a virtual machine: others share its processors and caches".to_owned());
    }
    notes.push(frequency(pinned_to.unwrap_or(0)));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    if let Some(load) = load().filter(|load| *load > 0.5) {
        notes.push(format!(
            "{load:.1} processes were running on {threads} hardware threads before the run"
        ));
    }
    Machine {
        arch: std::env::consts::ARCH.to_owned(),
        os: std::env::consts::OS.to_owned(),
        cpu: cpu.and_then(|line| Some(line.split_once(':')?.1.trim().to_owned())),
        threads,
        memory_bytes: memory.and_then(|text| kilobytes(&text, "MemTotal")),
        pinned_to,
        notes,
        peaks: None,
    }
}

/// What is known of the clock rate of hardware thread `cpu`.
fn frequency(cpu: usize) -> String {
    let folder = format!("/sys/devices/system/cpu/cpu{cpu}/cpufreq");
    let read =
        |name: &str| Some(fs::read_to_string(format!("{folder}/{name}")).ok()?.trim().to_owned());
    let Some(governor) = read("scaling_governor") else {
        return "the clock rate is not under the system's control; it may change".to_owned();
    };
    let boost = match fs::read_to_string("/sys/devices/system/cpu/cpufreq/boost").ok().as_deref() {
        Some(text) if text.trim() == "0" => ", no boost",
        Some(_) => ", boost on",
        None => "",
    };
    format!("clock rate governed by {governor}{boost}")
}

/// Processes that ran in the last minute, on average.
fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// The value of `KEY:  N kB` in a file of /proc, in bytes.
pub(crate) fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))?;
    let value: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    value.checked_mul(1024)
}

/// The last hardware thread that this process may use, if it may use several: the first has most of
/// the system's own work.
pub fn quiet_cpu() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?.trim();
    let last = list.rsplit([',', '-']).next()?.parse().ok()?;
    (list.contains([',', '-'])).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_by_key() {
        let text = "VmPeak:\t 900 kB\nVmHWM:\t  12 kB\n";
        assert_eq!(kilobytes(text, "VmHWM"), Some(12 << 10));
        assert_eq!(kilobytes(text, "Vm"), None);
    }

    #[test]
    fn a_machine_has_threads_and_notes() {
        let machine = machine(None);
        assert!(machine.threads > 0 && !machine.notes.is_empty());
    }
}
