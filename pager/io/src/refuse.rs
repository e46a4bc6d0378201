//! Refusals on order, for tests of the fallbacks and of what is said about
//! errors: a seccomp filter that answers some system calls of this thread with
//! an error, as container runtimes, hardened kernels and failing devices do.
//!
//! ## Invariants
//! * A filter binds the calling thread and the threads that it starts later;
//!   it cannot be taken off again. Callers run in a thread or a process that
//!   ends with the test.
#![allow(unsafe_code, reason = "prctl has no safe form in std")]

use std::io;

use libc::{c_long, c_ulong, sock_filter, sock_fprog};

/// Offset of the call's number in `struct seccomp_data`.
const NUMBER: u32 = 0;
/// Offset of the first argument's low half in `struct seccomp_data`.
const ARGUMENTS: u32 = if cfg!(target_endian = "little") {
    16
} else {
    20
};
const ARGUMENT_BYTES: u32 = 8;

/// One system call that is answered without being made.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    call: c_long,
    error: i32,
    only: Option<Only>,
}

/// What the low half of an argument must look like.
#[derive(Clone, Copy, Debug)]
struct Only {
    argument: u32,
    value: u32,
    comparison: u32,
}

impl Refusal {
    /// Answers `call`, one of the `SYS_` numbers, with `error`. Zero stands for
    /// success, with a result of 0: nothing was read, written or submitted.
    #[must_use]
    pub fn of(call: c_long, error: i32) -> Self {
        let only = None;
        Self { call, error, only }
    }

    /// Only where the argument of that number, the first being 0, has this low half.
    #[must_use]
    pub fn where_equal(self, argument: u32, value: u32) -> Self {
        self.only(argument, value, libc::BPF_JEQ)
    }

    /// Only where the argument of that number, the first being 0, has one of these bits.
    #[must_use]
    pub fn where_any_bit(self, argument: u32, bits: u32) -> Self {
        self.only(argument, bits, libc::BPF_JSET)
    }

    fn only(self, argument: u32, value: u32, comparison: u32) -> Self {
        let only = Some(Only {
            argument,
            value,
            comparison,
        });
        Self { only, ..self }
    }

    /// Answers, or goes on behind the last instruction.
    fn program(self) -> Vec<sock_filter> {
        let answer = give(libc::SECCOMP_RET_ERRNO | self.error as u32);
        let mut program = vec![load(NUMBER)];
        match self.only {
            None => program.push(skip_unless(libc::BPF_JEQ, self.call as u32, 1)),
            Some(only) => program.extend([
                skip_unless(libc::BPF_JEQ, self.call as u32, 3),
                load(ARGUMENTS + ARGUMENT_BYTES * only.argument),
                skip_unless(only.comparison, only.value, 1),
            ]),
        }
        program.push(answer);
        program
    }
}

/// Answers the system calls of this thread as told; the first that fits counts.
///
/// # Errors
/// The kernel takes no filters.
pub fn calls(refusals: &[Refusal]) -> io::Result<()> {
    let parts = refusals.iter().flat_map(|refusal| refusal.program());
    let program: Vec<_> = parts.chain([give(libc::SECCOMP_RET_ALLOW)]).collect();
    install(&program)
}

/// Answers `io_uring_setup` with `error`, an errno such as `EPERM` or `ENOSYS`.
///
/// # Errors
/// The kernel takes no filters.
pub fn io_uring(error: i32) -> io::Result<()> {
    calls(&[Refusal::of(libc::SYS_io_uring_setup, error)])
}

/// Answers every `openat` that asks for `O_DIRECT` with `EINVAL`, as a file
/// system without it does.
///
/// # Errors
/// The kernel takes no filters.
pub fn direct_io() -> io::Result<()> {
    let opening = Refusal::of(libc::SYS_openat, libc::EINVAL);
    calls(&[opening.where_any_bit(2, libc::O_DIRECT as u32)])
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

fn skip_unless(comparison: u32, value: u32, skip: u8) -> sock_filter {
    sock_filter {
        code: (libc::BPF_JMP | comparison | libc::BPF_K) as u16,
        jt: 0,
        jf: skip,
        k: value,
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

#[cfg(test)]
pub(crate) mod tests;
