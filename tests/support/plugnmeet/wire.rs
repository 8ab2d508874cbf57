//! protobuf on the wire, as much of it as the tests need: a message written field by field, and one taken apart.
//!
//! Source: protobuf.dev "Encoding".

/// A message that is being written; empty fields are left out, as proto3 does.
#[derive(Default)]
pub struct Message(Vec<u8>);

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    Number(u64),
    Bytes(Vec<u8>),
    Fixed(Vec<u8>),
}

impl Message {
    pub fn number(mut self, field: u8, value: u64) -> Self {
        if value != 0 {
            self.0.push(field << 3);
            varint(&mut self.0, value);
        }
        self
    }

    pub fn text(self, field: u8, text: &str) -> Self {
        if text.is_empty() {
            return self;
        }
        self.bytes(field, text.as_bytes())
    }

    /// Written even if it is empty: a message that is there.
    pub fn bytes(mut self, field: u8, bytes: &[u8]) -> Self {
        self.0.push(field << 3 | 2);
        varint(&mut self.0, bytes.len() as u64);
        self.0.extend(bytes);
        self
    }

    /// A `false` that is written, as an `optional` one is.
    pub fn set_false(mut self, field: u8) -> Self {
        self.0.extend([field << 3, 0]);
        self
    }

    pub fn build(self) -> Vec<u8> {
        self.0
    }
}

/// The fields in their order; `None` for what is no message.
pub fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Held)>> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = read_varint(&mut bytes)?;
        let held = match tag & 7 {
            0 => Held::Number(read_varint(&mut bytes)?),
            1 => Held::Fixed(take(&mut bytes, 8)?),
            2 => {
                let length = usize::try_from(read_varint(&mut bytes)?).ok()?;
                Held::Bytes(take(&mut bytes, length)?)
            }
            5 => Held::Fixed(take(&mut bytes, 4)?),
            _ => return None,
        };
        fields.push((Some(tag >> 3).filter(|number| *number > 0)?, held));
    }
    Some(fields)
}

/// A text field; of several the last, as a decoder has it.
pub fn text(fields: &[(u64, Held)], number: u64) -> String {
    bytes(fields, number)
        .last()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .unwrap_or_default()
}

/// All fields of this number that hold bytes.
pub fn bytes(fields: &[(u64, Held)], number: u64) -> Vec<&[u8]> {
    fields
        .iter()
        .filter_map(|(at, held)| match held {
            Held::Bytes(bytes) => (*at == number).then_some(bytes.as_slice()),
            Held::Number(_) | Held::Fixed(_) => None,
        })
        .collect()
}

/// A number, 0 if it is not there.
pub fn number(fields: &[(u64, Held)], number: u64) -> u64 {
    fields
        .iter()
        .rev()
        .find_map(|(at, held)| match held {
            Held::Number(value) => (*at == number).then_some(*value),
            Held::Bytes(_) | Held::Fixed(_) => None,
        })
        .unwrap_or_default()
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or_default());
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take(bytes: &mut &[u8], length: usize) -> Option<Vec<u8>> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken.to_vec())
}
