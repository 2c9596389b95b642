//! Hosts that talk in TLS, and whoever comes to them: who is let in, as whom, and what everybody else is told.

use crate::certificates::{Authority, CLUSTER, load};
use crate::logs::Logs;
use crate::machine::{PING, S1, S2, can_talk, config, introduce, localhost, pair, run, soon, until};
use labrpc::net::handshake::{Identity, answer, dial};
use labrpc::net::{Config, FIRST_CLIENT, Host, Limits, Tls, TlsFiles, certificate_name, who_is};
use labrpc::{Env, NodeId};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use std::fs::{self, Permissions};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::ring::sign::any_supported_type;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::{ClientConfig, HandshakeKind, RootCertStore, ServerConfig, SignatureScheme};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};

const S3: NodeId = NodeId(3);
const CLIENT: NodeId = NodeId(FIRST_CLIENT + 5);

fn in_tls(id: NodeId, files: &TlsFiles) -> Config {
    Config { tls: load(files), ..config(id) }
}

/// A node with another one that talks to it in TLS, before and after, over one connection.
struct Served {
    authority: Authority,
    one: Host,
    two: Host,
    env: Env,
    address: SocketAddr,
    logs: Logs,
}

impl Served {
    async fn start(logs: Logs, limits: Limits) -> Served {
        let authority = Authority::new("the authority");
        let one = Config { limits, ..in_tls(S1, &authority.of_node(S1)) };
        let (one, two) = pair(one, in_tls(S2, &authority.of_node(S2)));
        assert!(can_talk(&two, &one).await);
        let (env, address) = (one.env(), one.local_addr().unwrap());
        Served { authority, one, two, env, address, logs }
    }

    /// The log says this once, and the node serves as before.
    async fn goes_on(&self, line: &str) {
        until(&self.env, line, || self.logs.has(line)).await;
        assert!(self.logs.one(line).starts_with("WARN"), "{line}");
        assert_eq!(self.one.counters().turned_away, 1, "and it is counted");
        assert!(can_talk(&self.two, &self.one).await);
        assert_eq!(self.two.counters().peers[&S1].connections, 1, "over the connection that there was");
    }
}

/// A certificate and a key, which need not belong together.
fn read(files: &TlsFiles) -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::from_pem_file(&files.key).unwrap();
    let chain = vec![CertificateDer::from_pem_file(&files.cert).unwrap()];
    Arc::new(CertifiedKey::new(chain, any_supported_type(&key).unwrap()))
}

/// What a stranger shows, whoever asks for it.
#[derive(Debug)]
struct Shows(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, authorities: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        assert!(authorities.is_empty(), "a stranger is told whose certificates are good here");
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// TLS as another program has it, which checks names as everybody does.
fn stranger(authority: &Authority, shows: Option<Arc<CertifiedKey>>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots);
    TlsConnector::from(Arc::new(config.with_client_cert_resolver(Arc::new(Shows(shows)))))
}

/// Comes to S1 in TLS, from this address.
async fn come(address: SocketAddr, with: TlsConnector) -> (SocketAddr, std::io::Result<TlsStream<TcpStream>>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (from, name) = (stream.local_addr().unwrap(), ServerName::try_from(certificate_name(CLUSTER, S1)).unwrap());
    (from, with.connect(name, stream).await.map(TlsStream::from))
}

/// What somebody says of himself.
fn identity(node: NodeId) -> Identity {
    Identity { cluster: CLUSTER, node, boot: 1, secret: None }
}

