use super::*;

#[test]
fn the_first_version_comes_first_and_its_limit_is_written() {
    let root = tempfile::tempdir().unwrap();
    let (v1, v2) = (root.path().join("memory"), root.path().join("unified"));
    fs::create_dir_all(&v1).unwrap();
    fs::write(v1.join(V1_NAMES.limit), "").unwrap();
    let group = Cgroup::below(&v1, &v2, 4096).unwrap();
    assert_eq!(group.names, V1_NAMES);
    let limit = fs::read_to_string(group.path.join(V1_NAMES.limit)).unwrap();
    assert_eq!(limit, "4096");
    group.add(17).unwrap();
    let inside = fs::read_to_string(group.path.join("cgroup.procs")).unwrap();
    assert_eq!(inside, "17");
    fs::write(group.path.join(V1_NAMES.peak), "123\n").unwrap();
    assert_eq!(group.peak(), Some(123));
}

#[test]
fn the_second_version_hands_its_memory_controller_on_first() {
    let root = tempfile::tempdir().unwrap();
    let v2 = root.path();
    let handed_on = v2.join("cgroup.subtree_control");
    fs::write(&handed_on, "cpu io").unwrap();
    let group = Cgroup::below(&v2.join("none"), v2, 1 << 20).unwrap();
    assert_eq!(group.names, V2_NAMES);
    assert_eq!(fs::read_to_string(&handed_on).unwrap(), "+memory");
    let limit = fs::read_to_string(group.path.join(V2_NAMES.limit)).unwrap();
    assert_eq!(limit, "1048576");
}

#[test]
fn a_system_with_neither_says_so() {
    let root = tempfile::tempdir().unwrap();
    let none = root.path().join("none");
    assert!(Cgroup::below(&none, &none, 1).is_err());
}
