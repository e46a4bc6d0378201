//! Refusals on order, for tests of the fallbacks: a seccomp filter that
//! answers some system calls of this thread with an error, as container
//! runtimes and hardened kernels do.
//!
//! ## Invariants
//! * A filter binds the calling thread and the threads that it starts later;
//!   it cannot be taken off again. Callers run in a process of their own.
#![allow(unsafe_code, reason = "prctl has no safe form in std")]

use std::io;

use libc::{c_long, c_ulong, sock_filter, sock_fprog};

/// Offset of the call's number in `struct seccomp_data`.
const NUMBER: u32 = 0;
/// Offset of the low half of the third argument, the flags of `openat`.
const THIRD_ARGUMENT: u32 = if cfg!(target_endian = "little") {
    16 + 2 * 8
} else {
    16 + 2 * 8 + 4
};

/// Answers `io_uring_setup` with `error`, an errno such as `EPERM` or `ENOSYS`.
///
/// # Errors
/// The kernel takes no filters.
pub fn io_uring(error: i32) -> io::Result<()> {
    install(&[
        load(NUMBER),
        skip_unless_equal(libc::SYS_io_uring_setup, 1),
        give(libc::SECCOMP_RET_ERRNO | error as u32),
        give(libc::SECCOMP_RET_ALLOW),
    ])
}

/// Answers every `openat` that asks for `O_DIRECT` with `EINVAL`, as a file
/// system without it does.
///
/// # Errors
/// The kernel takes no filters.
pub fn direct_io() -> io::Result<()> {
    let any_bit = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
    install(&[
        load(NUMBER),
        skip_unless_equal(libc::SYS_openat, 3),
        load(THIRD_ARGUMENT),
        sock_filter {
            code: any_bit,
            jt: 0,
            jf: 1,
            k: libc::O_DIRECT as u32,
        },
        give(libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32),
        give(libc::SECCOMP_RET_ALLOW),
    ])
}

fn load(offset: u32) -> sock_filter {
    let code = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    sock_filter {
        code,
        jt: 0,
        jf: 0,
        k: offset,
    }
}

fn skip_unless_equal(number: c_long, skip: u8) -> sock_filter {
    let code = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    sock_filter {
        code,
        jt: 0,
        jf: skip,
        k: number as u32,
    }
}

fn give(answer: u32) -> sock_filter {
    sock_filter {
        code: (libc::BPF_RET | libc::BPF_K) as u16,
        jt: 0,
        jf: 0,
        k: answer,
    }
}

fn install(program: &[sock_filter]) -> io::Result<()> {
    let zero: c_ulong = 0;
    let one: c_ulong = 1;
    // SAFETY: this option takes numbers only.
    let refused = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, one, zero, zero, zero) } != 0;
    if refused {
        return Err(io::Error::last_os_error());
    }
    let program = sock_fprog {
        len: program.len() as u16,
        filter: program.as_ptr().cast_mut(),
    };
    let mode = c_ulong::from(libc::SECCOMP_MODE_FILTER);
    // SAFETY: the kernel copies the program, which outlives the call, and
    // changes nothing through the pointer.
    let refused = unsafe { libc::prctl(libc::PR_SET_SECCOMP, mode, &raw const program) } != 0;
    if refused {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