/// Everything that goes from one host to the other and back passes somebody who writes it down.
async fn listened_in(to: SocketAddr) -> (SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let (listener, heard) = (TcpListener::bind(localhost()).await.unwrap(), Arc::new(Mutex::new(Vec::new())));
    let (address, kept) = (listener.local_addr().unwrap(), heard.clone());
    tokio::spawn(async move {
        let (near, far) = (listener.accept().await.unwrap().0, TcpStream::connect(to).await.unwrap());
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        let pass = |mut from: tokio::net::tcp::OwnedReadHalf, mut to: tokio::net::tcp::OwnedWriteHalf| {
            let kept = kept.clone();
            async move {
                let mut bytes = vec![0; 4_096];
                while let Ok(read @ 1..) = from.read(&mut bytes).await {
                    kept.lock().unwrap().extend_from_slice(&bytes[..read]);
                    to.write_all(&bytes[..read]).await.unwrap();
                }
            }
        };
        futures::join!(pass(near_in, far_out), pass(far_in, near_out));
    });
    (address, heard)
}

#[test]
fn whoever_listens_in_reads_nothing() {
    const WORDS: &[u8] = b"what nobody else should read";
    for is_sealed in [false, true] {
        run(|_| async move {
            let authority = Authority::new("the authority");
            let with =
                |node| Config { tls: is_sealed.then(|| load(&authority.of_node(node))).flatten(), ..config(node) };
            let (one, two) = (Host::start(with(S1)).unwrap(), Host::start(with(S2)).unwrap());
            let (address, heard) = listened_in(two.local_addr().unwrap()).await;
            one.set_peer(S2, address.to_string());
            one.env().send(S2, PING, WORDS);
            assert_eq!(soon(&one.env(), two.env().recv()).await.body, WORDS);
            let heard = heard.lock().unwrap();
            let has = |words: &[u8]| heard.windows(words.len()).any(|window| window == words);
            assert_eq!((has(WORDS), has(b"shardlab")), (!is_sealed, !is_sealed), "in TLS: {is_sealed}");
        });
    }
}

/// A client has an id of its own, and a certificate without a name.
#[test]
fn nodes_and_clients_of_one_authority_talk_in_both_directions() {
    run(|logs| async move {
        let served = Served::start(logs, Limits::default()).await;
        assert!(can_talk(&served.one, &served.two).await);
        let files = served.authority.of_client();
        let client = Config { tls: load(&files), ..Config::new(CLIENT, CLUSTER) };
        let client = Host::start(client).unwrap();
        introduce(&client, &served.one);
        assert!(can_talk(&client, &served.one).await);
        let address = served.address.to_string();
        let resident = who_is(&address, load(&files).as_ref(), Duration::from_secs(10)).await.unwrap();
        assert_eq!((resident.cluster, resident.node), (CLUSTER, S1));
        assert_eq!(served.logs.count("WARN"), 0, "{:?}", served.logs);
    });
}

/// Large messages and many at once, in records of whatever size.
#[test]
fn what_is_large_arrives_as_it_was() {
    run(|logs| async move {
        let served = Served::start(logs, Limits::default()).await;
        for size in [0, 1, 16_383, 16_384, 16_385, 5_000_000] {
            let body: Vec<u8> = (0..size).map(|n: u32| (n ^ (n >> 8)) as u8).collect();
            served.two.env().send(S1, PING, body.clone());
            assert!(soon(&served.env, served.env.recv()).await.body == body, "{size} bytes");
        }
    });
}

