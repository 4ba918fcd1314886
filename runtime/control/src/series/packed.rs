//! The points of a track, small: instants as differences, numbers against the one before.
//!
//! For: a state that is written down. A workload keeps up to a million points, most of which differ from the one before in
//! a byte or two. Never loses a bit: what is read back is what was there.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserializer, Serializer, de};

use super::track::{Buckets, Point, Value};
use crate::journal::wire::{Malformed, Reader, Writer};
use crate::sample::Histogram;
use crate::time::Time;

const LEVEL: u8 = 0;
const TOTAL: u8 = 1;
/// Buckets with the bounds of the point before, and nothing else before a reset.
const COUNTS: u8 = 2;
/// Buckets with everything.
const COUNTS_WHOLE: u8 = 3;

pub(super) fn serialize<S: Serializer>(points: &VecDeque<Point>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut out = Writer::default();
    out.unsigned(points.len() as u64);
    let (mut at, mut number, mut buckets) = (0_u64, 0_u64, None::<&Buckets>);
    for point in points {
        out.signed(point.at.0.wrapping_sub(at) as i64);
        at = point.at.0;
        match &point.value {
            Value::Level(v) | Value::Total(v) => {
                out.byte(if matches!(point.value, Value::Level(_)) { LEVEL } else { TOTAL });
                out.number(*v, number);
                number = v.to_bits();
            }
            Value::Counts(counts) => {
                let alike = buckets.filter(|before| alike(before, counts));
                out.byte(if alike.is_some() { COUNTS } else { COUNTS_WHOLE });
                match alike {
                    Some(before) => out.counts(&counts.raw.buckets, &before.raw.buckets),
                    None => whole(&mut out, counts),
                }
                buckets = Some(counts);
            }
        }
    }
    serializer.serialize_bytes(&out.into_bytes())
}

/// The same bounds, and the same counts before the last reset.
fn alike(before: &Buckets, counts: &Buckets) -> bool {
    let bounds = |b: &Buckets| b.raw.buckets.iter().map(|(bound, _)| bound.to_bits()).collect::<Vec<u64>>();
    let earlier =
        |b: &Buckets| b.before.as_ref().map(|before| before.iter().map(|v| v.to_bits()).collect::<Vec<u64>>());
    bounds(before) == bounds(counts) && earlier(before) == earlier(counts)
}

fn whole(out: &mut Writer, counts: &Buckets) {
    out.histogram(&counts.raw.buckets);
    out.byte(u8::from(counts.before.is_some()));
    if let Some(before) = &counts.before {
        out.unsigned(before.len() as u64);
        before.iter().for_each(|v| out.number(*v, 0));
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VecDeque<Point>, D::Error> {
    struct Bytes;
    impl de::Visitor<'_> for Bytes {
        type Value = VecDeque<Point>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("packed points")
        }
        fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
            unpack(bytes).map_err(E::custom)
        }
    }
    deserializer.deserialize_bytes(Bytes)
}

fn unpack(bytes: &[u8]) -> Result<VecDeque<Point>, Malformed> {
    let mut input = Reader::new(bytes);
    let count = input.length()?;
    let mut points: VecDeque<Point> = VecDeque::with_capacity(count);
    let (mut at, mut number) = (0_u64, 0_u64);
    let mut newest: Option<Buckets> = None;
    for _ in 0..count {
        at = at.wrapping_add(input.signed()? as u64);
        let kind = input.byte()?;
        let value = match kind {
            LEVEL | TOTAL => {
                let v = input.number(number)?;
                number = v.to_bits();
                if kind == LEVEL { Value::Level(v) } else { Value::Total(v) }
            }
            COUNTS | COUNTS_WHOLE => {
                let buckets = match &newest {
                    Some(before) if kind == COUNTS => {
                        let buckets = input.counts(&before.raw.buckets)?;
                        Buckets { raw: Arc::new(Histogram { buckets }), before: before.before.clone() }
                    }
                    None if kind == COUNTS => return Err(Malformed::Value("the first buckets of a track")),
                    _ => read_whole(&mut input)?,
                };
                newest = Some(buckets.clone());
                Value::Counts(Box::new(buckets))
            }
            _ => return Err(Malformed::Value("a kind of point")),
        };
        points.push_back(Point { at: Time(at), value });
    }
    input.end()?;
    Ok(points)
}

fn read_whole(input: &mut Reader<'_>) -> Result<Buckets, Malformed> {
    let raw = Arc::new(Histogram { buckets: input.histogram()? });
    let before = match input.byte()? {
        0 => None,
        _ => {
            let count = input.length()?;
            Some((0..count).map(|_| input.number(0)).collect::<Result<Arc<[f64]>, Malformed>>()?)
        }
    };
    Ok(Buckets { raw, before })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Held(#[serde(with = "super")] VecDeque<Point>);

    #[test]
    fn every_bit_survives() {
        let counts = |counts: &[f64], before: Option<Vec<f64>>| {
            let bounds = [0.5, 1.0, f64::INFINITY];
            let buckets = bounds.into_iter().zip(counts.iter().copied()).collect();
            Value::Counts(Box::new(Buckets { raw: Arc::new(Histogram { buckets }), before: before.map(Into::into) }))
        };
        let values = vec![
            Value::Level(-0.0),
            Value::Level(f64::from_bits(0x7ff8_0000_0000_0001)),
            Value::Total(1e15),
            Value::Total(1e15 + 1.0),
            counts(&[1.0, 2.0, 3.0], None),
            counts(&[1.0, 2.0, 7.0], None),
            counts(&[0.0, 0.0, 1.0], Some(vec![1.0, 2.0, 7.0])),
            counts(&[0.0, 1.0, 1.5], Some(vec![1.0, 2.0, 7.0])),
            Value::Level(f64::MAX),
        ];
        let points: VecDeque<Point> = values
            .into_iter()
            .enumerate()
            .map(|(i, value)| Point { at: Time(1_700_000_000_000 + i as u64 * 15_000), value })
            .collect();
        let told = format!("{points:?}");
        let bytes = postcard::to_allocvec(&Held(points)).unwrap();
        let (back, rest): (Held, _) = postcard::take_from_bytes(&bytes).unwrap();
        assert!(rest.is_empty());
        assert_eq!(format!("{:?}", back.0), told);
        assert_eq!(postcard::to_allocvec(&back).unwrap(), bytes);
        for cut in 0..bytes.len() {
            assert!(postcard::from_bytes::<Held>(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }
}
