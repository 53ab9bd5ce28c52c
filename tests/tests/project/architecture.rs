//! The shape of the house, kept by a test: who may depend on whom, and how large a file may grow.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// Who may depend on whom inside the workspace (normal dependencies). An arrow that is not here is forbidden.
const ARROWS: &[(&str, &[&str])] = &[
    ("hermes-wire", &[]),
    ("hermes-protocol", &["hermes-wire"]),
    ("hermes-engine", &["hermes-protocol", "hermes-wire"]),
    ("hermes-api", &[]),
    ("hermes-config", &[]),
    ("hermes-link", &["hermes-wire"]),
    ("hermes-relay", &["hermes-config", "hermes-link", "hermes-wire"]),
    ("hermesd", &["hermes-api", "hermes-config", "hermes-engine", "hermes-link", "hermes-wire"]),
    ("hermesctl", &["hermes-api", "hermes-config"]),
];

/// What the pure crates never reach, however indirectly.
const IMPURE: &[&str] = &["tokio", "quinn", "rusqlite", "axum"];
const PURE: &[&str] = &["hermes-wire", "hermes-protocol", "hermes-engine"];

/// The two arrows that state the security claim.
const NEVER: &[(&str, &[&str])] = &[
    // The relay cannot even name a ratchet.
    ("hermes-relay", &["hermes-protocol", "hermes-engine"]),
    // The command line cannot touch a key.
    ("hermesctl", &["hermes-protocol", "hermes-engine"]),
];

const FILE_LINES: usize = 800;

#[test]
fn arrows_are_the_declared_ones() {
    let graph = Graph::read();
    for (package, allowed) in ARROWS {
        let hermes: BTreeSet<_> =
            graph.direct(package).into_iter().filter(|name| name.starts_with("hermes")).collect();
        let allowed: BTreeSet<_> = allowed.iter().map(ToString::to_string).collect();
        let extra: Vec<_> = hermes.difference(&allowed).collect();
        assert!(extra.is_empty(), "{package} must not depend on {extra:?}");
    }
}

#[test]
fn relay_and_cli_reach_no_keys() {
    let graph = Graph::read();
    for (package, never) in NEVER {
        let reached = graph.reachable(package);
        for name in *never {
            assert!(!reached.contains(*name), "{package} reaches {name}");
        }
    }
}

#[test]
fn pure_crates_reach_no_io() {
    let graph = Graph::read();
    for package in PURE {
        let reached = graph.reachable(package);
        for name in IMPURE {
            assert!(!reached.contains(*name), "{package} reaches {name}");
        }
    }
}

#[test]
fn files_stay_readable() {
    let mut long = Vec::new();
    for file in sources(&workspace_root()) {
        let lines = fs::read_to_string(&file).expect("a source file is UTF-8").lines().count();
        if lines > FILE_LINES {
            long.push(format!("{} has {lines} lines", file.display()));
        }
    }
    assert!(long.is_empty(), "over {FILE_LINES} lines: {long:#?}");
}

/// Normal dependencies by package name, features as resolved.
struct Graph(BTreeMap<String, BTreeSet<String>>);

impl Graph {
    fn read() -> Self {
        let metadata = MetadataCommand::new().exec().expect("cargo metadata runs");
        let names: BTreeMap<&PackageId, &str> =
            metadata.packages.iter().map(|p| (&p.id, p.name.as_str())).collect();
        Self(edges(&metadata, &names))
    }

    fn direct(&self, package: &str) -> BTreeSet<String> {
        self.0.get(package).unwrap_or_else(|| panic!("no package {package}")).clone()
    }

    fn reachable(&self, package: &str) -> BTreeSet<String> {
        let mut reached = BTreeSet::new();
        let mut open = vec![package.to_owned()];
        while let Some(name) = open.pop() {
            for next in self.0.get(&name).into_iter().flatten() {
                if reached.insert(next.clone()) {
                    open.push(next.clone());
                }
            }
        }
        reached
    }
}

fn edges(metadata: &Metadata, names: &BTreeMap<&PackageId, &str>) -> BTreeMap<String, BTreeSet<String>> {
    let resolve = metadata.resolve.as_ref().expect("metadata is resolved");
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in &resolve.nodes {
        let normal = node
            .deps
            .iter()
            .filter(|dep| dep.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal))
            .map(|dep| names[&dep.pkg].to_owned());
        edges.entry(names[&node.id].to_owned()).or_default().extend(normal);
    }
    edges
}

fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ stands in the workspace").to_owned()
}

fn sources(root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root).expect("a directory of the workspace").flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let skipped = name == "target" || name.to_string_lossy().starts_with('.');
        if path.is_dir() && !skipped {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
