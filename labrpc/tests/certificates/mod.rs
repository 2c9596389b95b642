//! Authorities of tests and what they sign, in files that are removed in the end.

#![allow(dead_code, reason = "each test program uses a part of it")]

use labrpc::NodeId;
use labrpc::net::{Tls, TlsFiles, certificate_name};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// The number of the cluster in all tests.
pub const CLUSTER: u64 = 7;

pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
    given: AtomicU32,
}

impl Authority {
    pub fn new(name: &str) -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { issuer, dir, given: AtomicU32::new(0) }
    }

    pub fn pem(&self) -> String {
        self.issuer.pem()
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A new key with a certificate for these names, for both servers and clients, and what is changed about it.
    pub fn sign(&self, names: &[String], change: impl FnOnce(&mut CertificateParams)) -> TlsFiles {
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = |ending| self.dir().join(format!("{}.{ending}", self.given.load(Ordering::Relaxed)));
        let files = TlsFiles { ca: self.dir().join("ca.pem"), cert: path("pem"), key: path("key") };
        self.given.fetch_add(1, Ordering::Relaxed);
        fs::write(&files.cert, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        fs::set_permissions(&files.key, Permissions::from_mode(0o600)).unwrap();
        files
    }

    /// As an operator would have it signed.
    pub fn of_node(&self, node: NodeId) -> TlsFiles {
        self.sign(&[certificate_name(CLUSTER, node)], |_| {})
    }

    pub fn of_client(&self) -> TlsFiles {
        self.sign(&[], |params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth])
    }
}

pub fn load(files: &TlsFiles) -> Option<Tls> {
    Some(Tls::load(files).unwrap())
}
