//! What clients asked for and what they were told, and how it is shown.
//!
//! The history itself is a crate of its own, `history`: clients of real clusters write it too, and know no laboratory.

mod html;

pub use history::*;
pub use html::{describe, html};
