//! Event files of TensorBoard: records of TensorFlow's with a checksum each, events of its protocol
//! inside. Two messages of six fields are written here by hand, because what else writes them is
//! TensorFlow.

use super::item::{Item, What};

/// An event that holds a number, as a record.
pub(super) fn record(item: &Item) -> Vec<u8> {
    let What::Value { tag, step, value } = &item.what else { return Vec::new() };
    let mut number = Vec::new();
    bytes(&mut number, 1, tag.as_bytes());
    number.push(2 << 3 | 5);
    number.extend((*value as f32).to_le_bytes());
    let mut summary = Vec::new();
    bytes(&mut summary, 1, &number);
    let mut event = begin(item.time_ms);
    event.push(2 << 3);
    varint(&mut event, *step);
    bytes(&mut event, 5, &summary);
    framed(&event)
}

/// The record that every file begins with.
pub(super) fn first_record(time_ms: u64) -> Vec<u8> {
    let mut event = begin(time_ms);
    bytes(&mut event, 3, b"brain.Event:2");
    framed(&event)
}

/// An event with its time, in seconds.
fn begin(time_ms: u64) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend((time_ms as f64 / 1e3).to_le_bytes());
    event
}

fn bytes(message: &mut Vec<u8>, field: u8, value: &[u8]) {
    message.push(field << 3 | 2);
    varint(message, value.len() as u64);
    message.extend(value);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = length.to_vec();
    record.extend(masked(crc32c(&length)).to_le_bytes());
    record.extend(data);
    record.extend(masked(crc32c(data)).to_le_bytes());
    record
}

/// A checksum as the format has it: turned and moved, so that one over checksums is none of them.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The checksum of Castagnoli's polynomial.
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut crc = index as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[index] = crc;
            index += 1;
        }
        table
    };
    let step = |crc: u32, byte: &u8| TABLE[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ crc >> 8;
    !data.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_standard() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        // RFC 3720, B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
    }

    #[test]
    fn a_long_step_takes_as_many_bytes_as_it_needs() {
        let mut message = Vec::new();
        varint(&mut message, 300);
        assert_eq!(message, [0xac, 0x02]);
    }
}
