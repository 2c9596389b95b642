//! Both ends of a handshake over a pipe, and what either has to say.

use super::*;
use std::future::Future;
use tokio::io::{DuplexStream, duplex};

fn identity(cluster: u64, node: u32, secret: Option<&str>) -> Identity {
    Identity { cluster, node: NodeId(node), boot: node * 10, secret: secret.map(Secret::new) }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

type Outcome = Result<Remote, HandshakeError>;

/// What the dialler and the acceptor find. Each drops its end when it is done.
fn both(dialler: Identity, wanted: u32, acceptor: Identity) -> (Outcome, Outcome) {
    let (near, far) = duplex(1_000);
    let dial = async move { dial(&mut { near }, &dialler, NodeId(wanted), None, [1; 32]).await };
    let answer = async move { answer(&mut { far }, &acceptor, None, [2; 32]).await };
    run(async { futures::join!(dial, answer) })
}

fn errors(outcome: (Outcome, Outcome)) -> (String, String) {
    (outcome.0.unwrap_err().to_string(), outcome.1.unwrap_err().to_string())
}

#[test]
fn those_who_belong_together_learn_who_is_there() {
    for secret in [None, Some("a secret that they share")] {
        let (dialler, acceptor) = both(identity(7, 1, secret), 2, identity(7, 2, secret));
        assert_eq!(dialler.unwrap(), Remote { node: NodeId(2), boot: 20 });
        assert_eq!(acceptor.unwrap(), Remote { node: NodeId(1), boot: 10 });
    }
}

#[test]
fn each_side_says_what_is_wrong() {
    let (dialler, acceptor) = errors(both(identity(7, 1, None), 2, identity(9, 2, None)));
    assert!(dialler.starts_with("is of cluster 9, this node of cluster 7: check"), "{dialler}");
    assert!(acceptor.starts_with("is of cluster 7, this node of cluster 9: check"), "{acceptor}");

    let (dialler, acceptor) = errors(both(identity(7, 1, None), 3, identity(7, 2, None)));
    assert!(dialler.starts_with("is S2, but S3 was looked for there"), "{dialler}");
    assert!(acceptor.starts_with("looks for S3 here, but this is S2"), "{acceptor}");

    let (dialler, acceptor) = errors(both(identity(7, 2, None), 2, identity(7, 2, None)));
    assert!(dialler.starts_with("says that it is S2, and so is this node"), "{dialler}");
    assert!(acceptor.starts_with("says that it is S2, and so is this node"), "{acceptor}");
}

#[test]
fn a_secret_must_be_shared() {
    let (one, other) = (Some("a secret that is long"), Some("another that is long"));
    let (dialler, acceptor) = errors(both(identity(7, 1, one), 2, identity(7, 2, other)));
    assert!(dialler.starts_with("has another shared secret"), "{dialler}");
    assert!(acceptor.starts_with("has another shared secret"), "{acceptor}");

    let (dialler, acceptor) = errors(both(identity(7, 1, one), 2, identity(7, 2, None)));
    assert!(dialler.starts_with("has no shared secret"), "{dialler}");
    assert!(acceptor.starts_with("has a shared secret, and this node has none"), "{acceptor}");
}

/// An acceptor that welcomes anybody has not shown that it knows the secret.
#[test]
fn a_dialler_believes_no_welcome_without_proof() {
    let secret = Some("a secret that is long");
    let impostor = |proof: fn(Vec<u8>) -> Vec<u8>| {
        let (near, mut far) = duplex(1_000);
        let us = identity(7, 1, secret);
        let dial = async move { dial(&mut { near }, &us, NodeId(2), None, [1; 32]).await };
        let answer = async move {
            read_hello(&mut far).await.unwrap();
            let hello = Hello::of(&identity(7, 2, secret), NodeId(2), [2; 32]).to_bytes();
            far.write_all(&hello).await.unwrap();
            let mut theirs = vec![0; PROOF];
            far.read_exact(&mut theirs).await.unwrap();
            far.write_all(&[WELCOME]).await.unwrap();
            far.write_all(&proof(theirs)).await.unwrap();
        };
        run(async { futures::join!(dial, answer) }).0.unwrap_err().to_string()
    };
    for proof in [|_| vec![0; PROOF], |theirs| theirs] as [fn(Vec<u8>) -> Vec<u8>; 2] {
        let said = impostor(proof);
        assert!(said.starts_with("has another shared secret"), "{said}");
    }
}

/// What was proved once is no proof in another connection, where the acceptor has another nonce; nor is it one of the
/// other direction.
#[test]
fn a_proof_cannot_be_repeated() {
    let secret = Secret::new("a secret that is long");
    let words = Some("a secret that is long");
    let hello = Hello::of(&identity(7, 1, words), NodeId(2), [1; 32]).to_bytes();
    let accepted = |nonce: u8, role: &'static [u8]| {
        let (mut near, far) = duplex(1_000);
        let theirs = Hello::of(&identity(7, 2, words), NodeId(2), [2; 32]).to_bytes();
        let said = [hello.clone(), proof(&secret, role, &[hello.clone(), theirs].concat()).to_vec()].concat();
        run(async move {
            near.write_all(&said).await.unwrap();
            answer(&mut { far }, &identity(7, 2, words), None, [nonce; 32]).await
        })
    };
    assert!(accepted(2, b"dialler").is_ok(), "the first time");
    assert!(matches!(accepted(3, b"dialler"), Err(HandshakeError::Secret)), "the same once more");
    assert!(matches!(accepted(2, b"acceptor"), Err(HandshakeError::Secret)), "what the other side has said");
}

