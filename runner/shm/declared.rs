//! What is declared to a pool before its workers start: what there is, under which name. Plain data.
//!
//! How large a shared thing is, and of which type, is said here and in no shared memory: a worker that is taken over can
//! write there whatever it likes.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

/// Something shared, and what guests call it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// What it is.
    pub shape: Shape,
}

/// What a shared thing is, and how large.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// Memory that guests use as their own.
    Segment {
        /// Its length in bytes.
        length: u64,
        /// Whether guests see what others write there.
        writable: bool,
    },
    /// A number.
    Value(Number),
    /// Numbers.
    Array {
        /// Their type.
        number: Number,
        /// How many there are.
        length: u32,
    },
    /// A lock.
    Lock,
    /// A queue of messages.
    Queue(Bounds),
    /// An end of a pipe.
    PipeEnd {
        /// Which of the two it is: what the first sends the second receives.
        second: bool,
        /// What either direction holds.
        bounds: Bounds,
    },
}

/// What a queue holds.
///
/// ```
/// let (left, _right) = wasmpool::Pipe::<u32>::bounded_with(8, 4)?;
/// assert_eq!(left.bounds(), wasmpool::Bounds { messages: 8, bytes: 4 });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// How many messages, at least 1.
    pub messages: u32,
    /// How many bytes each may have.
    pub bytes: u32,
}

/// The type of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Number {
    /// 32 bits, signed.
    S32,
    /// 32 bits.
    U32,
    /// 64 bits, signed.
    S64,
    /// 64 bits.
    U64,
    /// 32 bits, with a binary point.
    F32,
    /// 64 bits, with a binary point.
    F64,
}

impl Number {
    /// How many bytes one takes.
    #[must_use]
    pub fn size(self) -> usize {
        match self {
            Self::S32 | Self::U32 | Self::F32 => 4,
            Self::S64 | Self::U64 | Self::F64 => 8,
        }
    }
}

impl Shape {
    /// Whether workers map it so that they see each other's stores.
    #[must_use]
    pub fn is_written(&self) -> bool {
        !matches!(self, Self::Segment { writable: false, .. })
    }
}

/// Who holds a lock: a worker process, or the host. No two have the same while this process lives.
///
/// ```
/// let lock = wasmpool::Lock::new()?;
/// let guard = lock.lock();
/// assert_eq!(lock.holder(), Some(wasmpool::Holder::HOST));
/// # drop(guard);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Holder(NonZeroU32);

impl Holder {
    /// The host itself.
    pub const HOST: Self = Self(NonZeroU32::MIN);

    /// One that nobody has been before.
    ///
    /// # Panics
    /// If there have been 2³¹ already: a lock has no room for more.
    #[must_use]
    pub fn fresh() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(2);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        assert!(number >> 31 == 0, "a host starts fewer workers than that");
        Self(NonZeroU32::new(number).expect("it is 2 at least"))
    }

    /// The one of this number; none if there can be no such.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        NonZeroU32::new(number).filter(|number| number.get() >> 31 == 0).map(Self)
    }

    /// Its number, below 2³¹.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0.get()
    }
}
