//! TLS around connections, where a host was given certificates: the one place where a stream becomes a TLS stream.
//!
//! Both ends show a certificate, and each holds the other's against the same authority. There is TLS 1.3 and nothing older. Nothing is
//! resumed, so whoever comes is judged anew each time; and a host that has certificates talks to nobody without.
//!
//! The authority says who belongs here. Which node it is a certificate says with a DNS name ([`certificate_name`]), as in
//! `node-101.cluster-7.shardlab`: no node can pose as another one, no client as a node, and no node of a cluster as one of another
//! cluster. Nothing in it is of a machine: a node that moves keeps its certificate. Clients need no name. (A certificate for `*.cluster-7.shardlab` is
//! of all nodes of the cluster, and so whoever has it can be any.)
//!
//! Inside of it goes the [handshake], which asks whether the certificate is of the node that somebody says it is.
//!
//! A stranger hears the certificate of this node, as everybody does who begins with TLS, and nothing more.

use super::FIRST_CLIENT;
use super::handshake::{self, HandshakeError};
use crate::id::NodeId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore};
use rustls::{PeerIncompatible, ServerConfig, SignatureScheme};
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tokio_util::either::Either;

/// How everything in TLS begins that a client says first.
const HANDSHAKE_RECORD: u8 = 0x16;
/// What is said to somebody who speaks the protocol of nodes, and not in TLS: a fatal alert, of a handshake that has failed.
const ALERT: [u8; 7] = [0x15, 3, 3, 0, 2, 2, 40];
/// How long somebody who was refused may take to hear it.
const LINGER: Duration = Duration::from_secs(1);
/// How much is read meanwhile that they have said before.
const LEFT_UNREAD: usize = 16 << 10;

/// A connection, in TLS or not.
pub(crate) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The DNS name that is in the certificate of this node.
pub fn certificate_name(cluster: u64, node: NodeId) -> String {
    format!("node-{}.cluster-{cluster}.shardlab", node.0)
}

/// Where certificates are, in PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlsFiles {
    /// The certificate of the authority; or several, of which each will do.
    pub ca: PathBuf,
    /// This side's own certificate, and behind it those between it and the authority, if there are any.
    pub cert: PathBuf,
    /// The key of the certificate, which others than the owner of the file and its group may not read.
    pub key: PathBuf,
}

/// Why certificates are of no use. It names the file and says what to do.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", .path.display())]
pub struct TlsError {
    /// Which file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub what: String,
}

impl TlsError {
    fn new(path: &Path, what: impl fmt::Display) -> TlsError {
        TlsError { path: path.into(), what: what.to_string() }
    }

    fn of_pem(path: &Path, wanted: &str, why: pem::Error) -> TlsError {
        match why {
            pem::Error::Io(why) => TlsError::new(path, format_args!("{wanted} cannot be read: {why}")),
            pem::Error::NoItemsFound => {
                TlsError::new(path, format_args!("there is no {wanted} in PEM in this file"))
            }
            why => TlsError::new(path, format_args!("{wanted} is damaged ({why}): copy it again")),
        }
    }
}

