//! The authority of a cluster that somebody begins in one word: it signs the certificates of its nodes and of those who ask it.
//!
//! ```text
//! tls/ca.pem        its certificate, by which all judge each other
//! tls/ca.key        its key: whoever has it can be any node
//! tls/NAME.pem      the certificate of a node, and of all clients together as `client`
//! tls/NAME.key
//! ```
//!
//! That is for a machine on which the cluster is alone. Where there are several, keys do not leave the machines that they are for, and
//! that of the authority is on none of them: somebody's own tools make all of it then, and a layout says where it is.
//!
//! These certificates do not expire before those who have made them: the cluster is begun anew, or somebody signs others.

use super::layout::{Layout, Member};
use labrpc::net::{TlsFiles, certificate_name};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The name that stands for clients, where nodes have theirs.
pub(super) const CLIENT: &str = "client";
/// What stands for a name in the paths of a layout.
pub(super) const NAME: &str = "{name}";

/// Who signs certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    cluster: u64,
}

/// Why nothing is signed: one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// The key is not there, or is none.
    #[error(
        "{}: the key of the authority cannot be used: {why}. Sign the certificates of new nodes yourself, or restore it", .path.display()
    )]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A file cannot be written.
    #[error("{}: cannot be written: {why}", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the machine says.
        why: io::Error,
    },
}

impl Authority {
    /// Makes a new one, with a certificate for clients, in a directory that nobody else may look into. The layout then says that all talk in TLS.
    ///
    /// # Errors
    /// [`AuthorityError::Write`].
    pub fn begin(layout: &mut Layout, dir: &Path) -> Result<Authority, AuthorityError> {
        let files = TlsFiles {
            ca: dir.join("ca.pem"),
            cert: dir.join(format!("{NAME}.pem")),
            key: dir.join(format!("{NAME}.key")),
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|why| AuthorityError::Write { path: dir.into(), why })?;
        let (params, key) = (params(layout.cluster), new_key());
        let certificate = params.self_signed(&key).expect("all of it was made here");
        write(&files.ca, &certificate.pem(), 0o644)?;
        write(&key_of(&files), &key.serialize_pem(), 0o600)?;
        layout.tls = Some(files);
        let authority = Authority { issuer: Issuer::new(params, key), cluster: layout.cluster };
        authority.sign(layout, CLIENT, None)?;
        Ok(authority)
    }

    /// The one that signed for this cluster before. None: it does not talk in TLS.
    ///
    /// # Errors
    /// [`AuthorityError::Key`].
    pub fn of(layout: &Layout) -> Result<Option<Authority>, AuthorityError> {
        let Some(files) = &layout.tls else { return Ok(None) };
        let path = key_of(files);
        let key = fs::read_to_string(&path).map_err(|why| why.to_string());
        let key = key.and_then(|pem| KeyPair::from_pem(&pem).map_err(|why| why.to_string()));
        let key = key.map_err(|why| AuthorityError::Key { path, why })?;
        Ok(Some(Authority { issuer: Issuer::new(params(layout.cluster), key), cluster: layout.cluster }))
    }

    /// Makes a key for a node, and signs that it is that of the node.
    ///
    /// # Errors
    /// [`AuthorityError::Write`].
    pub fn sign_node(&self, layout: &Layout, member: &Member) -> Result<(), AuthorityError> {
        self.sign(layout, &member.name, Some(certificate_name(self.cluster, member.id)))
    }

    /// With a DNS name it is that of a node.
    fn sign(&self, layout: &Layout, name: &str, dns: Option<String>) -> Result<(), AuthorityError> {
        let Some(files) = layout.tls_files(name) else { return Ok(()) };
        let mut usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if dns.is_some() {
            usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let mut params = CertificateParams::new(Vec::from_iter(dns)).expect("numbers make no bad names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = usages;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = new_key();
        let certificate = params.signed_by(&key, &self.issuer).expect("all of it was made here");
        write(&files.cert, &certificate.pem(), 0o644)?;
        write(&files.key, &key.serialize_pem(), 0o600)
    }
}

fn new_key() -> KeyPair {
    KeyPair::generate().expect("the machine has entropy, or nothing on it can be trusted")
}

/// Its key stands beside its certificate.
fn key_of(files: &TlsFiles) -> PathBuf {
    files.ca.with_extension("key")
}

/// The same each time, so that what is signed later is of the same authority.
fn params(cluster: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.distinguished_name.push(DnType::CommonName, format!("authority of shardlab cluster {cluster}"));
    params
}

/// Nobody reads a key between its first byte and the moment at which that is forbidden.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), AuthorityError> {
    let failed = |why| AuthorityError::Write { path: path.into(), why };
    // One that was left behind may be open to others, and would stay so.
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(failed(why)),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all())).map_err(failed)
}