/// What an acceptor says to a stream that begins so and goes no further.
fn told(bytes: &[u8]) -> (String, Vec<u8>) {
    let (mut near, far) = duplex(1_000);
    run(async move {
        near.write_all(bytes).await.unwrap();
        let (mut read, write) = tokio::io::split(near);
        let answer = async move {
            answer(&mut { far }, &identity(7, 2, None), None, [2; 32]).await.unwrap_err().to_string()
        };
        let listen = async move {
            let mut heard = Vec::new();
            close(write).await;
            read.read_to_end(&mut heard).await.unwrap();
            heard
        };
        futures::join!(answer, listen)
    })
}

async fn close(mut write: tokio::io::WriteHalf<DuplexStream>) {
    write.shutdown().await.unwrap();
}

#[test]
fn strangers_are_named_and_told_nothing() {
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST /v1/kv HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n"] {
        let (said, heard) = told(request.as_bytes());
        assert!(said.starts_with("speaks HTTP"), "{said}");
        assert!(heard.is_empty());
    }
    let (said, heard) = told(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    assert!(said.starts_with("speaks TLS, and this node does not"), "{said}");
    assert!(heard.is_empty());
    // All that somebody has to say who wants TLS and hears something else.
    let (said, heard) = told(b"\x15\x03\x03\0\x02\x02\x28");
    assert!(said.starts_with("speaks TLS, and this node does not"), "{said}");
    assert!(heard.is_empty());
    let (said, heard) = told(b"SSH-2.0-OpenSSH_9.7\r\n");
    assert!(said.starts_with("does not speak the protocol of nodes"), "{said}");
    assert!(heard.is_empty());
    let (said, _) = told(b"shard");
    assert!(said.starts_with("went away during the handshake"), "{said}");
}

#[test]
fn another_version_is_named_on_both_sides() {
    let mut hello = Hello::of(&identity(7, 1, None), NodeId(2), [1; 32]).to_bytes();
    hello[MAGIC.len()] = 9;
    hello.extend_from_slice(&[5; 100]);
    let (said, heard) = told(&hello);
    assert!(said.starts_with("speaks version 9 of the protocol, this node version 1"), "{said}");
    assert_eq!(heard.len(), HELLO, "the other side is told which version this is");
}
