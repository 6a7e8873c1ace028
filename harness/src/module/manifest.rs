// SPDX-License-Identifier: Apache-2.0
//! What a module file says of itself, told without running it: its custom section `tracegate`, `{"version":"…","schema":1}`.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use tracegate::Policy;

use crate::error::{Context, Error, Result};
use crate::varint;

/// What a module of ours says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Manifest {
    /// Its version.
    pub version: String,
    /// The newest policy schema that it reads.
    pub schema: u64,
}

impl Manifest {
    /// What a module says of itself; `None` where it isn't one of ours.
    ///
    /// # Errors
    ///
    /// When `wasm` isn't a whole module.
    pub fn read(wasm: &[u8]) -> Result<Option<Self>, InvalidModule> {
        let mut manifest = None;
        for section in Sections::of(wasm)? {
            let Section { id: CUSTOM, mut contents } = section? else { continue };
            if take_name(&mut contents) == Some(b"tracegate") {
                manifest = serde_json::from_slice(contents).ok();
            }
        }
        Ok(manifest)
    }

    /// What the module in a file says of itself.
    ///
    /// # Errors
    ///
    /// When the file can't be read, isn't a whole module, or is no module of ours.
    pub fn of_file(path: &Path) -> Result<Self> {
        let wasm = std::fs::read(path).context(|| format!("can't read {}", path.display()))?;
        let manifest = Self::read(&wasm).context(|| path.display().to_string())?;
        manifest.ok_or_else(|| Error::new(format!("{}: expected a module of tracegate, found one that says of no version", path.display())))
    }

    /// Whether the module reads the schema that `policy` is written in.
    ///
    /// # Errors
    ///
    /// When it doesn't.
    pub fn check_reads(&self, policy: &Policy) -> Result<()> {
        let Self { version, schema } = self;
        let version = version.escape_debug();
        if policy.schema <= *schema {
            return Ok(());
        }
        let written = policy.schema;
        Err(Error::new(format!(
            "expected a module that reads policies of schema {written}, found tracegate {version}, which reads none above {schema}"
        )))
    }
}

/// The sections of a module: <https://webassembly.github.io/spec/core/binary/modules.html#sections>
struct Sections<'w> {
    wasm: &'w [u8],
    at: usize,
}

struct Section<'w> {
    id: u8,
    contents: &'w [u8],
}

impl<'w> Sections<'w> {
    fn of(wasm: &'w [u8]) -> Result<Self, InvalidModule> {
        let header = wasm.first_chunk::<8>();
        match header {
            Some([b'\0', b'a', b's', b'm', 1, 0, 0, 0]) => Ok(Self { wasm, at: 8 }),
            // <https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md>
            Some([b'\0', b'a', b's', b'm', _, _, 1, 0]) => Err(InvalidModule::Component),
            None if b"\0asm\x01\0\0\0".starts_with(wasm) && !wasm.is_empty() => {
                Err(InvalidModule::Truncated { length: wasm.len(), end: 8 })
            }
            _ => Err(InvalidModule::NoModule),
        }
    }

    fn section(&mut self) -> Result<Section<'w>, InvalidModule> {
        let (wasm, begun) = (self.wasm, self.at);
        let truncated = |end| InvalidModule::Truncated { length: wasm.len(), end };
        let mut rest = wasm.get(begun..).unwrap_or_default();
        let (&id, after) = rest.split_first().ok_or(truncated(begun + 1))?;
        rest = after;
        let size = match varint::take(&mut rest) {
            Some(size) => usize::try_from(size).map_err(|_| InvalidModule::NoSection { at: begun })?,
            None if rest.is_empty() => return Err(truncated(wasm.len() + 1)),
            None => return Err(InvalidModule::NoSection { at: begun }),
        };
        if id > HIGHEST {
            return Err(InvalidModule::NoSection { at: begun });
        }
        let start = wasm.len() - rest.len();
        let end = start.checked_add(size).ok_or(InvalidModule::NoSection { at: begun })?;
        let contents = wasm.get(start..end).ok_or(truncated(end))?;
        self.at = end;
        Ok(Section { id, contents })
    }
}

impl<'w> Iterator for Sections<'w> {
    type Item = Result<Section<'w>, InvalidModule>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.wasm.len() {
            return None;
        }
        let section = self.section();
        if section.is_err() {
            self.at = self.wasm.len();
        }
        Some(section)
    }
}

