//! What keeps a server within bounds. Not in the figures; but a server that runs out of room keeps none of their
//! rules.

use crate::server::{accepted, append, appends_to, one_of};
use bytes::Bytes;
use shardlab::raft::{MAX_COMMAND, Unavailable};

/// A command that no message and no record could hold is refused when it is handed over, and changes nothing.
#[test]
fn a_command_that_is_too_large_is_refused_and_one_that_just_fits_is_sent() {
    let mut server = one_of(3).start(None);
    server.lead();
    server.hear(2, accepted(1, 0));
    let sent = server.propose_this(Bytes::from(vec![0; MAX_COMMAND + 1]));
    assert_eq!((server.proposals(), sent), (&[Err(Unavailable::TooLarge(MAX_COMMAND + 1))][..], vec![]));
    let sent = server.propose_this(Bytes::from(vec![0; MAX_COMMAND]));
    assert_eq!(appends_to(2, &sent), [((0, 0), 1)]);
    assert!(sent.iter().all(|(_, message)| labgob::encode(message).is_ok()));
    assert_eq!(server.proposals()[1..], [Ok(1)]);
}

/// However much a follower lacks and whatever the settings say, no append is too large to be sent.
#[test]
fn an_append_is_never_too_large_to_be_sent() {
    let mut server = one_of(3).with(|config| (config.max_bytes, config.max_entries) = (usize::MAX, 0)).start(None);
    server.lead();
    for _ in 0..3 {
        server.propose_this(Bytes::from(vec![0; MAX_COMMAND]));
    }
    for matched in 0..3 {
        let sent = server.hear(2, accepted(1, matched));
        assert!(sent.iter().all(|(_, message)| labgob::encode(message).is_ok()));
    }
    assert_eq!(server.commit(), 2);
}

/// Settings of 0 do not stop a server, nor make it turn in a circle.
#[test]
fn with_every_bound_at_0_it_goes_on() {
    let none = |config: &mut shardlab::raft::Config| {
        (config.max_entries, config.max_bytes, config.max_inflight) = (0, 0, 0);
        (config.max_unapplied, config.max_uncommitted, config.chunk) = (0, 0, 0);
    };
    let mut server = one_of(3).with(none).start(None);
    server.lead();
    server.hear(2, accepted(1, 0));
    assert_eq!(appends_to(2, &server.propose()), [((0, 0), 1)]);
    server.hear(2, accepted(1, 1));
    assert_eq!((server.commit(), server.given().0), (1, vec![1]));
    let mut follower = one_of(3).with(none).start(None);
    follower.hear(2, append(1, (0, 0), &[1, 1], 2));
    assert_eq!(follower.given().0, [1, 2]);
}

/// A service that lags is given no more than it may lag behind.
#[test]
fn a_service_is_given_as_much_as_it_has_room_for() {
    let mut server = one_of(3).with(|config| config.max_unapplied = 1).start(None);
    server.slow_service = true;
    server.hear(2, append(1, (0, 0), &[1, 1, 1], 3));
    let mut given = vec![server.given().0];
    for _ in 0..2 {
        server.apply();
        given.push(server.given().0);
    }
    assert_eq!(given, [vec![1], vec![1, 2], vec![1, 2, 3]]);
}

/// A leader that nobody answers does not fill its log for ever.
#[test]
fn a_leader_takes_no_more_commands_than_may_be_uncommitted() {
    let mut server = one_of(3).with(|config| config.max_uncommitted = 1).start(None);
    server.lead();
    server.propose();
    assert!(server.propose().is_empty());
    server.hear(2, accepted(1, 1));
    server.propose();
    assert_eq!(server.proposals(), [Ok(1), Err(Unavailable::Busy), Ok(2)]);
}
