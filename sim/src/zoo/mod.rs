//! The zoo: how well the laboratory sees the bugs that are planted in its systems.
//!
//! Each bug is looked for twice. Once in the course's own scenarios, with the checks alone that look at what clients and
//! services see: that is what the course's own tests could find. And once as `hunt` does it, with all faults, nemeses and
//! checks that there are. A run that is red counts when the same run without the bug is green.

mod cache;
mod column;
mod guidance;
mod measure;
mod page;
mod waits;

pub use cache::{Cache, build};
pub use column::{Caps, Column};
pub use guidance::{Budget, Trial, Way, compared, grow, guidance_page, hunted};
pub use measure::{Cell, Clean, Detection, measure};
pub use page::{Row, page, table};
pub use waits::{median, waits};
