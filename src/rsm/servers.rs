//! The servers of a service, as far as they are known by now.

use labrpc::NodeId;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Where a service is to be found. Clones are the same list, so whoever hears that it has other servers by now says so once
/// and for all who ask it.
#[derive(Clone, Debug)]
pub struct Servers(Arc<Mutex<Arc<[NodeId]>>>);

impl Servers {
    /// The list as it is now.
    pub fn get(&self) -> Arc<[NodeId]> {
        self.lock().clone()
    }

    /// These are the servers from now on. A service without any is none: nothing changes then.
    pub fn set(&self, servers: &[NodeId]) {
        let mut known = self.lock();
        if !servers.is_empty() && **known != *servers {
            *known = servers.into();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Arc<[NodeId]>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<Vec<NodeId>> for Servers {
    fn from(servers: Vec<NodeId>) -> Servers {
        Servers(Arc::new(Mutex::new(servers.into())))
    }
}
