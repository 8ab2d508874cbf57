//! The allocator of the whole process: mimalloc. A request takes some 30 blocks of memory, and with glibc's allocator a tenth of
//! its time in the processor, outside of the kernel, went into them.
//!
//! Not here: when memory goes back (`crate::gateway`).

/// A fuzz target has the allocator of its sanitizer, which sees what is written behind a block.
#[cfg(not(fuzzing))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Gives back to the system what this thread has freed and the allocator keeps. It takes some milliseconds behind a peak, and
/// holds up no other thread.
#[expect(unsafe_code, reason = "no library offers this call as a safe one")]
pub fn give_back() {
    // SAFETY: the call takes a flag and no pointer, each thread may make it at any time, and it moves or frees nothing that is
    // in use.
    unsafe {
        libmimalloc_sys::mi_collect(true);
    }
}
