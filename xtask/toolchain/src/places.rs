//! Where this process looks for tools, read from the environment once.
//!
//! Everything else takes a [`Places`], so tests point it at directories of their own.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::Way;

/// The variable that restricts the search to one [`Way`].
pub const TOOLCHAIN_VARIABLE: &str = "GEODROP_EBPF_TOOLCHAIN";

/// The variable that names the `bpf-linker` to use.
pub const LINKER_VARIABLE: &str = "GEODROP_BPF_LINKER";

/// Where to look for tools.
#[derive(Debug, Clone)]
pub struct Places {
    /// The directories of `PATH`.
    pub path: Vec<PathBuf>,
    /// The ways to try, in order.
    pub ways: Vec<Way>,
    /// The linker that the user named.
    pub linker: Option<PathBuf>,
    /// geodrop's directory among the user's data: what `cargo xtask setup` builds for itself is there.
    pub data: Option<PathBuf>,
    /// Where the distribution's compiler is.
    pub system: PathBuf,
}

/// The environment asks for something that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("{TOOLCHAIN_VARIABLE} is {0:?}: set it to `rustup` or `debian`, or unset it")]
pub struct UnknownWay(OsString);

impl Places {
    /// Reads `PATH`, `HOME`, `XDG_DATA_HOME` and geodrop's own two variables.
    ///
    /// # Errors
    ///
    /// `GEODROP_EBPF_TOOLCHAIN` names no way.
    pub fn from_env() -> Result<Self, UnknownWay> {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        let ways = match set(TOOLCHAIN_VARIABLE) {
            None => Way::ALL.to_vec(),
            Some(name) => vec![
                Way::ALL
                    .into_iter()
                    .find(|way| name == way.name())
                    .ok_or(UnknownWay(name))?,
            ],
        };
        // XDG asks that a relative path there be ignored.
        let data_home = set("XDG_DATA_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
            .or_else(|| Some(PathBuf::from(set("HOME")?).join(".local/share")));
        Ok(Self {
            path: set("PATH").map_or_else(Vec::new, |path| env::split_paths(&path).collect()),
            ways,
            linker: set(LINKER_VARIABLE).map(PathBuf::from),
            data: data_home.map(|home| home.join("geodrop")),
            system: PathBuf::from("/usr/bin"),
        })
    }

    /// The first file of this name on `PATH` that may be executed.
    #[must_use]
    pub fn program(&self, name: &str) -> Option<PathBuf> {
        self.path
            .iter()
            .map(|directory| directory.join(name))
            .find(|path| is_executable(path))
    }
}

/// Whether this is a file with an execute bit.
pub(crate) fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}
