use super::Pattern;

#[track_caller]
fn check(pattern: &str, options: &str, yes: &[&str], no: &[&str]) {
    let compiled = Pattern::new(pattern.as_bytes(), options.as_bytes()).unwrap();
    for text in yes {
        assert!(
            compiled.is_match(text.as_bytes()),
            "/{pattern}/{options} on {text:?}"
        );
    }
    for text in no {
        assert!(
            !compiled.is_match(text.as_bytes()),
            "/{pattern}/{options} on {text:?}"
        );
    }
}

fn code(pattern: &str, options: &str) -> i32 {
    let error = Pattern::new(pattern.as_bytes(), options.as_bytes()).unwrap_err();
    error.code().unwrap()
}

#[test]
fn the_end_also_stands_before_a_last_newline_but_not_before_another() {
    check("a$", "", &["a", "a\n", "ba"], &["a\nb", "a\n\n", "ab"]);
    check("a\\Z", "", &["a\n"], &["a\nb"]);
    check("a\\z", "", &["a"], &["a\n"]);
    check("^$", "", &["", "\n"], &["\n\n"]);
    check("a$", "m", &["a\nb", "a"], &["ab"]);
    check("^b", "m", &["a\nb"], &["ab"]);
    check("^$", "m", &["", "\n", "a\n\nb"], &["a\n"]);
    check("(?m:^b$)|c$", "", &["a\nb\nx", "xc\n"], &["c\nx"]);
}

#[test]
fn classes_are_of_ascii_but_case_and_characters_are_of_unicode() {
    check("^\\d$", "", &["7"], &["٣", "x"]);
    check("^\\D$", "", &["٣", "é"], &["7"]);
    check("^\\w+$", "", &["a_1"], &["é"]);
    check("^\\s$", "", &[" ", "\u{b}"], &["\u{a0}"]);
    check("^é$", "i", &["É"], &["e"]);
    check("^.$", "", &["é", "日"], &["", "\n", "ab"]);
    check("^.$", "s", &["\n"], &[]);
    check("\\bfoo\\b", "", &["a foo b"], &["afoob"]);
    check("^\\p{Lu}\\P{Lu}$", "", &["Éa"], &["éa"]);
}

#[test]
fn classes_hold_plain_characters_where_ours_would_have_operators() {
    check("^[a[b&&]+$", "", &["a", "[", "b", "&"], &["]"]);
    check("^[]a]+$", "", &["]a"], &["b"]);
    check("^[^]a]$", "", &["b"], &["]", "a"]);
    check("^[a-]+$", "", &["a-"], &["b"]);
    check("^[[:alpha:][:digit:]]+$", "", &["a1"], &["_"]);
    check("^[\\d\\-x]+$", "", &["1-x"], &["y"]);
    check("^[^\\D5]$", "", &["4"], &["5", "x"]);
    check("^[a~~b-c]+$", "", &["a~bc"], &["d", "-"]);
    check("^[ #]$", "x", &[" ", "#"], &[]);
}

#[test]
fn white_space_and_comments_are_left_out_when_extended() {
    check(" a b # c\n d", "x", &["abd"], &["a b d"]);
    check("a\\ b", "x", &["a b"], &["ab"]);
    check("(?x: a b )c d", "", &["abc d"], &["abcd"]);
    check("a(?#not this)b", "", &["ab"], &[]);
}

#[test]
fn braces_that_begin_no_repetition_are_themselves() {
    check("^a{$", "", &["a{"], &["a"]);
    check("^a{,2}$", "", &["a{,2}"], &["aa"]);
    check("^x{2}y{1,}z{1,2}$", "", &["xxyyz"], &["xyz"]);
    check("}", "", &["}"], &[]);
    check("\\Q.*\\E", "", &[".*"], &["ab"]);
    check("^\\x41\\x{42}$", "", &["AB"], &["A"]);
}

#[test]
fn what_pcre_refuses_is_refused_with_its_code() {
    for pattern in [
        "+",
        "*a",
        "a)",
        "(",
        "(?P<a",
        "(?<n",
        "[",
        "[z-a]",
        "\\",
        "a{2,1}",
        "a**",
        "|+",
        "a{65536}",
        "(?y)",
        "[[:foo:]]",
        "\\q",
    ] {
        assert_eq!(code(pattern, ""), 51091, "{pattern}");
    }
    for option in ["g", "I", "iz"] {
        assert_eq!(code("a", option), 51108);
    }
    assert_eq!(code("a\0", ""), 2);
}

#[test]
fn what_automata_cannot_do_is_refused_by_name() {
    for pattern in [
        "(?=a)", "(?<!a)", "(a)\\1", "a++", "(?>a)", "(?R)", "\\K", "(*UTF)",
    ] {
        let error = Pattern::new(pattern.as_bytes(), b"").unwrap_err();
        assert!(
            error.message().ends_with("is not supported"),
            "{pattern}: {error}"
        );
    }
}

#[test]
fn a_pattern_that_would_take_too_much_room_is_refused() {
    assert_eq!(code("((\\p{L}{100}){100}){100}", ""), 51091);
    assert_eq!(code(&"(".repeat(300), ""), 51091);
}

#[test]
fn an_anchored_pattern_has_a_prefix() {
    let prefix = |pattern: &str, options: &str| {
        let found = Pattern::new(pattern.as_bytes(), options.as_bytes())
            .unwrap()
            .prefix();
        found.map(|bytes| String::from_utf8(bytes).unwrap())
    };
    assert_eq!(prefix("^abc", ""), Some("abc".into()));
    assert_eq!(prefix("^a\\.b.*", ""), Some("a.b".into()));
    assert_eq!(prefix("^abé?", ""), Some("ab".into()));
    assert_eq!(prefix("^ab+", ""), Some("ab".into()));
    for (pattern, options) in [
        ("^a", "i"),
        ("a", ""),
        ("^a|b", ""),
        ("^a*", ""),
        ("^a", "m"),
    ] {
        assert_eq!(prefix(pattern, options), None, "{pattern}");
    }
}