/// Who shows what, what the node says of it, and what they hear.
#[test]
fn whoever_has_no_good_certificate_is_told_why_and_reads_nothing() {
    type Sign = fn(&Authority) -> Option<Arc<CertifiedKey>>;
    let cases: [(Sign, &str, &str); 7] = [
        (|_| None, "shows no certificate: give it one", "it has seen none"),
        (
            |_| Some(read(&Authority::new("another authority").of_client())),
            "shows a certificate of another authority than this node's",
            "it is of another authority",
        ),
        (
            |_| Some(read(&Authority::new("the authority").of_client())),
            "shows a certificate that its authority has not signed",
            "it says DecryptError",
        ),
        (
            |authority| Some(read(&stolen(authority, S2))),
            "shows a certificate that its authority has not signed, or without its key",
            "it says DecryptError",
        ),
        (
            |authority| Some(read(&authority.sign(&[], |params| params.not_after = date_time_ymd(2001, 1, 1)))),
            "shows a certificate that has expired",
            "it has expired, or is not valid yet",
        ),
        (
            |authority| Some(read(&authority.sign(&[], |params| params.not_before = date_time_ymd(3001, 1, 1)))),
            "shows a certificate that is not valid yet",
            "it has expired, or is not valid yet",
        ),
        (
            |authority| {
                let server = vec![ExtendedKeyUsagePurpose::ServerAuth];
                Some(read(&authority.sign(&[], |params| params.extended_key_usages = server)))
            },
            "shows a certificate that is not made for this",
            "it says UnsupportedCertificate",
        ),
    ];
    for (sign, told, heard) in cases {
        run(|logs| async move {
            let served = Served::start(logs, Limits::default()).await;
            let shows = sign(&served.authority);
            let (from, stream) = come(served.address, stranger(&served.authority, shows)).await;
            // Whoever dials believes at first that all is well: the node judges last.
            let mut stream = stream.unwrap();
            let why = dial(&mut stream, &identity(CLIENT), S1, None, [3; 32]).await.unwrap_err().to_string();
            assert!(why.contains(heard), "{why}");
            drop(stream);
            served.goes_on(&format!("peer {from} {told}")).await;
        });
    }
}

/// S3 has a certificate, and says that it is S2; a client that it is a node; a node of another cluster that it is of this one.
#[test]
fn nobody_is_taken_for_a_node_that_their_certificate_does_not_name() {
    type Sign = fn(&Authority) -> TlsFiles;
    let cases: [Sign; 3] = [
        |authority| authority.of_node(S3),
        |authority| authority.of_client(),
        |authority| authority.sign(&[certificate_name(CLUSTER + 1, S2)], |_| {}),
    ];
    for sign in cases {
        run(|logs| async move {
            let served = Served::start(logs, Limits::default()).await;
            let shows = sign(&served.authority);
            let (from, stream) = come(served.address, stranger(&served.authority, Some(read(&shows)))).await;
            let why = dial(&mut stream.unwrap(), &identity(S2), S1, None, [3; 32]).await;
            assert!(why.is_err(), "it was taken for S2");
            let told = "says that it is S2, and shows a certificate that does not say so: it must have \
                        node-2.cluster-7.shardlab among its DNS names";
            served.goes_on(&format!("peer {from} {told}")).await;
        });
    }
    run(|logs| async move {
        let served = Served::start(logs, Limits::default()).await;
        let (_, stream) =
            come(served.address, stranger(&served.authority, Some(read(&served.authority.of_node(S3))))).await;
        let found = dial(&mut stream.unwrap(), &identity(S3), S1, None, [3; 32]).await.unwrap();
        assert_eq!(found.node, S1, "as itself it is let in");
    });
}

