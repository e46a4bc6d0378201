use super::*;

#[test]
fn a_directory_with_something_in_it_is_refused_and_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("precious");
    fs::write(&file, "x").unwrap();
    let error = Place::take(directory.path(), false).unwrap_err();
    assert_eq!(error.exit_code(), 2, "{error}");
    assert!(error.to_string().contains("not empty"), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "x");
}

#[test]
fn a_file_is_not_a_directory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "x").unwrap();
    assert_eq!(Place::take(&file, false).unwrap_err().exit_code(), 2);
}

#[test]
fn a_directory_that_was_empty_is_empty_again() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::take(directory.path(), false).unwrap();
    fs::write(place.path().join("data"), "x").unwrap();
    fs::create_dir(place.path().join("more")).unwrap();
    place.give_back().unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_that_was_missing_is_missing_again_also_after_a_failure() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b");
    let place = Place::take(&path, false).unwrap();
    fs::write(place.path().join("data"), "x").unwrap();
    drop(place);
    assert!(!path.exists());
}

#[test]
fn a_directory_that_is_kept_stays() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::take(directory.path(), true).unwrap();
    fs::write(place.path().join("data"), "x").unwrap();
    place.give_back().unwrap();
    assert!(directory.path().join("data").exists());
}
