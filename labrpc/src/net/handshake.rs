//! Who is at the other end of a stream, and do we belong together?
//!
//! ```text
//! dialler                                             acceptor
//!   hello: magic, version, cluster, id, whom, boot, nonce ->
//!                       <- hello, the same; both judge what they read
//!   proof: HMAC-SHA256 of "dialler" and both hellos       ->   (only with a shared secret)
//!                       <- verdict, and the proof of "acceptor"
//! ```
//!
//! Each side proves that it knows the secret over both hellos, so over both nonces, both ids and the direction: a
//! proof can be neither repeated in another connection nor sent back to whom it came from. What follows the
//! handshake is neither signed nor secret; for that the stream itself has to be (the handshake takes any). Where it is, in
//! [TLS](super::tls), the certificate that the other end has shown must be of the node that it says it is; an acceptor takes those who
//! have the id of a client for clients, whatever their certificate says.
//!
//! Whoever looks for nobody in particular gets the acceptor's hello, and no connection: that is how those find their way
//! who have an address and nothing else.
//!
//! Each side hears what is wrong in words of its own, so an operator finds it in either log.
//!
//! What comes is hostile until the end: it is read into buffers of fixed size, and but for the 4 KiB that one of another version may
//! still say, nothing is reserved for it. What is taken for a hello is byte for byte one that a node writes. How long all of it may
//! take is for the caller to bound; a host does, with [`Limits::handshake`](super::Limits::handshake).

use super::Secret;
use super::tls::{self, Shown, certificate_name, is_node};
use crate::id::NodeId;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::io;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Version of all that is said between nodes, handshake included.
const VERSION: u16 = 1;
const MAGIC: [u8; 8] = *b"shardlab";
/// Magic and version: what is the same in every version.
const PREAMBLE: usize = 10;
const HELLO: usize = PREAMBLE + 1 + 8 + 3 * 4 + 32;
const PROOF: usize = 32;

/// Whom those look for who ask who is there. No node has this id.
const ANYBODY: NodeId = NodeId(0);

const WELCOME: u8 = 0;
const WRONG_SECRET: u8 = 1;

/// How somebody begins who speaks TLS: with a handshake or an alert, of whatever version.
const TLS: [&[u8]; 2] = [&[0x16, 0x03], &[0x15, 0x03]];
/// How methods and answers of HTTP begin.
const HTTP: [&[u8]; 9] = [b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"OPTI", b"PATC", b"PRI ", b"HTTP"];

/// What this node says of itself.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Its cluster.
    pub cluster: u64,
    /// Which node it is.
    pub node: NodeId,
    /// Which of its boots.
    pub boot: u32,
    /// What those must know who talk to it.
    pub secret: Option<Secret>,
}

/// Whom a handshake has found at the other end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Remote {
    /// Which node.
    pub node: NodeId,
    /// Which of its boots.
    pub boot: u32,
}

/// Who listens at an address, by its own account.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Resident {
    /// Its cluster.
    pub cluster: u64,
    /// Which node it is.
    pub node: NodeId,
    /// Which of its boots.
    pub boot: u32,
    /// Whether those who talk to it must know a secret.
    pub has_secret: bool,
}

