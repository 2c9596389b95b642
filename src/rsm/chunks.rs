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

/// Puts bytes at the end as they are. They may be as many as there are.
pub fn put_bytes(bytes: &mut Vec<u8>, content: &[u8]) {
    bytes.extend_from_slice(&(content.len() as u64).to_le_bytes());
    bytes.extend_from_slice(content);
}

/// Takes bytes from the front that [`put_bytes`] has put there.
///
/// # Errors
/// [`Malformed`]: there are none.
pub fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let (length, rest) = bytes.split_first_chunk::<8>().ok_or(Malformed)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| Malformed)?;
    let (content, rest) = rest.split_at_checked(length).ok_or(Malformed)?;
    *bytes = rest;
    Ok(content)
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