/// Certificates with which a host talks, and by which it judges others. What changes in the files later is not seen.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    connector: TlsConnector,
    authority: Arc<Authority>,
    own: Arc<CertifiedKey>,
    file: Arc<Path>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the certificate in {}", self.file.display())
    }
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    /// [`TlsError`]: one cannot be read or is not what it should be, the key is not that of the certificate, or others can read it.
    pub fn load(files: &TlsFiles) -> Result<Tls, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let authority = Arc::new(Authority::load(&files.ca, provider.clone())?);
        let own = Arc::new(own(files, &provider)?);
        let both = Arc::new(SingleCertAndKey::from((*own).clone()));
        let known = "the library knows the version that it was built for";
        let accepting = ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(&[&TLS13]);
        let verifier = authority.clients.clone();
        let mut accepting =
            accepting.expect(known).with_client_cert_verifier(verifier).with_cert_resolver(both.clone());
        accepting.send_tls13_tickets = 0;
        accepting.session_storage = Arc::new(NoServerSessionStorage {});
        let dialling =
            ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]).expect(known);
        let dialling = dialling.dangerous().with_custom_certificate_verifier(authority.clone());
        let mut dialling = dialling.with_client_cert_resolver(both);
        dialling.resumption = Resumption::disabled();
        // Which node is looked for is said inside, where nobody listens.
        dialling.enable_sni = false;
        let (acceptor, connector) = (Arc::new(accepting).into(), Arc::new(dialling).into());
        Ok(Tls { acceptor, connector, authority, own, file: files.cert.as_path().into() })
    }

    /// Whether others will take the certificate for that of this node.
    pub(super) fn check(&self, cluster: u64, node: NodeId) -> Result<(), TlsError> {
        let wrong = |what: String| TlsError::new(&self.file, what);
        let (certificate, rest) = self.own.cert.split_first().expect("it is not read without one");
        let (now, is_node) = (UnixTime::now(), is_node(node));
        let mut judged = self.authority.clients.verify_client_cert(certificate, rest, now).map(|_| ());
        if is_node {
            judged = judged.and_then(|()| self.authority.judge_server(certificate, rest, now));
        }
        judged.map_err(|why| wrong(format!("this is a certificate {}", unfit(&why))))?;
        match is_node && !Shown(certificate.clone()).names(cluster, node) {
            true => {
                let name = certificate_name(cluster, node);
                Err(wrong(format!("this is not a certificate of {node}: it must have {name} among its DNS names")))
            }
            false => Ok(()),
        }
    }

    async fn connect(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, HandshakeError> {
        let nobody = ServerName::try_from("shardlab").expect("it is a name");
        match self.connector.connect(nobody, stream).await {
            Ok(stream) => Ok(stream.into()),
            Err(why) => Err(match why.into() {
                HandshakeError::Io(why) => HandshakeError::NotInTls(why),
                other => other,
            }),
        }
    }

    async fn accept(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, HandshakeError> {
        match self.acceptor.accept(stream).into_fallible().await {
            Ok(stream) => Ok(stream.into()),
            Err((why, stream)) => {
                linger(stream).await;
                Err(why.into())
            }
        }
    }
}

/// Sends somebody away who has not begun with TLS.
async fn refuse(mut stream: TcpStream) -> HandshakeError {
    let why = handshake::read_without_tls(&mut stream).await;
    if matches!(why, HandshakeError::NoTls) && stream.write_all(&ALERT).await.is_ok() {
        linger(stream).await;
    }
    why
}

/// Begins to talk over a connection that this host has opened. With what the other end has shown, if it is in TLS.
pub(crate) async fn dialled(
    tls: Option<&Tls>,
    stream: TcpStream,
) -> Result<(Stream, Option<Shown>), HandshakeError> {
    let Some(tls) = tls else { return Ok((Either::Left(stream), None)) };
    Ok(sealed(Box::pin(tls.connect(stream)).await?))
}

/// The same, over a connection that another one has opened.
pub(crate) async fn accepted(
    tls: Option<&Tls>,
    stream: TcpStream,
) -> Result<(Stream, Option<Shown>), HandshakeError> {
    let Some(tls) = tls else { return Ok((Either::Left(stream), None)) };
    let mut first = [0];
    // Whoever says nothing costs nothing of TLS, for which there is room when it has begun.
    match stream.peek(&mut first).await? {
        1 if first[0] != HANDSHAKE_RECORD => Err(Box::pin(refuse(stream)).await),
        _ => Ok(sealed(Box::pin(tls.accept(stream)).await?)),
    }
}

fn sealed(stream: TlsStream<TcpStream>) -> (Stream, Option<Shown>) {
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let shown = Shown(shown.expect("whoever shows none is refused").clone());
    (Either::Right(Box::new(stream)), Some(shown))
}

/// Lets somebody hear why they were refused: closed with bytes unread, a socket may take back what it was about to deliver.
async fn linger(mut stream: TcpStream) {
    let gone = async {
        let (mut rest, mut left) = ([0; 512], LEFT_UNREAD);
        stream.shutdown().await?;
        while left > 0 {
            match stream.read(&mut rest).await? {
                0 => break,
                read => left = left.saturating_sub(read),
            }
        }
        std::io::Result::Ok(())
    };
    let _ = tokio::time::timeout(LINGER, gone).await;
}

/// Whether this is the id of a node, and not one of those that clients draw.
pub(super) const fn is_node(id: NodeId) -> bool {
    id.0 < FIRST_CLIENT
}

/// The certificate that the other end of a connection has shown, and for which the authority answers.
#[derive(Debug)]
pub struct Shown(CertificateDer<'static>);

impl Shown {
    /// Whether it is of that node.
    pub fn names(&self, cluster: u64, node: NodeId) -> bool {
        let name = ServerName::try_from(certificate_name(cluster, node)).expect("numbers make no bad names");
        ParsedCertificate::try_from(&self.0).and_then(|parsed| verify_server_name(&parsed, &name)).is_ok()
    }
}

/// Who says who belongs here. As whom somebody does is asked later, when they have said who they are: a name that is looked for could not be
/// told from one that is not by those who know an address and nothing else.
#[derive(Debug)]
struct Authority {
    roots: Arc<RootCertStore>,
    clients: Arc<dyn ClientCertVerifier>,
    provider: Arc<CryptoProvider>,
}

impl Authority {
    fn load(path: &Path, provider: Arc<CryptoProvider>) -> Result<Authority, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(path, "certificate of an authority")? {
            let added = roots.add(certificate);
            added.map_err(|why| {
                TlsError::new(path, format_args!("this is no certificate of an authority: {why}"))
            })?;
        }
        let roots = Arc::new(roots);
        let clients = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        // Strangers need not hear whose certificates are good here.
        let clients = clients.clear_root_hint_subjects().build();
        let clients = clients.map_err(|why| TlsError::new(path, why))?;
        Ok(Authority { roots, clients, provider })
    }

    fn judge_server(
        &self,
        certificate: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let parsed = ParsedCertificate::try_from(certificate)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&parsed, &self.roots, rest, now, algorithms)
    }
}

