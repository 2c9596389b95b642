//! Both ends of a handshake, with somebody at the other end who says anything.
//!
//! * Whom an acceptor or a dialler takes for a node has said, byte for byte, what that node would have said, and has proved that it knows
//!   the secret if there is one.
//! * However it ends, no more was answered than two messages have, and it has cost next to no memory.

use super::gauge::cost_of;
use super::tape::Tape;
use futures::FutureExt;
use labrpc::NodeId;
use labrpc::net::Secret;
use labrpc::net::handshake::{HandshakeError, Identity, Remote, answer, dial, inquire};

/// What a handshake may cost, in bytes: of what comes, at most 4 KiB are kept, in a buffer that grows by doubling.
pub const BOUND: usize = 16 << 10;
/// What is said at most: a hello, a byte and a proof.
const SAID: usize = 63 + 1 + 32;
const NONCE: std::ops::Range<usize> = 31..63;

/// What an end says, and what it finds, if it hears this and then nothing more.
type End = (Vec<u8>, Result<Remote, HandshakeError>);

fn identity(node: u32, boot: u32, has_secret: bool) -> Identity {
    let secret = has_secret.then(|| Secret::new("a secret that nobody guesses"));
    Identity { cluster: 7, node: NodeId(node), boot, secret }
}

fn dialler(us: &Identity, wanted: NodeId, nonce: [u8; 32], heard: &[u8]) -> End {
    let mut stream = tokio::io::join(heard, Vec::new());
    let found = dial(&mut stream, us, wanted, None, nonce).now_or_never().expect("a slice lets nobody wait");
    (stream.into_inner().1, found)
}

fn acceptor(us: &Identity, nonce: [u8; 32], heard: &[u8]) -> End {
    let mut stream = tokio::io::join(heard, Vec::new());
    let found = answer(&mut stream, us, None, nonce).now_or_never().expect("a slice lets nobody wait");
    (stream.into_inner().1, found)
}

/// What two say to each other who belong together: hello, hello, proof, verdict.
fn talk(near: &Identity, near_nonce: [u8; 32], far: &Identity, far_nonce: [u8; 32]) -> (Vec<u8>, Vec<u8>) {
    let (mut said, mut heard) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        said = dialler(near, far.node, near_nonce, &heard).0;
        heard = acceptor(far, far_nonce, &said).0;
    }
    (said, heard)
}

/// Holds for whatever tape.
pub fn holds(data: &[u8]) {
    let mut tape = Tape::new(data);
    let has_secret = tape.below(2) == 1;
    let near = identity(1 + tape.below(3) as u32, tape.number() as u32, has_secret);
    let far = identity(4 + tape.below(3) as u32, tape.number() as u32, has_secret);
    let nonces = [[tape.byte(); 32], [tape.byte(); 32]];
    let (said, heard) = talk(&near, nonces[0], &far, nonces[1]);
    let (mut to_far, mut to_near) = (said.clone(), heard.clone());
    match tape.below(4) {
        0 => (to_far, to_near) = (tape.bytes(100), tape.all()),
        _ => {
            tape.damage(&mut to_far, &heard);
            tape.damage(&mut to_near, &said);
        }
    }
    an_acceptor_is_not_deceived(&far, nonces[1], &to_far);
    a_dialler_is_not_deceived(&near, far.node, nonces[0], &to_near);
    who_asks_is_answered_or_not(&to_near);
    if to_far == said {
        assert_eq!(acceptor(&far, nonces[1], &to_far).1.ok(), Some(Remote { node: near.node, boot: near.boot }));
    }
    if to_near == heard {
        let found = dialler(&near, far.node, nonces[0], &to_near).1;
        assert_eq!(found.ok(), Some(Remote { node: far.node, boot: far.boot }));
    }
}

fn is_bounded(said: &[u8], cost: usize) {
    assert!(said.len() <= SAID, "{} bytes were said", said.len());
    assert!(cost <= BOUND, "{cost} bytes were held");
}

fn nonce_of(hello: &[u8]) -> [u8; 32] {
    hello[NONCE].try_into().expect("whoever was believed has said a whole hello")
}

fn an_acceptor_is_not_deceived(us: &Identity, nonce: [u8; 32], heard: &[u8]) {
    let ((said, found), cost) = cost_of(|| acceptor(us, nonce, heard));
    is_bounded(&said, cost);
    if let Ok(Remote { node, boot }) = found {
        let them = Identity { node, boot, ..identity(0, 0, us.secret.is_some()) };
        assert!(
            heard.starts_with(&talk(&them, nonce_of(heard), us, nonce).0),
            "{node} would not say so: {heard:?}"
        );
    }
}

fn a_dialler_is_not_deceived(us: &Identity, wanted: NodeId, nonce: [u8; 32], heard: &[u8]) {
    let ((said, found), cost) = cost_of(|| dialler(us, wanted, nonce, heard));
    is_bounded(&said, cost);
    if let Ok(Remote { node, boot }) = found {
        assert_eq!(node, wanted);
        let them = Identity { node, boot, ..identity(0, 0, us.secret.is_some()) };
        assert!(
            heard.starts_with(&talk(us, nonce, &them, nonce_of(heard)).1),
            "{node} would not say so: {heard:?}"
        );
    }
}

fn who_asks_is_answered_or_not(heard: &[u8]) {
    let mut stream = tokio::io::join(heard, Vec::new());
    let (found, cost) =
        cost_of(|| inquire(&mut stream, None, [9; 32]).now_or_never().expect("a slice lets nobody wait"));
    let asked = stream.into_inner().1;
    is_bounded(&asked, cost);
    if let Ok(resident) = found {
        let them = identity(resident.node.0, resident.boot, resident.has_secret);
        let them = Identity { cluster: resident.cluster, ..them };
        let answered = acceptor(&them, nonce_of(heard), &asked);
        assert!(matches!(answered.1, Err(HandshakeError::Inquiry)), "{:?}", answered.1);
        assert_eq!(heard[..answered.0.len()], answered.0, "{resident:?} would not say so");
    }
}