/// Why a connection is given up. To be read behind "peer 10.0.0.3:7001".
#[derive(Debug, thiserror::Error)]
pub enum HandshakeError {
    /// A browser, mostly.
    #[error(
        "speaks HTTP, but this is the port on which nodes and their clients talk, and not in HTTP: use a client of the cluster"
    )]
    Http,
    /// Only the other was given certificates.
    #[error("speaks TLS, and this node does not: give certificates to both sides, or to neither")]
    Tls,
    /// Only this node was given certificates.
    #[error("does not speak TLS, and this node does: give certificates to both sides, or to neither")]
    NoTls,
    /// The same, most likely, from the side of whoever has dialled.
    #[error("has hung up on TLS ({0}): give certificates to both sides, or to neither")]
    NotInTls(io::Error),
    /// TLS of another sort, or something else that begins like it.
    #[error("does not speak TLS as this node does: {0}")]
    OtherTls(String),
    /// It is of no authority.
    #[error("shows no certificate: give it one of the authority of this cluster")]
    NoCertificate,
    /// Its certificate will not do.
    #[error("shows a certificate {0}")]
    Unfit(String),
    /// Its certificate is somebody else's.
    #[error(
        "says that it is {node}, and shows a certificate that does not say so: it must have {name} among its DNS names"
    )]
    Misnamed {
        /// Who it says that it is.
        node: NodeId,
        /// What would be in its certificate.
        name: String,
    },
    /// It finds something wrong with the certificate of this node.
    #[error("does not take the certificate of this node: {0}")]
    Refused(String),
    /// Somebody else altogether.
    #[error("does not speak the protocol of nodes: is this the right address?")]
    Stranger,
    /// A node of another release.
    #[error("speaks version {theirs} of the protocol, this node version {VERSION}: run releases that fit together")]
    Version {
        /// Which version it speaks.
        theirs: u16,
    },
    /// A node of another cluster.
    #[error("is of cluster {theirs}, this node of cluster {ours}: check the number of the cluster and the address")]
    Cluster {
        /// Its cluster.
        theirs: u64,
        /// This node's.
        ours: u64,
    },
    /// A node with the id of this one.
    #[error(
        "says that it is {node}, and so is this node: give each node an id of its own, and look whether its address is this node's"
    )]
    Twin {
        /// The id.
        node: NodeId,
    },
    /// Not the node that was dialled.
    #[error("is {found}, but {wanted} was looked for there: check the addresses of peers")]
    Another {
        /// Who is there.
        found: NodeId,
        /// Who should be.
        wanted: NodeId,
    },
    /// It has dialled another node.
    #[error("looks for {wanted} here, but this is {found}: check its addresses of peers")]
    Astray {
        /// Who should be here.
        wanted: NodeId,
        /// Who is.
        found: NodeId,
    },
    /// Only this node has a secret.
    #[error("has no shared secret, and this node has one: set the same secret on both")]
    TheyHaveNoSecret,
    /// Only the other has one.
    #[error("has a shared secret, and this node has none: set the same secret on both")]
    WeHaveNoSecret,
    /// They have different ones.
    #[error("has another shared secret than this node: set the same secret on both")]
    Secret,
    /// It says nothing, or too slowly.
    #[error("did not finish the handshake within {0:?}")]
    Deadline(Duration),
    /// It has what it wanted to know.
    #[error("asked who is here")]
    Inquiry,
    /// Nobody listens there, or nobody is heard.
    #[error("cannot be reached: {0}")]
    Unreachable(io::Error),
    /// The stream has failed, or has ended too early.
    #[error("went away during the handshake: {0}")]
    Io(io::Error),
}

impl From<io::Error> for HandshakeError {
    fn from(why: io::Error) -> HandshakeError {
        match why.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(inner) => tls::explain(inner),
            // What TLS has to say of that is not for operators.
            None if why.kind() == io::ErrorKind::UnexpectedEof => HandshakeError::Io(why.kind().into()),
            None => HandshakeError::Io(why),
        }
    }
}

struct Hello {
    has_secret: bool,
    cluster: u64,
    node: NodeId,
    /// Whom the sender believes to talk to. An acceptor names itself.
    whom: NodeId,
    boot: u32,
    nonce: [u8; 32],
}

