//! The course's scenarios of the first lab, under their usual names: `cargo test --release --test raft_usual`, or
//! one part of it with `lab_2b`, or one scenario with `figure_8`. `SHARDLAB_SEEDS=1000` makes it a long test.

mod common;

/// Elections.
mod lab_2a {
    crate::common::scenarios! {
        initial_election,
        re_election,
        many_elections,
    }
}

/// Replication.
mod lab_2b {
    crate::common::scenarios! {
        basic_agree,
        rpc_bytes,
        fail_agree,
        fail_no_agree,
        concurrent_starts,
        rejoin,
        backup,
        count,
    }
}

/// Persistence.
mod lab_2c {
    crate::common::scenarios! {
        persist_1,
        persist_2,
        persist_3,
        figure_8,
        unreliable_agree,
        figure_8_unreliable,
        reliable_churn,
        unreliable_churn,
    }
}

/// Log compaction.
mod lab_2d {
    crate::common::scenarios! {
        snapshot_basic,
        snapshot_install,
        snapshot_install_unreliable,
        snapshot_install_crash,
        snapshot_install_uncrash,
        snapshot_all_crash,
        snapshot_init,
    }
}

#[test]
fn every_scenario_is_tested() {
    let tested = [lab_2a::NAMES, lab_2b::NAMES, lab_2c::NAMES, lab_2d::NAMES];
    common::all_are_tested(&[sim::scenario::Group::Usual], &tested);
}