fn take_name<'w>(contents: &mut &'w [u8]) -> Option<&'w [u8]> {
    let length = usize::try_from(varint::take(contents)?).ok()?;
    let (name, rest) = contents.split_at_checked(length)?;
    *contents = rest;
    Some(name)
}

/// What isn't a whole module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InvalidModule {
    /// Something else.
    NoModule,
    /// A component.
    Component,
    /// The beginning of a module.
    Truncated {
        /// How many bytes are there.
        length: usize,
        /// How many there are at least in the whole of it.
        end: usize,
    },
    /// There should be a section.
    NoSection {
        /// From here on.
        at: usize,
    },
}

impl fmt::Display for InvalidModule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("expected a WebAssembly module")?;
        match self {
            Self::NoModule => formatter.write_str(", which begins with `\\0asm` and its version, found something else"),
            Self::Component => formatter.write_str(", found a component"),
            Self::Truncated { length, end } => {
                write!(formatter, ", found the beginning of one: {length} bytes of at least {end}")
            }
            Self::NoSection { at } => write!(formatter, ", found no section at byte {at}"),
        }
    }
}

impl std::error::Error for InvalidModule {}

/// The id of custom sections.
const CUSTOM: u8 = 0;
/// The highest id of a section: that of tags.
const HIGHEST: u8 = 13;

#[cfg(test)]
mod tests {
    use super::*;

    /// A module with these sections, each a id and its contents.
    fn module(sections: &[(u8, &[u8])]) -> Vec<u8> {
        let mut wasm = b"\0asm\x01\0\0\0".to_vec();
        for (id, contents) in sections {
            wasm.extend([*id, u8::try_from(contents.len()).unwrap()]);
            wasm.extend_from_slice(contents);
        }
        wasm
    }

    const OURS: &[u8] = b"\x09tracegate{\"version\":\"1.2.3\",\"schema\":4}";

    #[test]
    fn a_module_says_what_it_is() {
        let ours = Manifest { version: "1.2.3".to_owned(), schema: 4 };
        let other = [0, 4, b'n', b'a', b'm'].as_slice();
        assert_eq!(Manifest::read(&module(&[(1, b"\x00"), (0, other), (0, OURS), (0, b"")])), Ok(Some(ours)));
        for (id, contents) in [(0, &b"\x09tracegate{}"[..]), (0, b"\x09tracegat"), (1, OURS)] {
            assert_eq!(Manifest::read(&module(&[(id, contents)])), Ok(None));
        }
    }

    #[test]
    fn what_is_no_whole_module_is_named() {
        let whole = module(&[(1, b"\x00"), (0, OURS)]);
        for length in 1..whole.len() {
            match Manifest::read(&whole[..length]) {
                Ok(None) => assert!(matches!(length, 8 | 11), "{length}"),
                Err(InvalidModule::Truncated { length: found, end }) => assert!(found == length && end > length, "{length}, {end}"),
                other => panic!("{length}: {other:?}"),
            }
        }
        for (wasm, expected) in [
            (&b""[..], "expected a WebAssembly module, which begins with `\\0asm` and its version, found something else"),
            (b"\x7fELF\0\0\0\0\0", "expected a WebAssembly module, which begins with `\\0asm` and its version, found something else"),
            (b"\0asm\x0d\0\x01\0", "expected a WebAssembly module, found a component"),
            (&whole[..20], "expected a WebAssembly module, found the beginning of one: 20 bytes of at least 53"),
            (b"\0asm\x01\0\0\0\x44\x01\0", "expected a WebAssembly module, found no section at byte 8"),
            (
                b"\0asm\x01\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                "expected a WebAssembly module, found no section at byte 8",
            ),
        ] {
            assert_eq!(Manifest::read(wasm).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_policy_newer_than_the_module_is_named() {
        let policy = Policy::from_json(crate::policy::OBSERVE_ONLY.as_bytes()).unwrap().policy;
        let manifest = |schema| Manifest { version: "0.0.9".to_owned(), schema };
        assert!(manifest(1).check_reads(&policy).is_ok() && manifest(2).check_reads(&policy).is_ok());
        let error = manifest(0).check_reads(&policy).unwrap_err().to_string();
        assert_eq!(error, "expected a module that reads policies of schema 1, found tracegate 0.0.9, which reads none above 0");
    }
}
