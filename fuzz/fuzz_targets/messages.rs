//! See `shardlab_fuzz::messages`.

#![no_main]
#![allow(missing_docs)] // the macro makes a public function without any

libfuzzer_sys::fuzz_target!(|data: &[u8]| shardlab_fuzz::messages::holds(data));
