// SPDX-License-Identifier: Apache-2.0
//! What is in the module: the crates that are compiled into it.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Context, Error, Result};
use crate::module::{self, Checkout};

/// A crate that is compiled into the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) version: String,
    /// An SPDX expression, where the crate gives one.
    pub(super) license: Option<String>,
    /// SHA-256 of the crate's archive; none for what is in the checkout.
    pub(super) checksum: Option<String>,
    /// The crates that it depends on, by their places in the list.
    pub(super) depends_on: Vec<usize>,
}

/// The crates that are compiled into a checkout's module, by name and version; which of them is the module's own.
///
/// # Errors
///
/// When cargo fails or prints something else than it does.
pub(super) fn dependencies(checkout: &Checkout) -> Result<(Vec<Dependency>, usize)> {
    let mut command = checkout.cargo();
    command.args(["tree", "--locked", "--package", "tracegate", "--features", "proxy-wasm", "--target", module::TARGET]);
    command.args(["--edges", "normal,no-proc-macro", "--prefix", "depth", "--no-dedupe", "--format", "\t{p}\t{l}"]);
    let output = command.output().context(|| "can't run cargo tree")?;
    if !output.status.success() {
        return Err(Error::new(format!("`cargo tree` failed: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    let lock = checkout.root().join("Cargo.lock");
    let lock = std::fs::read_to_string(&lock).context(|| format!("can't read {}", lock.display()))?;
    read(&String::from_utf8_lossy(&output.stdout), &checksums(&lock)?)
}

/// Reads lines of `DEPTH \t NAME vVERSION … \t LICENSE`, each below what depends on it.
fn read(tree: &str, checksums: &BTreeMap<(String, String), String>) -> Result<(Vec<Dependency>, usize)> {
    type Key = (String, String);
    let mut crates: BTreeMap<Key, (Option<String>, Vec<Key>)> = BTreeMap::new();
    let mut path: Vec<Key> = Vec::new();
    for line in tree.lines() {
        let read = || {
            let mut columns = line.split('\t');
            let (depth, package, license) = (columns.next()?.parse::<usize>().ok()?, columns.next()?, columns.next()?);
            let mut words = package.split(' ');
            let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
            (depth <= path.len()).then(|| (depth, (name.to_owned(), version.to_owned()), license.to_owned()))
        };
        let (depth, key, license) = read().ok_or_else(|| Error::new(format!("expected a crate from `cargo tree`, found {line:?}")))?;
        path.truncate(depth);
        if let Some((_, depends_on)) = path.last().and_then(|parent| crates.get_mut(parent))
            && !depends_on.contains(&key)
        {
            depends_on.push(key.clone());
        }
        // Crates of before SPDX expressions part alternatives by a slash.
        let license = (!license.is_empty()).then(|| license.replace('/', " OR ").replace("  ", " "));
        crates.entry(key.clone()).or_insert_with(|| (license, Vec::new()));
        path.push(key);
    }
    let root = path.into_iter().next().ok_or_else(|| Error::new("expected crates from `cargo tree`, found none"))?;
    let place = |key: &Key| crates.keys().position(|known| known == key);
    let own = place(&root).unwrap_or_default();
    let list = crates.iter().map(|(key @ (name, version), (license, depends_on))| {
        let mut depends_on: Vec<usize> = depends_on.iter().filter_map(place).collect();
        depends_on.sort_unstable();
        Dependency {
            name: name.clone(),
            version: version.clone(),
            license: license.clone(),
            checksum: checksums.get(key).cloned(),
            depends_on,
        }
    });
    Ok((list.collect(), own))
}

/// The checksums in a lock file, by name and version.
fn checksums(lock: &str) -> Result<BTreeMap<(String, String), String>> {
    #[derive(Deserialize)]
    struct Lock {
        package: Vec<Package>,
    }
    #[derive(Deserialize)]
    struct Package {
        name: String,
        version: String,
        checksum: Option<String>,
    }
    let Lock { package } = toml::from_str(lock).context(|| "Cargo.lock")?;
    Ok(package.into_iter().filter_map(|package| Some(((package.name, package.version), package.checksum?))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_read_as_a_list() {
        let tree =
            "0\troot v1.0.0 (/somewhere)\tApache-2.0\n1\tb v2.0.0\tMIT/Apache-2.0\n2\tc v3.0.0\t\n1\tc v3.0.0\t\n1\ta v1.0.0-rc.1\tMIT\n";
        let lock = "version = 4\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\nsource = \"x\"\nchecksum = \"00ff\"\n[[package]]\nname = \"root\"\nversion = \"1.0.0\"\n";
        let (list, own) = read(tree, &checksums(lock).unwrap()).unwrap();
        let shown: Vec<_> =
            list.iter().map(|one| (one.name.as_str(), one.license.as_deref(), one.checksum.as_deref(), one.depends_on.clone())).collect();
        let expected = [
            ("a", Some("MIT"), None, vec![]),
            ("b", Some("MIT OR Apache-2.0"), Some("00ff"), vec![2]),
            ("c", None, None, vec![]),
            ("root", Some("Apache-2.0"), None, vec![0, 1, 2]),
        ];
        assert_eq!((shown.as_slice(), own), (expected.as_slice(), 3));
        for wrong in ["", "0 root", "1\tb v2.0.0\t", "0\tb 2.0.0\t"] {
            assert!(read(wrong, &BTreeMap::new()).is_err(), "{wrong:?}");
        }
    }
}