impl ServerCertVerifier for Authority {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        _nobody: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.judge_server(certificate, rest, now).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.2 is not spoken here".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn certificates(path: &Path, wanted: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(|all| all.collect::<Result<Vec<_>, _>>());
    let read = read.and_then(|all| if all.is_empty() { Err(pem::Error::NoItemsFound) } else { Ok(all) });
    read.map_err(|why| TlsError::of_pem(path, wanted, why))
}

/// This side's own certificate, with its key.
fn own(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let (cert, path) = (certificates(&files.cert, "certificate")?, files.key.as_path());
    let wanted = "private key";
    let key = PrivateKeyDer::from_pem_file(path).map_err(|why| TlsError::of_pem(path, wanted, why))?;
    let mode = std::fs::metadata(path).map_err(|why| TlsError::of_pem(path, wanted, pem::Error::Io(why)))?;
    if mode.permissions().mode() & 0o007 != 0 {
        return Err(TlsError::new(
            path,
            "everybody on this machine can read the key, or change it: `chmod 600` it",
        ));
    }
    CertifiedKey::from_der(cert, key, provider).map_err(|why| match why {
        rustls::Error::InconsistentKeys(_) => {
            let other = files.cert.display();
            TlsError::new(
                path,
                format_args!(
                    "this is not the key of the certificate in {other}: name the two that belong together"
                ),
            )
        }
        why => TlsError::new(path, format_args!("this key is of no use: {why}")),
    })
}

/// What is wrong between two ends, in words.
pub(super) fn explain(error: &rustls::Error) -> HandshakeError {
    use AlertDescription as Alert;
    match error {
        rustls::Error::NoCertificatesPresented => HandshakeError::NoCertificate,
        rustls::Error::InvalidCertificate(_) => HandshakeError::Unfit(unfit(error)),
        rustls::Error::AlertReceived(alert) => match alert {
            Alert::UnknownCA => HandshakeError::Refused("it is of another authority".into()),
            // A certificate that is not valid yet is refused with the same word.
            Alert::CertificateExpired => HandshakeError::Refused("it has expired, or is not valid yet".into()),
            Alert::CertificateRequired => HandshakeError::Refused("it has seen none".into()),
            Alert::BadCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::DecryptError
            | Alert::AccessDenied
            | Alert::UnsupportedCertificate => HandshakeError::Refused(format!("it says {alert:?}")),
            alert => HandshakeError::OtherTls(format!("it says {alert:?}")),
        },
        rustls::Error::PeerIncompatible(PeerIncompatible::SupportedVersionsExtensionRequired) => {
            HandshakeError::OtherTls("it knows no TLS 1.3".into())
        }
        other => HandshakeError::OtherTls(other.to_string()),
    }
}

/// What is wrong with a certificate, to be read behind "a certificate".
fn unfit(error: &rustls::Error) -> String {
    use CertificateError as Why;
    match error {
        rustls::Error::InvalidCertificate(Why::Expired | Why::ExpiredContext { .. }) => {
            "that has expired: it takes a new one, if the clocks are right".into()
        }
        rustls::Error::InvalidCertificate(Why::NotValidYet | Why::NotValidYetContext { .. }) => {
            "that is not valid yet: look at the clocks of both machines".into()
        }
        rustls::Error::InvalidCertificate(Why::UnknownIssuer) => {
            "of another authority than this node's: give both sides certificates of the same one".into()
        }
        rustls::Error::InvalidCertificate(Why::BadSignature) => {
            "that its authority has not signed, or without its key: another authority may have the same name".into()
        }
        rustls::Error::InvalidCertificate(Why::InvalidPurpose | Why::InvalidPurposeContext { .. }) => {
            "that is not made for this: those of nodes must be for servers and for clients, those of clients for clients".into()
        }
        other => format!("that is of no use: {other}"),
    }
}