impl Hello {
    fn of(us: &Identity, whom: NodeId, nonce: [u8; 32]) -> Hello {
        let Identity { cluster, node, boot, ref secret } = *us;
        Hello { has_secret: secret.is_some(), cluster, node, whom, boot, nonce }
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HELLO);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.push(self.has_secret.into());
        bytes.extend_from_slice(&self.cluster.to_le_bytes());
        for number in [self.node.0, self.whom.0, self.boot] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.nonce);
        bytes
    }

    /// Reads what stands behind the preamble: only what [`Hello::to_bytes`] writes, or two who have heard different bytes would
    /// prove the same.
    fn parse(rest: &[u8; HELLO - PREAMBLE]) -> Result<Hello, HandshakeError> {
        let has_secret = match rest[0] {
            0 => false,
            1 => true,
            _ => return Err(HandshakeError::Stranger),
        };
        let word = |at: usize| u32::from_le_bytes([rest[at], rest[at + 1], rest[at + 2], rest[at + 3]]);
        Ok(Hello {
            has_secret,
            cluster: u64::from(word(1)) | u64::from(word(5)) << 32,
            node: NodeId(word(9)),
            whom: NodeId(word(13)),
            boot: word(17),
            nonce: *rest[21..].first_chunk().expect("it ends with the nonce"),
        })
    }

    /// Whether we belong together, so far.
    fn judge(&self, us: &Identity) -> Result<(), HandshakeError> {
        match (self.has_secret, us.secret.is_some()) {
            _ if self.cluster != us.cluster => {
                Err(HandshakeError::Cluster { theirs: self.cluster, ours: us.cluster })
            }
            _ if self.node == us.node => Err(HandshakeError::Twin { node: us.node }),
            (true, false) => Err(HandshakeError::WeHaveNoSecret),
            (false, true) => Err(HandshakeError::TheyHaveNoSecret),
            _ => Ok(()),
        }
    }
}

/// The handshake of whoever has opened the stream, to reach `wanted`. `shown`: what the other end has, in TLS. `nonce` must be new and not
/// to be foreseen.
///
/// # Errors
/// [`HandshakeError`].
pub async fn dial<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    us: &Identity,
    wanted: NodeId,
    shown: Option<&Shown>,
    nonce: [u8; 32],
) -> Result<Remote, HandshakeError> {
    let ours = Hello::of(us, wanted, nonce).to_bytes();
    say(stream, &ours).await?;
    let hello = read_answer(stream).await?;
    hello.judge(us)?;
    if hello.node != wanted {
        return Err(HandshakeError::Another { found: hello.node, wanted });
    }
    check_name(shown, &hello)?;
    let transcript = [ours, hello.to_bytes()].concat();
    if let Some(secret) = &us.secret {
        say(stream, &proof(secret, b"dialler", &transcript)).await?;
    }
    if stream.read_u8().await? != WELCOME {
        return Err(HandshakeError::Secret);
    }
    check_proof(stream, us, b"acceptor", &transcript).await?;
    Ok(Remote { node: hello.node, boot: hello.boot })
}

/// Asks who is at the other end, and nothing more. `shown` and `nonce` are as in [`dial`].
///
/// # Errors
/// [`HandshakeError`].
pub async fn inquire<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    shown: Option<&Shown>,
    nonce: [u8; 32],
) -> Result<Resident, HandshakeError> {
    let nobody = Identity { cluster: 0, node: ANYBODY, boot: 0, secret: None };
    say(stream, &Hello::of(&nobody, ANYBODY, nonce).to_bytes()).await?;
    let hello = read_answer(stream).await?;
    check_name(shown, &hello)?;
    let Hello { has_secret, cluster, node, boot, .. } = hello;
    Ok(Resident { cluster, node, boot, has_secret })
}

/// The handshake of whoever was called. `shown` and `nonce` are as in [`dial`].
///
/// # Errors
/// [`HandshakeError`].
pub async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    us: &Identity,
    shown: Option<&Shown>,
    nonce: [u8; 32],
) -> Result<Remote, HandshakeError> {
    let ours = Hello::of(us, us.node, nonce).to_bytes();
    let hello = match read_hello(stream).await {
        Ok(hello) => hello,
        Err(why) => {
            if matches!(why, HandshakeError::Version { .. }) {
                say_and_listen(stream, &ours).await?;
            }
            return Err(why);
        }
    };
    say(stream, &ours).await?;
    if hello.whom == ANYBODY {
        return Err(HandshakeError::Inquiry);
    }
    hello.judge(us)?;
    if hello.whom != us.node {
        return Err(HandshakeError::Astray { wanted: hello.whom, found: us.node });
    }
    let transcript = [hello.to_bytes(), ours].concat();
    let checked = check_proof(stream, us, b"dialler", &transcript).await;
    if matches!(checked, Err(HandshakeError::Secret)) {
        say(stream, &[WRONG_SECRET]).await?;
    }
    checked?;
    // A client may have any certificate, a node only its own.
    if is_node(hello.node) {
        check_name(shown, &hello)?;
    }
    let mut welcome = vec![WELCOME];
    if let Some(secret) = &us.secret {
        welcome.extend_from_slice(&proof(secret, b"acceptor", &transcript));
    }
    say(stream, &welcome).await?;
    Ok(Remote { node: hello.node, boot: hello.boot })
}

