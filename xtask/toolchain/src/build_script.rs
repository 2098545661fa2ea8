//! The kernel objects as a cargo build script makes them: copied to `OUT_DIR`, one file for each, named like its
//! binary target, for `include_bytes!` to embed.

use std::{env, fs, io, path::PathBuf, process::ExitCode};

use crate::{
    Kernel, Object, Places, Toolchain, Unready,
    objects::BuildError,
    places::{LINKER_VARIABLE, TOOLCHAIN_VARIABLE, UnknownWay},
};

/// Why the build script fails.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    UnknownWay(#[from] UnknownWay),
    #[error(transparent)]
    Unready(#[from] Unready),
    #[error(transparent)]
    Build(#[from] BuildError),
    #[error("{0} is not set: this runs as cargo's build script only")]
    NotCargo(&'static str),
    #[error("cannot copy {} to {}: {error}", .from.display(), .to.display())]
    Copy {
        from: PathBuf,
        to: PathBuf,
        error: io::Error,
    },
}

/// Builds the kernel objects of the workspace whose member this build script belongs to.
///
/// Where no toolchain is found, cargo prints one line that says so.
#[must_use]
pub fn run() -> ExitCode {
    match embed() {
        Ok(()) => ExitCode::SUCCESS,
        // The compiler's own page is what helps here. Cargo shows it only if the build script fails.
        Err(Failure::Build(BuildError::Failed { stderr, .. })) => {
            eprintln!("{stderr}");
            ExitCode::FAILURE
        }
        // Cargo fails the build for this line alone; were the exit status bad as well, it would print the whole
        // output of the build script below it.
        Err(failure) => {
            println!("cargo::error={failure}");
            ExitCode::SUCCESS
        }
    }
}

fn embed() -> Result<(), Failure> {
    let variable = |name| env::var(name).map_err(|_| Failure::NotCargo(name));
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let out = PathBuf::from(variable("OUT_DIR")?);
    let workspace = package.parent().unwrap_or(&package);
    let kernel = Kernel::new(
        workspace,
        &variable("CARGO_CFG_TARGET_ARCH")?,
        variable("CARGO_CFG_TARGET_ENDIAN")? == "big",
    );

    let toolchain = Toolchain::find(&Places::from_env()?)?;
    let (objects, stderr) = kernel.build_quietly(&toolchain)?;
    for Object { name, path } in objects {
        let to = out.join(name);
        fs::copy(&path, &to).map_err(|error| Failure::Copy {
            from: path,
            to,
            error,
        })?;
    }
    for warning in warnings(&stderr) {
        println!("cargo::warning={warning}");
    }
    // Only now: a build script that fails runs again whatever it said, and cargo would print all this.
    for name in [TOOLCHAIN_VARIABLE, LINKER_VARIABLE] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    let sources = ["Cargo.lock", "Cargo.toml", "common", "ebpf"].map(|name| workspace.join(name));
    let tools = [toolchain.rust.bin.join("rustc"), toolchain.linker.path];
    for path in sources.iter().chain(&tools) {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    Ok(())
}

/// The compiler's warnings, a line each: `unused variable: `x` (ebpf/src/bin/filter.rs:10:5)`. Cargo shows a build
/// script's warnings line by line, and puts words of its own before each.
fn warnings(stderr: &str) -> Vec<String> {
    let mut warnings: Vec<String> = Vec::new();
    let mut open = false;
    for line in stderr.lines() {
        if let Some(warning) = line.strip_prefix("warning: ") {
            warnings.push(warning.to_owned());
            open = true;
        } else if let (true, Some(place), Some(last)) = (
            open,
            line.trim_start().strip_prefix("--> "),
            warnings.last_mut(),
        ) {
            *last = format!("{last} ({place})");
            open = false;
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_is_one_line_with_its_place() {
        let stderr = "\
warning: unused variable: `x`
  --> ebpf/src/bin/filter.rs:10:5
   |
10 |     let x = 1;
   |         ^
   = note: see --> there

warning: `geodrop-ebpf` (bin \"filter\") generated 1 warning
";
        assert_eq!(
            warnings(stderr),
            [
                "unused variable: `x` (ebpf/src/bin/filter.rs:10:5)",
                "`geodrop-ebpf` (bin \"filter\") generated 1 warning"
            ]
        );
        assert!(warnings("").is_empty());
    }
}