/// The same the other way round: somebody has taken the address of S2.
#[test]
fn whoever_dials_believes_no_node_that_its_certificate_does_not_name() {
    type Sign = fn(&Authority) -> TlsFiles;
    let cases: [(Sign, &str); 5] = [
        (
            |authority| stolen(authority, S2),
            "shows a certificate that its authority has not signed, or without its key",
        ),
        (|authority| authority.of_node(S3), "says that it is S2, and shows a certificate that does not say so"),
        (
            |authority| authority.sign(&[certificate_name(CLUSTER + 1, S2)], |_| {}),
            "says that it is S2, and shows a certificate that does not say so",
        ),
        (|authority| authority.of_client(), "shows a certificate that is not made for this"),
        (
            |authority| {
                // Written where it is not removed with its authority.
                let (other, files) = (Authority::new("another authority"), authority.of_node(S3));
                let signed = other.of_node(S2);
                fs::copy(signed.cert, &files.cert).and_then(|_| fs::copy(signed.key, &files.key)).unwrap();
                files
            },
            "shows a certificate of another authority",
        ),
    ];
    for (sign, told) in cases {
        run(|logs| async move {
            let authority = Authority::new("the authority");
            let one = Host::start(in_tls(S1, &authority.of_node(S1))).unwrap();
            let listener = TcpListener::bind(localhost()).await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let shows = SingleCertAndKey::from((*read(&sign(&authority))).clone());
            let impostor = ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(shows));
            let impostor = TlsAcceptor::from(Arc::new(impostor));
            tokio::spawn(async move {
                loop {
                    let stream = listener.accept().await.unwrap().0;
                    if let Ok(mut stream) = impostor.accept(stream).await {
                        let _ = answer(&mut stream, &identity(S2), None, [4; 32]).await;
                    }
                }
            });
            one.set_peer(S2, &*address);
            one.env().send(S2, PING, &b"for S2 alone"[..]);
            let line = format!("peer S2 at {address} {told}");
            until(&one.env(), &line, || logs.has(&line)).await;
            assert_eq!(one.counters().peers[&S2].connections, 0);
            let why = who_is(&address, load(&authority.of_client()).as_ref(), Duration::from_secs(10))
                .await
                .unwrap_err()
                .to_string();
            assert!(why.contains(told), "those who ask who is there are not deceived either: {why}");
        });
    }
}

/// The certificate of that node, which everybody has seen who has talked to it, without its key.
fn stolen(authority: &Authority, node: NodeId) -> TlsFiles {
    TlsFiles { key: authority.of_client().key, ..authority.of_node(node) }
}

/// What was good once is judged anew: a certificate that has expired since then, or another authority, must count.
#[test]
fn nothing_is_resumed() {
    run(|logs| async move {
        let served = Served::start(logs, Limits::default()).await;
        let with = stranger(&served.authority, Some(read(&served.authority.of_client())));
        for _ in 0..3 {
            let mut stream = come(served.address, with.clone()).await.1.unwrap();
            dial(&mut stream, &identity(CLIENT), S1, None, [3; 32]).await.unwrap();
            let kind = match &stream {
                TlsStream::Client(stream) => stream.get_ref().1.handshake_kind(),
                TlsStream::Server(_) => None,
            };
            assert_eq!(kind, Some(HandshakeKind::Full));
        }
    });
}

/// A node that trusts the authority of the other one, which does not trust that of the first.
#[test]
fn a_node_whose_certificate_is_refused_hears_it_too() {
    run(|logs| async move {
        let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
        let (one, two) = (ours.of_node(S1), theirs.of_node(S2));
        fs::write(&one.ca, ours.pem() + &theirs.pem()).unwrap();
        let (one, two) = (Host::start(in_tls(S1, &one)).unwrap(), Host::start(in_tls(S2, &two)).unwrap());
        introduce(&one, &two);
        one.env().send(S2, PING, &b"hi"[..]);
        let address = two.local_addr().unwrap();
        let line =
            format!("peer S2 at {address} does not take the certificate of this node: it is of another authority");
        until(&one.env(), &line, || logs.has(&line)).await;
        let why = "shows a certificate of another authority than this node's";
        until(&one.env(), why, || logs.has(why)).await;
        introduce(&two, &one);
        two.env().send(S1, PING, &b"hi"[..]);
        let line = "does not take the certificate of this node: it is of another authority";
        until(&one.env(), "the one who was dialled hears it as well", || logs.count(line) >= 2).await;
    });
}

