//! Where the fields of one frame lie, and how frames of a kind seen before are read at once.
//!
//! Invariant: a [`Plan`] is made from the dialect's shapes alone. It reads no frame that the walk
//! from field to field would not read, and to the same places; a frame that no plan reads is
//! walked, so that there is one way to find a fault. Nothing here is content of a message.

use super::bitmap::FieldSet;
use super::dialect::Dialect;
use super::form::Shape;
use super::message::{Fields, Salvage};
use super::mti::Mti;
use super::step::{self, Step};

/// The most kinds of message, told apart by their bit maps, that one link's plans are kept for.
const PLANS_MAX: usize = 12;
/// Of the frames that no plan fits, once all plans are in use, every so manieth replaces one.
const REPLACE_EVERY: u32 = 64;

/// Where the fields of one frame lie: scratch space of a connection, reused for each of its
/// messages. It also remembers how the connection's messages are built, so keep it.
#[derive(Clone, Debug, Default)]
pub struct Layout {
    pub(super) parsed: FieldSet,
    pub(super) segments: Vec<Segment>,
    plans: Vec<Plan>,
    /// The plan that the last frame was read with; none if it was walked.
    active: Option<usize>,
    /// The dialect that the plans are of.
    dialect: u64,
    misses: u32,
}

/// A part of a frame: one field, or several of fixed length side by side. Its first byte, its first
/// content byte, the byte behind its last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Segment {
    pub(super) start: u16,
    pub(super) content: u16,
    pub(super) end: u16,
}

/// Where a field lies in which segment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    segment: u8,
    /// Bytes between the segment's start and the field's.
    start: u16,
    /// In bytes; 0 for a field of variable length, which is a segment of its own.
    length: u16,
}

/// How frames with one set of fields are read.
#[derive(Clone, Debug, Default)]
struct Plan {
    /// The message type and the bit maps as they stand at the start of the frame, and read.
    head: Vec<u8>,
    /// The first and the last eight bytes of the head, which is no shorter.
    ends: [u64; 2],
    known: Option<(Mti, FieldSet)>,
    steps: Vec<Step>,
    places: Vec<Place>,
}

impl Place {
    /// Of a field that is a segment by itself.
    pub(super) fn alone(segment: u8, shape: Shape) -> Self {
        Self { segment, start: 0, length: shape.fixed_bytes().unwrap_or(0) }
    }

    /// Where the field lies.
    #[inline]
    pub(super) fn of(self, segments: &[Segment]) -> Option<Segment> {
        let segment = segments.get(usize::from(self.segment)).copied()?;
        if self.length == 0 {
            return Some(segment);
        }
        let start = segment.start.wrapping_add(self.start);
        Some(Segment { start, content: start, end: start.wrapping_add(self.length) })
    }
}

impl Layout {
    pub fn new() -> Self {
        Self::default()
    }

    /// The fields that the last [`super::parse`] read soundly, from the dialect and frame that were
    /// given to it: after an error those in front of the fault, none if it lies in the message type
    /// or a bit map.
    pub fn salvaged<'a>(&'a self, dialect: &'a Dialect, frame: &'a [u8]) -> Salvage<'a> {
        let plan = self.active.and_then(|active| self.plans.get(active));
        Fields {
            frame,
            segments: &self.segments,
            places: plan.map_or(dialect.places(), |plan| &plan.places),
            shapes: dialect.shapes(),
            present: self.parsed,
        }
    }

    /// Forgets the last frame, and all plans if they are of another dialect.
    #[inline]
    pub(super) fn start(&mut self, dialect: &Dialect) {
        self.parsed = FieldSet::EMPTY;
        self.active = None;
        if self.dialect != dialect.identity() {
            self.adopt(dialect);
        }
    }

    #[cold]
    fn adopt(&mut self, dialect: &Dialect) {
        self.dialect = dialect.identity();
        self.plans.clear();
        self.segments.clear();
        self.segments.resize(dialect.shapes().len(), Segment::default());
    }

    /// Reads a frame of a kind seen before; `None` if it is of none, or not sound.
    #[inline(always)]
    pub(super) fn read_planned(&mut self, frame: &[u8]) -> Option<Mti> {
        let mut plans = self.plans.iter().enumerate();
        let (found, plan) = plans.find(|(_, plan)| plan.begins(frame))?;
        let (mti, present) = plan.known?;
        plan.read(frame, &mut self.segments)?;
        (self.active, self.parsed) = (Some(found), present);
        Some(mti)
    }

    /// Remembers the kind of a frame that was walked and found sound.
    #[inline]
    pub(super) fn learn(&mut self, dialect: &Dialect, head: &[u8], known: (Mti, FieldSet)) {
        if self.plans.iter().any(|plan| plan.head == head) {
            return;
        }
        let at = if self.plans.len() < PLANS_MAX {
            self.plans.push(Plan::default());
            self.plans.len() - 1
        } else {
            self.misses = self.misses.wrapping_add(1);
            if !self.misses.is_multiple_of(REPLACE_EVERY) {
                return;
            }
            usize::try_from(self.misses / REPLACE_EVERY).unwrap_or(0) % PLANS_MAX
        };
        if let Some(plan) = self.plans.get_mut(at) {
            plan.compile(dialect, head, known);
        }
    }
}

impl Plan {
    #[cold]
    fn compile(&mut self, dialect: &Dialect, head: &[u8], (mti, present): (Mti, FieldSet)) {
        (self.head, self.known) = (head.to_vec(), Some((mti, present)));
        let ends = [head.first_chunk(), head.last_chunk()];
        self.ends = ends.map(|end| end.map_or(0, |end| u64::from_le_bytes(*end)));
        self.steps.clear();
        self.places.clear();
        self.places.resize(dialect.shapes().len(), Place::default());
        let mut run = step::Fields::default();
        for number in present {
            let Some(shape) = dialect.shape(number) else { continue };
            let start = run.push(shape);
            if start.is_none() {
                self.steps.extend(run.take());
            }
            let segment = u8::try_from(self.steps.len()).unwrap_or(u8::MAX);
            if let Some(place) = self.places.get_mut(usize::from(number - 1)) {
                let length = shape.fixed_bytes().unwrap_or(0);
                *place = Place { segment, start: start.unwrap_or(0), length };
            }
            if start.is_none() {
                self.steps.push(Step::field(shape));
            }
        }
        self.steps.extend(run.take());
    }

    /// Whether a frame begins with the head, of which the two ends are usually all.
    #[inline(always)]
    fn begins(&self, frame: &[u8]) -> bool {
        let end = |end: &[u8; 8]| u64::from_le_bytes(*end);
        let [first, last] = self.ends;
        frame.first_chunk().map(end) == Some(first)
            && frame.get(..self.head.len()).and_then(|head| head.last_chunk()).map(end)
                == Some(last)
            && (self.head.len() <= 16 || frame.starts_with(&self.head))
    }

    /// A function by itself, so that the loop has the processor's registers to itself.
    #[inline(never)]
    fn read(&self, frame: &[u8], segments: &mut [Segment]) -> Option<()> {
        let mut at = u16::try_from(self.head.len()).ok()?;
        for (step, segment) in self.steps.iter().zip(segments) {
            let extent = step.read(frame, at)?;
            let content = at.wrapping_add(extent.prefix);
            let end = content.wrapping_add(extent.content);
            *segment = Segment { start: at, content, end };
            at = end;
        }
        (usize::from(at) == frame.len()).then_some(())
    }
}
