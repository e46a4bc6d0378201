use super::*;

fn bytes_of(frames: &[Frame]) -> Vec<u8> {
    let mut pipe = Vec::new();
    frames
        .iter()
        .for_each(|frame| frame.send(&mut pipe).unwrap());
    pipe
}

/// A line buffer would cut 8 bytes with a 0x0A in them: it happened in trials.
#[test]
fn every_number_comes_through_whatever_its_bytes() {
    let frames: Vec<Frame> = (0..1_000)
        .map(|number| Frame::Done {
            writer: 0x0A,
            number: number * 0x0A0D_0A0D,
        })
        .chain([
            Frame::Ready,
            Frame::Seen {
                writer: 1,
                number: 2,
            },
            Frame::Broken("line\nline".to_owned()),
        ])
        .collect();
    let bytes = bytes_of(&frames);
    let mut pipe = bytes.as_slice();
    for frame in frames {
        assert_eq!(Frame::receive(&mut pipe).unwrap(), Some(frame));
    }
    assert_eq!(Frame::receive(&mut pipe).unwrap(), None);
}

#[test]
fn half_a_frame_at_the_end_is_none() {
    let bytes = bytes_of(&[Frame::Done {
        writer: 1,
        number: 7,
    }]);
    for len in 0..bytes.len() {
        assert_eq!(Frame::receive(&bytes[..len]).unwrap(), None);
    }
}

#[test]
fn something_else_on_the_pipe_is_an_error() {
    assert!(Frame::receive(&b"200 passed, 0 failed\n"[..]).is_err());
}
