//! Certificates on the command line.

use super::Ending;
use clap::Args;
use shardlab::cluster::TlsFiles;
use std::path::PathBuf;

/// Certificates, all or none.
#[derive(Args, Clone, Default)]
pub struct Certificates {
    /// The certificate of the authority that has signed all others, if the cluster talks in TLS; with `--dir` they are known.
    #[arg(long, global = true, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// This side's own certificate.
    #[arg(long, global = true, value_name = "FILE")]
    cert_file: Option<PathBuf>,
    /// The key of that.
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl Certificates {
    /// Where they are. None: they were not named.
    pub fn files(&self) -> Result<Option<TlsFiles>, Ending> {
        match (self.ca_file.clone(), self.cert_file.clone(), self.key_file.clone()) {
            (None, None, None) => Ok(None),
            (Some(ca), Some(cert), Some(key)) => Ok(Some(TlsFiles { ca, cert, key })),
            _ => Err(Ending::usage("--ca-file, --cert-file and --key-file belong together: name all three")),
        }
    }
}
