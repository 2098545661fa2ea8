//! What machine this is, as far as it decides figures.

use std::{collections::BTreeMap, fs, io, thread};

use serde::{Deserialize, Serialize};

/// A machine and its kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its processor, in its maker's words; empty when it does not tell. In virtual machines these are often the same for
    /// several generations, so that family and model stand behind them where there are such.
    pub cpu: String,
    /// How many of its processors this process may use.
    pub cpus: usize,
    /// How many bytes of memory it has.
    pub memory_bytes: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The instruction set.
    pub architecture: String,
    /// By which rule the kernel sets the clock's frequency (the cpufreq governor of the first processor); null where it does
    /// not, as in most virtual machines.
    pub governor: Option<String>,
    /// What the kernel does against faults of the processor, by the fault: `spectre_v1`, `retbleed` …; those that it is not
    /// affected by are left out.
    pub mitigations: BTreeMap<String, String>,
    /// `net.core.bpf_jit_enable`: 0 no programs are compiled, 1 they are, 2 and the result is logged; null where the kernel does
    /// not tell.
    pub bpf_jit: Option<String>,
    /// `net.core.bpf_jit_harden`: 0 not hardened, 1 for those without privilege, 2 for all.
    pub bpf_jit_harden: Option<String>,
}

impl Machine {
    /// The machine that this process runs on.
    ///
    /// # Errors
    ///
    /// When the proc file system cannot be read.
    pub fn this() -> io::Result<Self> {
        let name = rustix::system::uname();
        Ok(Self {
            cpu: cpu(&fs::read_to_string("/proc/cpuinfo")?),
            cpus: thread::available_parallelism()?.get(),
            memory_bytes: kibibytes(&fs::read_to_string("/proc/meminfo")?, "MemTotal"),
            kernel: name.release().to_string_lossy().into_owned(),
            architecture: name.machine().to_string_lossy().into_owned(),
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            mitigations: mitigations(),
            bpf_jit: line("/proc/sys/net/core/bpf_jit_enable"),
            bpf_jit_harden: line("/proc/sys/net/core/bpf_jit_harden"),
        })
    }
}

/// The processor, as `/proc/cpuinfo` tells of the first one.
fn cpu(text: &str) -> String {
    let name = field(text, "model name");
    match [field(text, "cpu family"), field(text, "model")] {
        ["", _] | [_, ""] => name.to_owned(),
        [family, model] => format!("{name} (family {family}, model {model})"),
    }
}

/// What a file says that has one line; `None` where it cannot be read.
fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned())
}

/// What the kernel tells of `/sys/devices/system/cpu/vulnerabilities`; nothing where it does not.
fn mitigations() -> BTreeMap<String, String> {
    let entries = fs::read_dir("/sys/devices/system/cpu/vulnerabilities");
    let of_file = |path: std::path::PathBuf| {
        let name = path.file_name()?.to_str()?.to_owned();
        Some((name, line(path.to_str()?)?))
    };
    entries
        .into_iter()
        .flatten()
        .filter_map(|entry| of_file(entry.ok()?.path()))
        .filter(|(_, state)| state != "Not affected")
        .collect()
}

/// What stands after a name and a colon in the first line that has it; nothing where none does.
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    text.lines()
        .find_map(|line| {
            let (found, value) = line.split_once(':')?;
            (found.trim() == name).then_some(value.trim())
        })
        .unwrap_or_default()
}

/// A field that says `123 kB`, in bytes.
pub(crate) fn kibibytes(text: &str, name: &str) -> u64 {
    let number = field(text, name).split(' ').next().unwrap_or_default();
    number.parse().map_or(0, |number: u64| number << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_name() {
        let text = "processor\t: 0\nmodel name\t: A: fast one\n\nmodel name\t: another\nMemTotal:  12 kB\n";
        assert_eq!(field(text, "model name"), "A: fast one");
        assert_eq!(field(text, "model"), "");
        assert_eq!(kibibytes(text, "MemTotal"), 12 << 10);
        assert_eq!(kibibytes(text, "MemFree"), 0);
    }

    #[test]
    fn processors_of_one_name_are_told_apart_by_their_model() {
        let text = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\n";
        assert_eq!(cpu(text), "AMD EPYC (family 25, model 17)");
        assert_eq!(cpu("model name\t: Some Core\n"), "Some Core");
        assert_eq!(cpu("processor\t: 0\n"), "");
    }

    #[test]
    fn this_machine_can_be_told() {
        let machine = Machine::this().unwrap();
        assert!(machine.cpus > 0);
        assert!(machine.memory_bytes > 0);
        assert!(!machine.kernel.is_empty());
    }
}
