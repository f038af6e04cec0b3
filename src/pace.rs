//! How both sides are set to work: at once, or in turn.

use std::thread::{Scope, ScopedJoinHandle};

use crate::error::{Failure, Kind, Result};

/// Whether the stores work at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pace {
    /// Each on threads of its own.
    #[default]
    AtOnce,
    /// One after the other, the left first, on the thread of the caller: a run over stores that keep to the order of their
    /// jobs is then the same to the step each time, and can be stopped at the same step again. For tests.
    InTurn,
}

impl Pace {
    /// Asks both sides something.
    pub(crate) fn both<L, R: Send>(
        self,
        left: impl FnOnce() -> Result<L>,
        right: impl FnOnce() -> Result<R> + Send,
    ) -> (Result<L>, Result<R>) {
        match self {
            Self::InTurn => (left(), right()),
            Self::AtOnce => std::thread::scope(|scope| {
                let right = scope.spawn(right);
                let left = left();
                (left, joined(right.join()))
            }),
        }
    }

    /// Sets a worker to work. In turn it has done all when this returns.
    pub(crate) fn spawn<'scope>(
        self,
        scope: &'scope Scope<'scope, '_>,
        work: impl FnOnce() -> Result<()> + Send + 'scope,
    ) -> Worker<'scope> {
        match self {
            Self::InTurn => Worker::Done(work()),
            Self::AtOnce => Worker::Thread(scope.spawn(work)),
        }
    }

    /// For how many answers a channel needs room when so many are expected, and a worker at most so far ahead.
    pub(crate) fn room(self, expected: usize, ahead: usize) -> usize {
        match self {
            Self::InTurn => expected,
            Self::AtOnce => expected.clamp(1, ahead),
        }
    }
}

/// Somebody at work.
pub(crate) enum Worker<'scope> {
    Thread(ScopedJoinHandle<'scope, Result<()>>),
    Done(Result<()>),
}

impl Worker<'_> {
    /// What it came to.
    pub(crate) fn join(self) -> Result<()> {
        match self {
            Self::Thread(handle) => joined(handle.join()),
            Self::Done(result) => result,
        }
    }
}

/// What a thread came to: its own error, or that it panicked, which is a bug but must not take the books with it.
fn joined<T>(result: std::thread::Result<Result<T>>) -> Result<T> {
    result.unwrap_or_else(|_| {
        Err(Failure::account(Kind::Partial, "a bug in homing: a worker stopped")
            .hint("what was done is recorded; run again, and please report it"))
    })
}
