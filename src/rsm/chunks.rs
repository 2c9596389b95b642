//! Snapshots as a row of values, each with its length: none of them has to hold the whole state, which may be larger
//! than what the codec takes at once.

use super::machine::Malformed;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Puts a value at the end.
///
/// # Panics
/// If the value alone is larger than [`labgob::LIMIT`].
pub fn put(bytes: &mut Vec<u8>, value: &impl Serialize) {
    let at = bytes.len();
    bytes.extend_from_slice(&[0; 4]);
    labgob::encode_into(bytes, value).expect("one value of a state is far smaller than the limit");
    let length = (bytes.len() - at - 4) as u32;
    bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
}

/// Takes a value from the front.
///
/// # Errors
/// [`Malformed`]: there is none, or another.
pub fn take<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, Malformed> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or(Malformed)?;
    let length = u32::from_le_bytes(*length) as usize;
    let (value, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
    *bytes = rest;
    labgob::decode(value).map_err(|_| Malformed)
}
