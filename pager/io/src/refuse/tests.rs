use super::*;

/// What `body` makes in a thread of its own, in which calls are answered as told.
pub(crate) fn within<T: Send>(refusals: &[Refusal], body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            calls(refusals).unwrap();
            body()
        });
        let result = thread.join();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn dup(descriptor: i32) -> Option<i32> {
    // SAFETY: a number that is no open file is answered with an error.
    let result = unsafe { libc::dup(descriptor) };
    (result == -1).then(|| io::Error::last_os_error().raw_os_error().unwrap())
}

#[test]
fn only_the_named_call_with_the_named_argument_is_refused_and_only_in_that_thread() {
    let refusals = [
        Refusal::of(libc::SYS_dup, libc::EXDEV).where_equal(0, 70_001),
        Refusal::of(libc::SYS_dup, libc::EMLINK).where_any_bit(0, 1 << 17),
    ];
    let bad = Some(libc::EBADF);
    let seen = within(&refusals, || [dup(70_001), dup(70_003), dup((1 << 17) | 5)]);
    // 70,001 has bit 16, not bit 17.
    assert_eq!(seen, [Some(libc::EXDEV), bad, Some(libc::EMLINK)]);
    assert_eq!(dup(70_001), bad);
}
