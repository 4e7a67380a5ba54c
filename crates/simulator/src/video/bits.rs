//! Writes the bit strings of H.264: fixed fields, Exp-Golomb codes and NAL units.

/// Collects bits, most significant first (ITU-T H.264, 7.2).
#[derive(Debug, Default)]
pub(crate) struct Bits {
    bytes: Vec<u8>,
    current: u8,
    filled: u8,
}

impl Bits {
    /// `u(count)`: the lowest `count` bits of `value`.
    pub(crate) fn put(&mut self, value: u32, count: u32) {
        for place in (0..count).rev() {
            let bit = u8::from((value >> place) & 1 == 1);
            self.current = (self.current << 1) | bit;
            self.filled += 1;
            if self.filled == 8 {
                self.bytes.push(self.current);
                self.current = 0;
                self.filled = 0;
            }
        }
    }

    /// `ue(v)`: an unsigned Exp-Golomb code (9.1).
    pub(crate) fn unsigned(&mut self, value: u32) {
        let coded = value + 1;
        let length = 32 - coded.leading_zeros();
        self.put(0, length - 1);
        self.put(coded, length);
    }

    /// Fills up with zero bits to the next byte, then appends whole bytes.
    pub(crate) fn aligned(&mut self, bytes: &[u8]) {
        if self.filled > 0 {
            self.put(0, u32::from(8 - self.filled));
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Ends the payload with its stop bit and wraps it into a NAL unit with this header, with bytes inserted where the
    /// payload would look like a start code (7.3.1, 7.4.1.1).
    pub(crate) fn into_nal(mut self, header: u8) -> Vec<u8> {
        self.put(1, 1);
        self.aligned(&[]);
        let mut nal = Vec::with_capacity(self.bytes.len() + 16);
        nal.push(header);
        let mut zeros = 0;
        for byte in self.bytes {
            if zeros == 2 && byte <= 3 {
                nal.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            nal.push(byte);
        }
        nal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_codes_are_those_of_the_standard() {
        let mut bits = Bits::default();
        for value in [0, 1, 2, 3, 7] {
            bits.unsigned(value);
        }
        // 1 · 010 · 011 · 00100 · 0001000, then the stop bit.
        assert_eq!(bits.into_nal(0x65), [0x65, 0b1010_0110, 0b0100_0001, 0b0001_0000]);
    }

    #[test]
    fn a_start_code_inside_the_payload_is_broken_up() {
        let mut bits = Bits::default();
        bits.aligned(&[0, 0, 1, 0, 0, 0]);
        assert_eq!(bits.into_nal(0x67), [0x67, 0, 0, 3, 1, 0, 0, 3, 0, 0x80]);
    }
}
