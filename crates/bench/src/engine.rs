//! Engines by name, and how each is started.

use crate::peer::Launch;
use egraft::Stage;
use egraft_kernels::{Kernel, ReadError, read_limited};
use serde::Deserialize;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Limit for a peer's descriptor.
const MAX_PEER_BYTES: u64 = 64 << 10;

/// Who runs a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// Wasmtime with its own compiler.
    Stock,
    /// Wasmtime with Egraft, up to a stage.
    Egraft(Stage),
    /// Wasmtime with all of Egraft and the rules of a folder besides.
    EgraftWith(PathBuf),
    /// A kernel's native build, by the descriptor's name for it.
    Native(String),
    /// Another program, by its descriptor's name.
    Peer(String),
}

impl Engine {
    /// All of Egraft.
    pub const EGRAFT: Engine = Engine::Egraft(Stage::Wider);
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Engine::Stock => f.write_str("stock"),
            engine if *engine == Engine::EGRAFT => f.write_str("egraft"),
            Engine::Egraft(stage) => write!(f, "egraft:{stage}"),
            Engine::EgraftWith(rules) => write!(f, "egraft+{}", rules.display()),
            Engine::Native(target) => write!(f, "native:{target}"),
            Engine::Peer(name) => f.write_str(name),
        }
    }
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Engine, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        if let Some(rules) = text.strip_prefix("egraft+").filter(|rules| !rules.is_empty()) {
            return Ok(Engine::EgraftWith(PathBuf::from(rules)));
        }
        match text.split_once(':') {
            None if text == "stock" => Ok(Engine::Stock),
            None if text == "egraft" => Ok(Engine::EGRAFT),
            None if text.starts_with(|c: char| c.is_ascii_alphanumeric())
                && text.chars().all(plain) =>
            {
                Ok(Engine::Peer(text.to_owned()))
            }
            Some(("egraft", stage)) => {
                stage.parse().map(Engine::Egraft).map_err(|error: egraft::Error| error.to_string())
            }
            Some(("native", target)) if !target.is_empty() => Ok(Engine::Native(target.to_owned())),
            _ => Err("there are stock, egraft, egraft:STAGE, egraft+FOLDER, native:TARGET, and names of peers"
                .to_owned()),
        }
    }
}

/// An engine that takes part: with the kernels of this run, or of what it is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entrant {
    /// The engine.
    pub engine: Engine,
    /// Whether it stands for the state before: older kernels or an older Egraft.
    pub base: bool,
}

impl fmt::Display for Entrant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.base {
            f.write_str("base:")?;
        }
        self.engine.fmt(f)
    }
}

impl FromStr for Entrant {
    type Err = String;

    fn from_str(text: &str) -> Result<Entrant, String> {
        let (base, engine) = match text.strip_prefix("base:") {
            Some(engine) => (true, engine),
            None => (false, text),
        };
        Ok(Entrant { engine: engine.parse()?, base })
    }
}

/// Why a peer is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownPeer {
    /// There is no descriptor of this name.
    #[error("there is no engine `{name}`: {}", known(folder.as_deref(), names))]
    Name {
        /// The name.
        name: String,
        /// Where descriptors were looked for.
        folder: Option<PathBuf>,
        /// Those that are there.
        names: Vec<String>,
    },
    /// The descriptor cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The descriptor is none.
    #[error("{}:{}:{}: {error}", path.display(), error.line(), error.column())]
    Json {
        /// The descriptor.
        path: PathBuf,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// It has no command.
    #[error("{}: `command` is empty", path.display())]
    NoCommand {
        /// The descriptor.
        path: PathBuf,
    },
}

fn known(folder: Option<&Path>, names: &[String]) -> String {
    let own = "stock, egraft, egraft:STAGE, native:TARGET";
    match (folder, names) {
        (None, _) => format!("known are {own}; --peers DIR names a folder with others"),
        (Some(folder), []) => format!("known are {own}; {} has no peers", folder.display()),
        (Some(_), names) => format!("known are {own}, {}", names.join(", ")),
    }
}

/// A peer's descriptor, as `bench/peers/README.md` has it.
#[derive(Deserialize)]
struct PeerDescriptor {
    about: String,
    command: Vec<String>,
    setup: String,
    #[serde(default)]
    same_nans: bool,
}

/// The names of the descriptors in a folder.
pub fn peers(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    names
}

/// Where programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The `egraft` whose `engine` command runs stock, Egraft and natives.
    pub egraft: PathBuf,
    /// The same for engines `base:…`.
    pub base_egraft: PathBuf,
    /// Options that choose code: `--effort` and the like.
    pub code: Vec<OsString>,
    /// The folder with peers' descriptors.
    pub peers: Option<PathBuf>,
    /// The hardware thread that engines are bound to.
    pub cpu: Option<usize>,
}

