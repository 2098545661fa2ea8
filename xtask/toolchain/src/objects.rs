//! Cargo, run for the kernel crate with the toolchain that was found.
//!
//! What comes out depends on the sources and the toolchain alone: the environment that an outer cargo, a
//! wrapper such as clippy or Miri, or the user's flags for the host leave behind is taken away, so that every
//! caller shares one target directory and nothing is built twice.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Output},
};

use crate::Toolchain;

/// The package that holds the kernel programs.
pub const PACKAGE: &str = "geodrop-ebpf";

/// The kernel programs of one workspace, built for one kind of machine.
#[derive(Debug, Clone)]
pub struct Kernel {
    workspace: PathBuf,
    architecture: String,
    big_endian: bool,
}

/// One kernel object: an ELF file of BPF code with BTF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The name of its binary target.
    pub name: String,
    /// Where cargo put it.
    pub path: PathBuf,
}

/// Why there are no objects.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The sources could not be listed.
    #[error("cannot list the kernel programs in {}: {error}", .path.display())]
    Sources {
        /// The directory of the binary targets.
        path: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// Cargo could not be started.
    #[error("cannot run {}: {error}", .cargo.display())]
    Start {
        /// The toolchain's cargo.
        cargo: PathBuf,
        /// What went wrong.
        error: io::Error,
    },
    /// Cargo failed, having said why.
    #[error("building the kernel object with {} failed ({status})", .cargo.display())]
    Failed {
        /// The toolchain's cargo.
        cargo: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// What it wrote to standard error, where that was captured.
        stderr: String,
    },
}

impl Kernel {
    /// The kernel programs of the workspace at `workspace`, for a machine of this architecture (rustc's name for
    /// it) and byte order.
    #[must_use]
    pub fn new(workspace: &Path, architecture: &str, big_endian: bool) -> Self {
        // The headers that aya-ebpf binds know one RISC-V; rustc tells riscv64gc from others.
        let architecture = if architecture.starts_with("riscv64") {
            "riscv64"
        } else {
            architecture
        };
        Self {
            workspace: workspace.to_path_buf(),
            architecture: architecture.to_owned(),
            big_endian,
        }
    }

    /// The same, for the machine that this runs on.
    #[must_use]
    pub fn for_this_machine(workspace: &Path) -> Self {
        Self::new(workspace, env::consts::ARCH, cfg!(target_endian = "big"))
    }

    /// Builds every binary of the package, cargo's own output going where ours goes.
    ///
    /// # Errors
    ///
    /// Cargo cannot be run, or fails: it has said why by then.
    pub fn build(&self, toolchain: &Toolchain) -> Result<Vec<Object>, BuildError> {
        let mut command = self.build_command(toolchain);
        let status = command
            .status()
            .map_err(|error| start_error(toolchain, error))?;
        self.objects(toolchain, status, String::new())
    }

    /// Builds every binary of the package and returns what cargo wrote to standard error, which is empty unless
    /// the compiler warns.
    ///
    /// # Errors
    ///
    /// Cargo cannot be run, or fails: what it said is in the error.
    pub fn build_quietly(
        &self,
        toolchain: &Toolchain,
    ) -> Result<(Vec<Object>, String), BuildError> {
        let mut command = self.build_command(toolchain);
        let Output { status, stderr, .. } = command
            .arg("--quiet")
            .env("CARGO_TERM_COLOR", "never")
            .output()
            .map_err(|error| start_error(toolchain, error))?;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        Ok((self.objects(toolchain, status, stderr.clone())?, stderr))
    }

    /// `cargo clippy` for the package alone; what follows `--` may be added. `None` where the toolchain has no
    /// clippy.
    #[must_use]
    pub fn clippy(&self, toolchain: &Toolchain) -> Option<Command> {
        let program = toolchain
            .rust
            .has_clippy()
            .then(|| toolchain.rust.clippy())?;
        let mut command = self.cargo(toolchain, program, "clippy");
        // What it shares with the host is checked there, by the host's clippy.
        command.arg("--no-deps");
        Some(command)
    }

    /// `cargo doc` for the package alone.
    #[must_use]
    pub fn doc(&self, toolchain: &Toolchain) -> Command {
        let mut command = self.cargo(toolchain, cargo(toolchain), "doc");
        command.arg("--no-deps");
        command
    }

    /// The target directory that all builds of the kernel object share: `ebpf` in `CARGO_TARGET_DIR` if that is
    /// an absolute path, else in the workspace's `target`.
    #[must_use]
    pub fn target_directory(&self) -> PathBuf {
        env::var_os("CARGO_TARGET_DIR")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .unwrap_or_else(|| self.workspace.join("target"))
            .join("ebpf")
    }

    fn build_command(&self, toolchain: &Toolchain) -> Command {
        let mut command = self.cargo(toolchain, cargo(toolchain), "build");
        command.arg("--bins");
        command
    }

