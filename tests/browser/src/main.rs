// SPDX-License-Identifier: Apache-2.0
//! `browser-bindings WASM DIRECTORY`: writes `tracegate.js`, `tracegate.d.ts` and `tracegate_bg.wasm` of the browser face, as it was compiled.

use std::path::PathBuf;
use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(wasm), Some(directory)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: browser-bindings WASM DIRECTORY");
        return ExitCode::from(2);
    };
    let mut bindgen = Bindgen::new();
    // A page imports it as it is, and so does Node.
    let written = bindgen.web(true).and_then(|bindgen| {
        bindgen.input_path(&wasm).out_name("tracegate").typescript(true).omit_default_module_path(false);
        bindgen.remove_name_section(true).remove_producers_section(true).generate(&directory)
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("can't write bindings of {}: {error:#}", wasm.display());
            ExitCode::FAILURE
        }
    }
}
