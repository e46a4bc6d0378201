use super::*;

/// Every engine of this build, in the order of their names.
fn built() -> Vec<EngineName> {
    let all = EngineName::value_variants().iter().copied();
    all.filter(|engine| engine.missing_feature().is_none())
        .collect()
}

fn settings() -> Settings {
    Settings {
        cache_bytes: 16 << 20,
        value_bytes: 150,
        payload_bytes: 1 << 20,
        read_path: ReadPath::Pool,
        long_log: false,
        memory_limit: None,
    }
}

fn pair(number: u16, letter: u8) -> Pair {
    let mut key = [0; KEY_BYTES];
    key[..2].copy_from_slice(&number.to_be_bytes());
    let value = vec![letter; 150];
    Pair { key, value }
}

/// All keys, shortened to their numbers, and the first letter of each value.
fn all(engine: &dyn Engine, view: View) -> Vec<(u16, u8)> {
    let mut found = Vec::new();
    engine
        .read(view, &mut |reader| {
            let seen = reader.range(&[0; KEY_BYTES], u64::MAX, &mut |key, value| {
                found.push((u16::from_be_bytes([key[0], key[1]]), value[0]));
            })?;
            assert_eq!(seen, found.len() as u64);
            Ok(())
        })
        .unwrap();
    found
}

#[test]
fn this_build_has_cs_and_says_how_to_get_what_it_lacks() {
    assert!(EngineName::Cs.check_built().is_ok());
    for engine in EngineName::value_variants() {
        if let Err(error) = engine.check_built() {
            let (text, name) = (error.to_string(), engine.to_string());
            assert_eq!(error.exit_code(), 2);
            assert!(text.contains("--features peers"), "{text}");
            assert!(text.contains(&name), "{text}");
        }
    }
}

#[test]
fn every_engine_keeps_what_it_was_given_and_forgets_what_was_deleted() {
    for name in built() {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(name, directory.path(), &settings()).unwrap();
        let mut batches = vec![vec![pair(3, b'a'), pair(5, b'a')], vec![pair(1, b'a')]];
        engine.load(&mut || batches.pop()).unwrap();
        engine.put(&[pair(5, b'b')], Sync::Durable).unwrap();
        engine
            .put(&[pair(7, b'c'), pair(9, b'c')], Sync::Later)
            .unwrap();
        engine.delete(&[pair(3, 0).key], Sync::Durable).unwrap();
        let expected = [(1, b'a'), (5, b'b'), (7, b'c'), (9, b'c')];
        assert_eq!(all(engine.as_ref(), View::Held), expected, "{name}");
        assert_eq!(all(engine.as_ref(), View::Fresh), expected, "{name}");
        engine.settle().unwrap();
        assert_eq!(all(engine.as_ref(), View::Held), expected, "{name}");
        engine.close().unwrap();
        let engine = open(name, directory.path(), &settings()).unwrap();
        assert_eq!(all(engine.as_ref(), View::Held), expected, "{name}");
        engine.close().unwrap();
    }
}

#[test]
fn a_held_view_stands_still_and_a_fresh_one_does_not() {
    for name in built() {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(name, directory.path(), &settings()).unwrap();
        engine.put(&[pair(1, b'a')], Sync::Durable).unwrap();
        for (view, expected) in [(View::Held, b'a'), (View::Fresh, b'b')] {
            engine.put(&[pair(1, b'a')], Sync::Durable).unwrap();
            engine
                .read(view, &mut |reader| {
                    let mut seen = Vec::new();
                    // SQLite's snapshot begins with its first read.
                    reader.get(&pair(1, 0).key, &mut |value| seen.push(value[0]))?;
                    std::thread::scope(|scope| {
                        let put = || engine.put(&[pair(1, b'b')], Sync::Durable);
                        scope.spawn(put).join().unwrap()
                    })?;
                    assert!(reader.get(&pair(1, 0).key, &mut |value| seen.push(value[0]))?);
                    assert_eq!(seen, [b'a', expected], "{name} {view:?}");
                    assert!(!reader.get(&pair(2, 0).key, &mut |_| ())?);
                    Ok(())
                })
                .unwrap();
        }
        engine.close().unwrap();
    }
}

#[test]
fn a_range_begins_where_it_is_told_and_ends_after_so_many() {
    for name in built() {
        let directory = tempfile::tempdir().unwrap();
        let engine = open(name, directory.path(), &settings()).unwrap();
        let pairs: Vec<Pair> = (0..20).map(|number| pair(number * 2, b'v')).collect();
        engine.put(&pairs, Sync::Durable).unwrap();
        engine
            .read(View::Held, &mut |reader| {
                let mut seen = Vec::new();
                let count = reader.range(&pair(11, 0).key, 3, &mut |key, _| seen.push(key[1]))?;
                assert_eq!((count, seen), (3, vec![12, 14, 16]), "{name}");
                assert_eq!(reader.range(&pair(36, 0).key, 10, &mut |_, _| ())?, 2);
                Ok(())
            })
            .unwrap();
        engine.close().unwrap();
    }
}

#[test]
fn both_read_paths_of_cs_read_the_same() {
    let directory = tempfile::tempdir().unwrap();
    for (number, read_path) in [(1, ReadPath::Pool), (2, ReadPath::Map), (3, ReadPath::Pool)] {
        let settings = Settings {
            read_path,
            ..settings()
        };
        let engine = open(EngineName::Cs, directory.path(), &settings).unwrap();
        engine.put(&[pair(number, b'v')], Sync::Durable).unwrap();
        engine.settle().unwrap();
        let expected: Vec<(u16, u8)> = (1..=number).map(|number| (number, b'v')).collect();
        assert_eq!(all(engine.as_ref(), View::Held), expected);
        assert_eq!(all(engine.as_ref(), View::Fresh), expected);
        engine.close().unwrap();
    }
}