    /// `program subcommand` for the package, for BPF, with core from its sources.
    fn cargo(&self, toolchain: &Toolchain, program: PathBuf, subcommand: &str) -> Command {
        let mut command = Command::new(program);
        command
            .arg(subcommand)
            .args(["--package", PACKAGE, "--release", "--locked"])
            .args([
                "--target",
                self.target(),
                "-Z",
                "build-std=core",
                "--target-dir",
            ])
            .arg(self.target_directory())
            .current_dir(&self.workspace);
        for (name, _) in env::vars_os() {
            if name.to_str().is_none_or(is_leak) {
                command.env_remove(name);
            }
        }
        // After the profile's own flags, so these win. The linker is among them, not in the environment: cargo
        // then knows that another linker makes another object.
        let architecture = format!("--cfg=bpf_target_arch=\"{}\"", self.architecture);
        let flags = [
            &architecture,
            "-Cdebuginfo=2",
            // Instructions of 32 bits (kernel 5.1): without them every use of a u32 is two shifts.
            "-Ctarget-cpu=v3",
            "-Clink-arg=--btf",
            "-Clinker=",
        ];
        let mut flags = OsString::from(flags.join("\x1f"));
        flags.push(&toolchain.linker.path);
        command.env("CARGO_ENCODED_RUSTFLAGS", flags);
        // The host's release profile is no business of the kernel object's: the linker sees all its bitcode at
        // once anyway, and one codegen unit a crate keeps what it makes the same from build to build.
        command
            .env("CARGO_PROFILE_RELEASE_LTO", "false")
            .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
        toolchain.rust.select(&mut command);
        command
    }

    fn target(&self) -> &'static str {
        if self.big_endian {
            "bpfeb-unknown-none"
        } else {
            "bpfel-unknown-none"
        }
    }

    /// The objects that a build of this status left.
    fn objects(
        &self,
        toolchain: &Toolchain,
        status: ExitStatus,
        stderr: String,
    ) -> Result<Vec<Object>, BuildError> {
        if !status.success() {
            let cargo = cargo(toolchain);
            return Err(BuildError::Failed {
                cargo,
                status,
                stderr,
            });
        }
        let made = self.target_directory().join(self.target()).join("release");
        Ok(self
            .programs()?
            .into_iter()
            .map(|name| Object {
                path: made.join(&name),
                name,
            })
            .collect())
    }

    /// The names of the package's binaries: one file each in `ebpf/src/bin`.
    fn programs(&self) -> Result<Vec<String>, BuildError> {
        let path = self.workspace.join("ebpf/src/bin");
        let list = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&path)? {
                let file = entry?.path();
                if file.extension().is_some_and(|extension| extension == "rs") {
                    names.extend(
                        file.file_stem()
                            .and_then(|name| name.to_str())
                            .map(str::to_owned),
                    );
                }
            }
            names.sort_unstable();
            Ok(names)
        };
        list().map_err(|error| BuildError::Sources { path, error })
    }
}

fn cargo(toolchain: &Toolchain) -> PathBuf {
    toolchain.rust.bin.join("cargo")
}

fn start_error(toolchain: &Toolchain, error: io::Error) -> BuildError {
    BuildError::Start {
        cargo: cargo(toolchain),
        error,
    }
}

/// Whether a variable would carry the outer build into ours: flags and wrappers meant for the host, an outer
/// cargo's choices, and what it tells a build script, which build scripts in our build would take for theirs.
fn is_leak(name: &str) -> bool {
    // How cargo reaches registries and shares the processor holds for us as well.
    const KEPT: [&str; 9] = [
        "CARGO_BUILD_JOBS",
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_MAKEFLAGS",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
        "RUSTUP_HOME",
    ];
    const LEAKS: [&str; 7] = [
        "CARGO", "CLIPPY_", "DEP_", "MIRI", "RUSTC", "RUSTDOC", "RUSTUP_",
    ];
    const EXACT: [&str; 9] = [
        "DEBUG",
        "HOST",
        "LD_LIBRARY_PATH",
        "NUM_JOBS",
        "OPT_LEVEL",
        "OUT_DIR",
        "PROFILE",
        "RUSTFLAGS",
        "TARGET",
    ];
    let starts = |prefix: &&str| name.starts_with(prefix);
    !KEPT.iter().any(starts) && (LEAKS.iter().any(starts) || EXACT.contains(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outer_build_stays_outside() {
        let leaks = [
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_CFG_TARGET_ARCH",
            "CARGO_PROFILE_RELEASE_OPT_LEVEL",
            "CARGO_TARGET_DIR",
            "HOST",
            "LD_LIBRARY_PATH",
            "RUSTC",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTDOCFLAGS",
            "RUSTFLAGS",
            "RUSTUP_TOOLCHAIN",
        ];
        let kept = [
            "CARGO_HOME",
            "CARGO_MAKEFLAGS",
            "CARGO_NET_OFFLINE",
            "HOME",
            "PATH",
            "RUSTUP_HOME",
            "TARGETS",
        ];
        for name in leaks {
            assert!(is_leak(name), "{name}");
        }
        for name in kept {
            assert!(!is_leak(name), "{name}");
        }
    }

    #[test]
    fn a_kernel_knows_one_riscv() {
        assert_eq!(
            Kernel::new(Path::new("/"), "riscv64gc", false).architecture,
            "riscv64"
        );
        assert_eq!(
            Kernel::new(Path::new("/"), "x86_64", false).architecture,
            "x86_64"
        );
    }
}
