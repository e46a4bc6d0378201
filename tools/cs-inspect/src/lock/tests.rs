use super::*;

const LOCKS: &str = "\
1: FLOCK  ADVISORY  WRITE 28940 fe:00:77 0 EOF
2: OFDLCK ADVISORY  WRITE -1 fe:00:5349487 0 EOF
";

#[test]
fn a_lock_is_found_by_kind_device_and_inode() {
    let device = 0xfe << 8;
    assert!(is_listed(LOCKS, device, 5_349_487));
    assert!(!is_listed(LOCKS, device, 77), "another kind of lock");
    assert!(!is_listed(LOCKS, device + 1, 5_349_487), "another device");
    assert!(
        is_listed(LOCKS, 0x2a, 5_349_487),
        "a file system without a device"
    );
    assert!(!is_listed("nonsense\n", device, 1));
}

#[test]
fn the_holder_is_named_only_while_he_holds_it() {
    let text = "pid 12\nhost box\nstarted 1767225600000\n";
    let holder = Holder {
        held: Some(true),
        ..Holder::parse(text)
    };
    assert_eq!(
        holder.line(),
        "open by pid 12 on host box since 2026-01-01T00:00:00Z"
    );
    assert_eq!(holder.json()["pid"], 12);
    let gone = Holder {
        held: Some(false),
        ..holder
    };
    assert_eq!(gone.line(), "not open");
    assert!(gone.json()["pid"].is_null());
}
