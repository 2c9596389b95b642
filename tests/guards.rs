//! A build that cannot work says at once what to do about it.
//!
//! The compiler alone is asked, without dependencies: what a crate refuses, it refuses before it looks for them.

use std::path::Path;
use std::process::Command;

/// What the compiler says of a crate of ours, built with these settings.
fn refusals(package: &str, settings: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(package).join("src/lib.rs");
    let compiler = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(compiler);
    command
        .args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--out-dir"])
        .arg(env!("CARGO_TARGET_TMPDIR"));
    for setting in settings {
        command.args(["--cfg", setting]);
    }
    let output = command.arg(root).output().expect("the compiler that built this test can be run again");
    assert!(!output.status.success(), "without its dependencies nothing of ours can be built");
    String::from_utf8(output.stderr).expect("the compiler writes text")
}

const MADSIM: &str = "needs `--cfg madsim`";

#[test]
fn a_build_without_the_madsim_setting_says_where_it_was_lost() {
    let said = refusals("labrpc", &["feature=\"sim\""]);
    for word in [MADSIM, ".cargo/config.toml", "RUSTFLAGS", "RUSTDOCFLAGS"] {
        assert!(said.contains(word), "`{word}` is not in:\n{said}");
    }
    let said = refusals("labrpc", &["feature=\"sim\"", "madsim"]);
    assert!(!said.contains(MADSIM), "the setting is there, and yet:\n{said}");
}

#[test]
fn a_build_without_a_backend_says_which_feature_to_enable() {
    for package in ["labrpc", ""] {
        let backend = "enable its feature `sim`";
        let said = refusals(package, &["madsim"]);
        assert!(said.contains(backend), "{package} does not say it:\n{said}");
        let said = refusals(package, &["madsim", "feature=\"sim\""]);
        assert!(!said.contains(backend), "{package} has a backend, and yet:\n{said}");
    }
}