/// Says who we are, and reads what the other still has to say: closed with bytes unread, a socket may take back what
/// it was about to deliver.
async fn say_and_listen<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, ours: &[u8]) -> io::Result<()> {
    say(stream, ours).await?;
    let mut rest = Vec::new();
    stream.take(4 << 10).read_to_end(&mut rest).await.map(|_| ())
}

/// Says it at once: a stream in TLS may keep what it is given for later.
async fn say<S: AsyncWrite + Unpin>(stream: &mut S, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Who it is that has begun without TLS where TLS is spoken.
pub(super) async fn read_without_tls<S: AsyncRead + Unpin>(stream: &mut S) -> HandshakeError {
    match read_magic(stream).await {
        Ok(()) => HandshakeError::NoTls,
        // An alert about nothing.
        Err(HandshakeError::Tls) => HandshakeError::Stranger,
        Err(why) => why,
    }
}

/// The first words, or whose they are instead. They may be fewer: an alert is shorter.
async fn read_magic<S: AsyncRead + Unpin>(stream: &mut S) -> Result<(), HandshakeError> {
    let (mut magic, mut read) = ([0; MAGIC.len()], 0);
    while read < magic.len() {
        match stream.read(&mut magic[read..]).await? {
            0 => break,
            more => read += more,
        }
    }
    let begins_like = |starts: &[&[u8]]| starts.iter().any(|start| magic[..read].starts_with(start));
    match () {
        () if magic == MAGIC => Ok(()),
        () if begins_like(&HTTP) => Err(HandshakeError::Http),
        () if begins_like(&TLS) => Err(HandshakeError::Tls),
        () if read < magic.len() => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
        () => Err(HandshakeError::Stranger),
    }
}

async fn read_hello<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Hello, HandshakeError> {
    read_magic(stream).await?;
    let theirs = stream.read_u16_le().await?;
    if theirs != VERSION {
        return Err(HandshakeError::Version { theirs });
    }
    let mut rest = [0; HELLO - PREAMBLE];
    stream.read_exact(&mut rest).await?;
    Hello::parse(&rest)
}

/// The hello of an acceptor, which looks for nobody.
async fn read_answer<S: AsyncRead + Unpin>(stream: &mut S) -> Result<Hello, HandshakeError> {
    let hello = read_hello(stream).await?;
    if hello.whom == hello.node { Ok(hello) } else { Err(HandshakeError::Stranger) }
}

/// Whether the certificate that the other end has shown, if it has shown one, is of the node that it says it is.
fn check_name(shown: Option<&Shown>, hello: &Hello) -> Result<(), HandshakeError> {
    let Hello { cluster, node, .. } = *hello;
    match shown.is_none_or(|shown| shown.names(cluster, node)) {
        true => Ok(()),
        false => Err(HandshakeError::Misnamed { node, name: certificate_name(cluster, node) }),
    }
}

async fn check_proof<S: AsyncRead + Unpin>(
    stream: &mut S,
    us: &Identity,
    role: &[u8],
    transcript: &[u8],
) -> Result<(), HandshakeError> {
    let Some(secret) = &us.secret else { return Ok(()) };
    let mut theirs = [0; PROOF];
    stream.read_exact(&mut theirs).await?;
    // In constant time: how long it takes must not say how much of it was right.
    if bool::from(proof(secret, role, transcript).ct_eq(&theirs)) { Ok(()) } else { Err(HandshakeError::Secret) }
}

fn proof(secret: &Secret, role: &[u8], transcript: &[u8]) -> [u8; PROOF] {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("HMAC takes keys of any length");
    mac.update(role);
    mac.update(transcript);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
