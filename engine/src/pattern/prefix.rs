//! What a pattern says about the first bytes of a text: the bounds of an index.

/// The literal bytes that follow an anchor at the beginning, if there are any.
/// Careful: what is not plainly literal ends them.
pub(super) fn prefix(source: &[u8], options: &[u8]) -> Option<Vec<u8>> {
    if options
        .iter()
        .any(|option| matches!(option, b'i' | b'm' | b'x'))
    {
        return None;
    }
    let rest = source
        .strip_prefix(b"^")
        .or_else(|| source.strip_prefix(b"\\A"))?;
    // Another branch would not be anchored.
    if rest.contains(&b'|') {
        return None;
    }
    let mut prefix = Vec::new();
    let mut at = 0;
    while let Some(byte) = rest.get(at).copied() {
        let (literal, len) = match byte {
            b'*' | b'?' | b'{' => {
                // What may be repeated may be absent; of a long character, all of it.
                while prefix.pop().is_some_and(|last| last & 0xC0 == 0x80) {}
                break;
            }
            b'\\' => match rest.get(at + 1).copied() {
                Some(escaped) if escaped.is_ascii_punctuation() => (escaped, 2),
                _ => break,
            },
            b'^' | b'$' | b'.' | b'[' | b'(' | b')' | b'+' => break,
            plain => (plain, 1),
        };
        prefix.push(literal);
        at += len;
    }
    (!prefix.is_empty()).then_some(prefix)
}
