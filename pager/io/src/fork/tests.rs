use super::*;
use crate::refuse::Refusal;
use crate::refuse::tests::within;

/// What a forked child says of itself.
fn child_knows(mark: &ForkMark) -> bool {
    // SAFETY: the child does nothing but look at the mark and leave.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: ends the child at once, without destructors or output.
        unsafe { libc::_exit(i32::from(mark.is_forked())) };
    }
    let mut status = 0;
    // SAFETY: waits for the child made above; `status` outlives the call.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    libc::WEXITSTATUS(status) == 1
}

#[test]
fn a_child_knows_that_it_is_one() {
    let mark = ForkMark::default();
    assert!(!mark.is_forked());
    assert!(child_knows(&mark));
    assert!(!mark.is_forked(), "the parent is what it was");
}

#[test]
fn where_the_kernel_wipes_no_page_the_process_id_tells() {
    for refusal in [
        Refusal::of(libc::SYS_mmap, libc::ENOMEM).where_equal(1, BLOCK_SIZE as u32),
        Refusal::of(libc::SYS_madvise, libc::EINVAL),
    ] {
        let mark = within(&[refusal], ForkMark::new);
        assert!(mark.page.is_none());
        assert!(!mark.is_forked());
        assert!(child_knows(&mark));
    }
}
