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
        assert!(said.contains("or its feature `net`"), "{package} names one backend and not the other:\n{said}");
        for backends in [&["madsim", "feature=\"sim\""][..], &["feature=\"net\""]] {
            let said = refusals(package, backends);
            assert!(!said.contains(backend), "{package} has a backend, and yet:\n{said}");
            assert!(!said.contains(MADSIM), "{package} has what it needs, and yet:\n{said}");
        }
    }
}

/// What a build without the simulator is made of.
#[test]
fn a_build_for_the_machine_alone_has_no_madsim() {
    let tree = |features: &str| {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        command.args(["tree", "-e", "normal,build", "--locked", "--offline", "--prefix", "none", "-p", "shardlab"]);
        let output = command.args(["--no-default-features", "--features", features]).output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("cargo writes text")
    };
    let has = |tree: &str, package: &str| tree.lines().any(|line| line.starts_with(&format!("{package} v")));
    let (real, both) = (tree("net"), tree("net,sim"));
    assert!(has(&real, "tokio") && !has(&real, "madsim"), "{real}");
    assert!(has(&both, "tokio") && has(&both, "madsim"), "{both}");
}
