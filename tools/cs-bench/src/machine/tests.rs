use super::*;

#[test]
fn peak_memory_is_read_from_the_status_text() {
    assert_eq!(
        peak_rss_in("Name:\tx\nVmHWM:\t    1234 kB\nVmRSS:\t 1 kB\n"),
        Some(1_263_616)
    );
    assert_eq!(peak_rss_in("Name:\tx\n"), None);
    assert_eq!(peak_rss_in("VmHWM:\t many kB\n"), None);
}

#[test]
fn the_innermost_and_last_mount_names_the_file_system() {
    let mounts = "1 0 8:1 / / rw - ext4 /dev/a rw\n\
                  2 1 0:1 / /mnt rw shared:1 - xfs /dev/b rw\n\
                  3 2 0:2 / /mnt/a\\040b rw - tmpfs none rw\n\
                  4 1 0:3 / /mnt rw - btrfs /dev/c rw\n";
    let kind = |path: &str| file_system_in(mounts, Path::new(path));
    assert_eq!(kind("/home").as_deref(), Some("ext4"));
    assert_eq!(kind("/mnt/x").as_deref(), Some("btrfs"));
    assert_eq!(kind("/mnt/a b/c").as_deref(), Some("tmpfs"));
    assert_eq!(kind("/mntx").as_deref(), Some("ext4"));
}

#[test]
fn directory_size_counts_files_of_all_levels() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("a"), [0; 10]).unwrap();
    std::fs::create_dir(directory.path().join("d")).unwrap();
    std::fs::write(directory.path().join("d/b"), [0; 32]).unwrap();
    assert_eq!(directory_bytes(directory.path()).unwrap(), 42);
}

#[test]
fn processor_time_is_that_of_program_and_system_together() {
    let stat = "7 (a (b) c) S 1 7 7 0 -1 4194304 9 0 0 0 12 30 0 0 20 0 1 0 5 6 7";
    assert_eq!(cpu_time_in(stat), Some(Duration::from_millis(420)));
    assert_eq!(cpu_time_in("7 (a"), None);
}
