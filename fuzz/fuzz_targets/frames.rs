//! See `shardlab_fuzz::frames`.

#![no_main]
#![allow(missing_docs)] // the macro makes a public function without any

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardlab_fuzz::frames::holds(data));
