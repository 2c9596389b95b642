//! How a lab declares the bugs that can be planted in it.
//!
//! Each is one line at the place where the mistake is usually made: `bug!(self, Name)` is true when the
//! configuration of its owner names the bug. Without the feature `zoo` it is the constant `false`, and nothing of
//! it is left in the program.

/// Declares a lab's `Bug`, lists of it, and its macro `bug!`.
///
/// A list begins with its name; the bugs follow, each with what is wrong in a sentence. The first list carries the
/// name of the module whose `bugs.rs` this is. (`($)` is there because a macro cannot write a `$` of its own.)
macro_rules! bugs {
    (($d:tt) $lab:ident $($list:ident $($(#[doc = $doc:expr])+ $name:ident = $label:literal,)+);+) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Bug {
            $($($(#[doc = $doc])+ $name,)+)+
        }

        impl Bug {
            $(
                /// The bugs of that list.
                pub const $list: &'static [Bug] = &[$(Bug::$name),+];
            )+

            /// What it is called on the command line and in plans.
            pub const fn name(self) -> &'static str {
                match self { $($(Bug::$name => $label),+),+ }
            }

            /// What is wrong, in a sentence.
            pub fn about(self) -> &'static str {
                match self { $($(Bug::$name => concat!($($doc),+).trim()),+),+ }
            }
        }

        /// Whether a bug is planted here.
        macro_rules! bug {
            ($d owner:expr, $d bug:ident) => {
                cfg!(feature = "zoo") && $d owner.config.bug == Some($crate::$lab::bugs::Bug::$d bug)
            };
        }
        pub(crate) use bug;
    };
}
pub(crate) use bugs;
