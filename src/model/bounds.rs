//! How large and how old a message may be to be carried over.

use super::InternalDate;

/// `max-size` and `since` of the configuration. They decide what is carried over; never what is looked at, paired, moved or
/// removed (DESIGN 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// At most so many bytes, as the message's own side tells its size.
    pub max_size: Option<u64>,
    /// Not before this, by internal date.
    pub since: Option<InternalDate>,
}

/// Why a message is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Beyond {
    /// It is larger than [`Bounds::max_size`].
    Size,
    /// It is older than [`Bounds::since`].
    Date,
}

impl Beyond {
    /// All reasons.
    pub const ALL: [Self; 2] = [Self::Size, Self::Date];

    /// One word for it, as in the JSON report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Size => "too-large",
            Self::Date => "too-old",
        }
    }
}

impl Bounds {
    /// Whether they leave nothing out.
    pub fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// Why a message of this size and internal date is left out; `None`: it is not.
    pub fn beyond(&self, size: u64, date: InternalDate) -> Option<Beyond> {
        match self {
            Self { since: Some(first), .. } if date < *first => Some(Beyond::Date),
            Self {
                max_size: Some(most), ..
            } if size > *most => Some(Beyond::Size),
            _ => None,
        }
    }

    /// Whether messages that `earlier` left out for this reason may come in.
    pub fn is_wider(&self, earlier: &Self, reason: Beyond) -> bool {
        match reason {
            Beyond::Size => earlier
                .max_size
                .is_some_and(|then| self.max_size.is_none_or(|now| now > then)),
            Beyond::Date => earlier
                .since
                .is_some_and(|then| self.since.is_none_or(|now| now < then)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(max_size: Option<u64>, since: Option<i64>) -> Bounds {
        Bounds {
            max_size,
            since: since.map(InternalDate),
        }
    }

    #[test]
    fn what_is_left_out() {
        // max-size | since | size | date | left out
        for (most, since, size, date, reason) in [
            (None, None, u64::MAX, i64::MIN, None),
            (Some(100), None, 100, 0, None),
            (Some(100), None, 101, 0, Some(Beyond::Size)),
            (None, Some(7), 1, 7, None),
            (None, Some(7), 1, 6, Some(Beyond::Date)),
            (Some(100), Some(7), 101, 6, Some(Beyond::Date)),
        ] {
            let found = bounds(most, since).beyond(size, InternalDate(date));
            assert_eq!(found, reason, "{most:?} {since:?}: {size} {date}");
        }
    }

    #[test]
    fn what_comes_in_again() {
        // then | now | wider in size | wider in date
        for (then, now, size, date) in [
            ((None, None), (Some(1), Some(1)), false, false),
            ((Some(1), Some(5)), (None, None), true, true),
            ((Some(1), Some(5)), (Some(2), Some(5)), true, false),
            ((Some(2), Some(5)), (Some(1), Some(4)), false, true),
            ((Some(2), Some(5)), (Some(2), Some(6)), false, false),
        ] {
            let (was, is) = (bounds(then.0, then.1), bounds(now.0, now.1));
            let wider = [Beyond::Size, Beyond::Date].map(|reason| is.is_wider(&was, reason));
            assert_eq!(wider, [size, date], "{then:?} {now:?}");
        }
    }
}