#[test]
fn those_with_tls_and_those_without_name_each_other() {
    run(|logs| async move {
        let authority = Authority::new("the authority");
        let (sealed, plain) = pair(in_tls(S1, &authority.of_node(S1)), config(S2));
        let (at_sealed, at_plain) = (sealed.local_addr().unwrap(), plain.local_addr().unwrap());
        plain.env().send(S1, PING, &b"hi"[..]);
        let lines = [
            "does not speak TLS, and this node does: give certificates to both sides".to_string(),
            format!("peer S1 at {at_sealed} speaks TLS, and this node does not: give certificates to both sides"),
        ];
        for line in &lines {
            until(&plain.env(), line, || logs.has(line)).await;
        }
        let why = who_is(&at_sealed.to_string(), None, Duration::from_secs(10)).await.unwrap_err().to_string();
        assert!(why.contains("speaks TLS, and this node does not"), "{why}");
        sealed.env().send(S2, PING, &b"hi"[..]);
        let hung_up = format!("peer S2 at {at_plain} has hung up on TLS (");
        until(&plain.env(), &hung_up, || logs.has(&hung_up)).await;
        assert!(logs.count("speaks TLS, and this node does not") >= 2, "{logs:?}");
        assert_eq!((sealed.counters().received, plain.counters().received), (0, 0));
    });
}

#[test]
fn whoever_does_not_speak_tls_as_nodes_do_is_named() {
    // Of TLS 1.2: a random number, one suite, no compression, and one algorithm for signatures.
    let head = [0x16, 3, 1, 0, 55, 1, 0, 0, 51, 3, 3];
    let rest = [0, 0, 2, 0xc0, 0x2f, 1, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3];
    let old = [&head[..], &[7; 32], &rest].concat();
    let first_words: [(&[u8], &str); 5] = [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "speaks HTTP"),
        (b"SSH-2.0-OpenSSH_9.7\r\n", "does not speak the protocol of nodes"),
        (&[0; 100], "does not speak the protocol of nodes"),
        (b"\x16 and then nothing that makes sense", "does not speak TLS as this node does: "),
        (&old, "does not speak TLS as this node does: it knows no TLS 1.3"),
    ];
    for (words, told) in first_words {
        run(|logs| async move {
            let served = Served::start(logs, Limits::default()).await;
            let mut stream = TcpStream::connect(served.address).await.unwrap();
            let from = stream.local_addr().unwrap();
            stream.write_all(words).await.unwrap();
            let mut heard = Vec::new();
            let _ = soon(&served.env, stream.read_to_end(&mut heard)).await;
            assert!(heard.is_empty() || heard.starts_with(&[0x15, 3]), "nothing but an alert: {heard:?}");
            served.goes_on(&format!("peer {from} {told}")).await;
        });
    }
}

/// The deadline of the handshake is that of all of it. Whoever begins with TLS and does not go on has no more time than others.
#[test]
fn whoever_stops_in_the_middle_of_tls_has_no_more_time_than_others() {
    for in_tls in [false, true] {
        run(|logs| async move {
            let limits = Limits { handshake: Duration::from_millis(200), ..Limits::default() };
            let served = Served::start(logs, limits).await;
            let stop = async {
                if in_tls {
                    let files = served.authority.of_client();
                    let (from, stream) =
                        come(served.address, stranger(&served.authority, Some(read(&files)))).await;
                    let mut stream = stream.unwrap();
                    let _ = stream.read(&mut [0; 8]).await;
                    from
                } else {
                    let mut stream = TcpStream::connect(served.address).await.unwrap();
                    stream.write_all(&[0x16, 3, 1, 0, 200, 1, 0, 0, 196, 3, 3]).await.unwrap();
                    let _ = stream.read(&mut [0; 8]).await;
                    stream.local_addr().unwrap()
                }
            };
            let from = soon(&served.env, stop).await;
            served.goes_on(&format!("peer {from} did not finish the handshake within 200ms")).await;
        });
    }
}

/// Somebody who knows the secret and has no certificate does not belong here, nor does somebody with a certificate who does not know it.
#[test]
fn the_secret_is_asked_for_in_tls_too() {
    run(|logs| async move {
        let authority = Authority::new("the authority");
        let with = |node, secret: &str| {
            let secret = Some(labrpc::net::Secret::new(secret));
            Config { secret, ..in_tls(node, &authority.of_node(node)) }
        };
        let (one, two) = pair(with(S1, "sixteen bytes or more"), with(S2, "sixteen bytes or more"));
        assert!(can_talk(&one, &two).await && can_talk(&two, &one).await);
        let three = Host::start(with(S3, "and these are others")).unwrap();
        introduce(&three, &one);
        three.env().send(S1, PING, &b"hi"[..]);
        let line = format!("peer S1 at {} has another shared secret", one.local_addr().unwrap());
        until(&one.env(), &line, || logs.has(&line)).await;
    });
}

