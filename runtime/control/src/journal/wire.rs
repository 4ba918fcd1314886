//! Numbers as few bytes.
//!
//! For: what a journal writes most: small differences, and floats that are mostly the same as before. Every bit of a float
//! survives, NaN and -0.0 too. Never trusts a length: what is read back may be anything.

/// Bytes that do not say what they should. A record with a good checksum that does not read was written by another
/// version, or by a defect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// There are fewer bytes than it says.
    #[error("it ends too early")]
    Short,
    /// There are more.
    #[error("{0} byte(s) too many")]
    Long(usize),
    /// Something is none of what it can be.
    #[error("{0} that there is not")]
    Value(&'static str),
    /// A structure does not read.
    #[error("its structure does not read: {0}")]
    Structure(postcard::Error),
}

/// Writes.
#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// What was written since the last call.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let next = Vec::with_capacity(self.bytes.len());
        std::mem::replace(&mut self.bytes, next)
    }

    pub(crate) fn byte(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Seven bits a byte, the lowest first.
    pub(crate) fn unsigned(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.bytes.push(n as u8 | 0x80);
            n >>= 7;
        }
        self.bytes.push(n as u8);
    }

    /// Near zero, of either sign, is short.
    pub(crate) fn signed(&mut self, n: i64) {
        self.unsigned(((n << 1) ^ (n >> 63)) as u64);
    }

    /// A float against the bits of another: one byte where they are the same, else one that says which bytes differ, and
    /// those.
    pub(crate) fn number(&mut self, v: f64, before: u64) {
        let differs = v.to_bits() ^ before;
        if differs == 0 {
            return self.byte(0);
        }
        let skipped = differs.trailing_zeros() / 8;
        let length = 8 - differs.leading_zeros() / 8 - skipped;
        self.byte((skipped as u8) << 4 | length as u8);
        let low = (differs >> (8 * skipped)).to_le_bytes();
        self.raw(&low[..length as usize]);
    }

    /// A histogram with its bounds.
    pub(crate) fn histogram(&mut self, buckets: &[(f64, f64)]) {
        self.unsigned(buckets.len() as u64);
        let (mut bound, mut count) = (0, 0);
        for (b, c) in buckets {
            self.number(*b, bound);
            self.number(*c, count);
            (bound, count) = (b.to_bits(), c.to_bits());
        }
    }

    /// The counts of a histogram against those of one with the same bounds; all the same is one byte.
    pub(crate) fn counts(&mut self, buckets: &[(f64, f64)], before: &[(f64, f64)]) {
        let same = |(now, then): (&(f64, f64), &(f64, f64))| now.1.to_bits() == then.1.to_bits();
        let first = buckets.iter().zip(before).position(|pair| !same(pair)).unwrap_or(buckets.len());
        self.unsigned(first as u64);
        for (now, then) in buckets[first..].iter().zip(&before[first..]) {
            self.number(now.1, then.1.to_bits());
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.unsigned(text.len() as u64);
        self.raw(text.as_bytes());
    }

    /// A structure, as `postcard` writes it.
    pub(crate) fn structure<T: serde::Serialize + ?Sized>(&mut self, value: &T) {
        let bytes = std::mem::take(&mut self.bytes);
        // Our structures know their lengths, and memory has no end of its own: nothing in them can fail.
        self.bytes = postcard::to_extend(value, bytes).unwrap_or_default();
    }
}

/// Reads.
#[derive(Debug, Clone)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Reader { bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn end(&self) -> Result<(), Malformed> {
        if self.bytes.is_empty() { Ok(()) } else { Err(Malformed::Long(self.bytes.len())) }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Malformed> {
        let (first, rest) = self.bytes.split_first().ok_or(Malformed::Short)?;
        self.bytes = rest;
        Ok(*first)
    }

    pub(crate) fn raw(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or(Malformed::Short)?;
        self.bytes = rest;
        Ok(taken)
    }

    pub(crate) fn unsigned(&mut self) -> Result<u64, Malformed> {
        let mut n = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            n |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(n);
            }
        }
        Err(Malformed::Value("a number of more than 64 bits"))
    }

    pub(crate) fn signed(&mut self) -> Result<i64, Malformed> {
        let n = self.unsigned()?;
        Ok((n >> 1) as i64 ^ -((n & 1) as i64))
    }

    /// How many things follow, each of at least a byte.
    pub(crate) fn length(&mut self) -> Result<usize, Malformed> {
        let length = usize::try_from(self.unsigned()?).map_err(|_| Malformed::Short)?;
        if length > self.bytes.len() { Err(Malformed::Short) } else { Ok(length) }
    }

    pub(crate) fn number(&mut self, before: u64) -> Result<f64, Malformed> {
        let form = self.byte()?;
        if form == 0 {
            return Ok(f64::from_bits(before));
        }
        let (skipped, length) = (u32::from(form >> 4), usize::from(form & 0x0f));
        if length > 8 || skipped > 7 {
            return Err(Malformed::Value("a form of a number"));
        }
        let mut low = [0; 8];
        low[..length].copy_from_slice(self.raw(length)?);
        Ok(f64::from_bits((u64::from_le_bytes(low) << (8 * skipped)) ^ before))
    }

    pub(crate) fn histogram(&mut self) -> Result<Vec<(f64, f64)>, Malformed> {
        let length = self.length()?;
        let mut buckets = Vec::with_capacity(length);
        let (mut bound, mut count) = (0, 0);
        for _ in 0..length {
            let (b, c) = (self.number(bound)?, self.number(count)?);
            (bound, count) = (b.to_bits(), c.to_bits());
            buckets.push((b, c));
        }
        Ok(buckets)
    }

    pub(crate) fn counts(&mut self, before: &[(f64, f64)]) -> Result<Vec<(f64, f64)>, Malformed> {
        let first = usize::try_from(self.unsigned()?).map_err(|_| Malformed::Short)?;
        let mut buckets = before.to_vec();
        let changed = buckets.get_mut(first..).ok_or(Malformed::Value("a bucket"))?;
        for bucket in changed {
            bucket.1 = self.number(bucket.1.to_bits())?;
        }
        Ok(buckets)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Malformed> {
        let length = self.length()?;
        std::str::from_utf8(self.raw(length)?).map_err(|_| Malformed::Value("a text"))
    }

    pub(crate) fn structure<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Malformed> {
        let (value, rest) = postcard::take_from_bytes(self.bytes).map_err(Malformed::Structure)?;
        self.bytes = rest;
        Ok(value)
    }
}