/// An engine that can be started.
#[derive(Debug, Clone)]
pub struct Startable {
    /// Who it is.
    pub entrant: Entrant,
    /// How it is started.
    pub launch: Launch,
    /// Whether NaN bits are Wasmtime's.
    pub same_nans: bool,
    /// What its descriptor says, if it is a peer.
    pub peer: Option<PeerWords>,
}

/// What a peer's descriptor says for people.
#[derive(Debug, Clone)]
pub struct PeerWords {
    /// One line about it.
    pub about: String,
    /// How a user gets it.
    pub setup: String,
}

impl Programs {
    /// How to start `entrant`.
    ///
    /// # Errors
    /// [`UnknownPeer`].
    pub fn find(&self, entrant: &Entrant) -> Result<Startable, UnknownPeer> {
        let Engine::Peer(name) = &entrant.engine else {
            let egraft = if entrant.base { &self.base_egraft } else { &self.egraft };
            let mut arguments: Vec<OsString> =
                vec!["engine".into(), entrant.engine.to_string().into()];
            arguments.extend(self.code.iter().cloned());
            return Ok(Startable {
                entrant: entrant.clone(),
                launch: Launch { program: egraft.clone(), arguments, folder: None, cpu: self.cpu },
                same_nans: true,
                peer: None,
            });
        };
        let folder = self.peers.as_deref();
        let path = folder.map(|folder| folder.join(format!("{name}.json")));
        let Some((folder, path)) = folder.zip(path).filter(|(_, path)| path.exists()) else {
            return Err(UnknownPeer::Name {
                name: name.clone(),
                folder: self.peers.clone(),
                names: self.peers.as_deref().map(peers).unwrap_or_default(),
            });
        };
        let text = read_limited(&path, "a peer's descriptor", MAX_PEER_BYTES)?;
        let peer: PeerDescriptor = serde_json::from_slice(&text)
            .map_err(|error| UnknownPeer::Json { path: path.clone(), error })?;
        let Some((program, arguments)) = peer.command.split_first() else {
            return Err(UnknownPeer::NoCommand { path });
        };
        let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
        let program = match program.contains('/') {
            true => folder.join(program),
            false => program.into(),
        };
        Ok(Startable {
            entrant: entrant.clone(),
            launch: Launch {
                program,
                arguments: arguments.iter().map(Into::into).collect(),
                folder: Some(folder),
                cpu: self.cpu,
            },
            same_nans: peer.same_nans,
            peer: Some(PeerWords { about: peer.about, setup: peer.setup }),
        })
    }
}

impl Startable {
    /// The file that the engine loads for `kernel`; `None` if there is none.
    pub fn module<'k>(&self, kernel: &'k Kernel) -> Option<&'k Path> {
        match &self.entrant.engine {
            Engine::Native(target) => kernel.native.get(target).map(PathBuf::as_path),
            _ => Some(&kernel.wasm),
        }
    }

    /// Whether it may round floating point otherwise than wasm does.
    pub fn is_native(&self) -> bool {
        matches!(self.entrant.engine, Engine::Native(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for name in ["stock", "egraft", "egraft:rules", "native:avx2", "v8-revec", "base:egraft"] {
            assert_eq!(name.parse::<Entrant>().unwrap().to_string(), name);
        }
        for name in ["", "native:", "egraft:nonsense", "../v8", "base:", "a:b"] {
            assert!(name.parse::<Entrant>().is_err(), "{name}");
        }
    }

    #[test]
    fn descriptors_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("good.json", r#"{"about": "x", "command": ["./run", "-O3"], "setup": "make"}"#);
        write("empty.json", r#"{"about": "x", "command": [], "setup": "make"}"#);
        write("bad.json", "{\n \"about\": 1}");
        let programs = Programs {
            egraft: "egraft".into(),
            base_egraft: "old".into(),
            code: vec!["--effort=2".into()],
            peers: Some(folder.path().to_owned()),
            cpu: None,
        };
        let find = |name: &str| programs.find(&name.parse().unwrap());
        assert_eq!(find("good").unwrap().launch.program, folder.path().join("./run"));
        assert_eq!(find("base:stock").unwrap().launch.program, Path::new("old"));
        let refusal = |name: &str| find(name).unwrap_err().to_string();
        assert!(refusal("empty").ends_with("empty.json: `command` is empty"));
        assert!(refusal("bad").contains("bad.json:2:11: invalid type"));
        assert!(refusal("v9").contains("there is no engine `v9`: known are stock, "));
        assert!(refusal("v9").ends_with("bad, empty, good"));
    }
}