/// What cannot work is said when the node starts, with the file.
#[test]
fn files_that_are_of_no_use_are_named_with_what_to_do() {
    let authority = Authority::new("the authority");
    let good = authority.of_node(S1);
    let other = authority.of_node(S2);
    let text = authority.dir().join("text");
    fs::write(&text, "no certificate").unwrap();
    let missing = authority.dir().join("missing");
    let open = authority.of_node(S1);
    fs::set_permissions(&open.key, Permissions::from_mode(0o644)).unwrap();
    let cut = authority.dir().join("cut");
    fs::write(&cut, &fs::read_to_string(&good.cert).unwrap()[..200]).unwrap();
    let cases = [
        (TlsFiles { ca: missing.clone(), ..good.clone() }, &missing, "certificate of an authority cannot be read"),
        (TlsFiles { ca: text.clone(), ..good.clone() }, &text, "there is no certificate of an authority in PEM"),
        (TlsFiles { cert: missing.clone(), ..good.clone() }, &missing, "certificate cannot be read"),
        (TlsFiles { cert: cut.clone(), ..good.clone() }, &cut, "certificate is damaged"),
        (TlsFiles { key: missing.clone(), ..good.clone() }, &missing, "private key cannot be read"),
        (TlsFiles { key: good.cert.clone(), ..good.clone() }, &good.cert, "there is no private key in PEM"),
        (
            TlsFiles { key: other.key.clone(), ..good.clone() },
            &other.key,
            "this is not the key of the certificate in",
        ),
        (open.clone(), &open.key, "everybody on this machine can read the key, or change it: `chmod 600` it"),
    ];
    for (files, path, told) in cases {
        let why = Tls::load(&files).unwrap_err().to_string();
        assert!(why.starts_with(&format!("{}: {told}", path.display())) && !why.contains('\n'), "{why}");
    }
    fs::set_permissions(&open.key, Permissions::from_mode(0o640)).unwrap();
    assert!(Tls::load(&open).is_ok(), "a group may have it, as where a service is given its files by another one");
}

#[test]
fn a_host_whose_certificate_nobody_would_take_does_not_start() {
    run(|_| async {
        let authority = Authority::new("the authority");
        let name = || certificate_name(CLUSTER, S1);
        let old = authority.sign(&[name()], |params| params.not_after = date_time_ymd(2001, 1, 1));
        let client = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let client = authority.sign(&[name()], |params| params.extended_key_usages = client);
        let another = Authority::new("another authority");
        let foreign = TlsFiles { ca: authority.of_node(S1).ca, ..another.of_node(S1) };
        let cases = [
            (
                authority.of_node(S2),
                "this is not a certificate of S1: it must have node-1.cluster-7.shardlab among",
            ),
            (old, "this is a certificate that has expired"),
            (foreign, "this is a certificate of another authority than this node's"),
            (client.clone(), "this is a certificate that is not made for this"),
        ];
        for (files, told) in cases {
            let why = Host::start(in_tls(S1, &files)).err().unwrap().to_string();
            assert!(why.starts_with(&format!("{}: {told}", files.cert.display())), "{why}");
        }
        assert!(Host::start(Config { tls: load(&client), ..Config::new(CLIENT, CLUSTER) }).is_ok());
        let of_all = |cluster: u64| authority.sign(&[format!("*.cluster-{cluster}.shardlab")], |_| {});
        assert!(Host::start(in_tls(S1, &of_all(CLUSTER))).is_ok());
        assert!(Host::start(in_tls(S1, &of_all(CLUSTER + 1))).is_err());
    });
}
