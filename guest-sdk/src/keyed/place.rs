//! Which window an item is in, and whether it comes too late for it.

use super::calendar::Cut;
use crate::describe::{Scope, WindowDef, WindowForm};
use crate::flow::Context;
use crate::job::Index;
use crate::row::Row;
use std::rc::Rc;

/// How items are placed in time.
#[derive(Clone)]
pub(crate) enum Place {
    /// No windows: all that has one key.
    Whole,
    /// Panes of the batches' time.
    Clock { hop_ms: i64, offset_ms: i64 },
    /// Panes of event time.
    Event {
        size_ms: i64,
        hop_ms: i64,
        offset_ms: i64,
        lateness_ms: i64,
    },
    /// Windows of a calendar, by the last millisecond before their end.
    Calendar {
        cut: Rc<dyn Cut>,
        lateness_ms: i64,
        processing_time: bool,
    },
}

/// The first window of an item that counts for all that have its pane.
pub(crate) const EVERY: i64 = i64::MIN;

impl Place {
    /// None: sessions, which are placed by what came before.
    pub(crate) fn new(scope: Scope, cut: Option<Rc<dyn Cut>>) -> Option<Place> {
        let Scope::Window(WindowDef {
            form,
            offset_ms,
            lateness_ms,
            processing_time,
            ..
        }) = scope
        else {
            return Some(Place::Whole);
        };
        if let Some(cut) = cut {
            return Some(Place::Calendar {
                cut,
                lateness_ms: signed(lateness_ms),
                processing_time,
            });
        }
        let WindowForm::Panes { size_ms, hop_ms } = form else {
            return None;
        };
        let hop_ms = signed(hop_ms).max(1); // 0 is refused by `describe`
        let size_ms = signed(size_ms).max(hop_ms);
        let offset_ms = signed(offset_ms);
        Some(match processing_time {
            true => Place::Clock { hop_ms, offset_ms },
            false => Place::Event {
                size_ms,
                hop_ms,
                offset_ms,
                lateness_ms: signed(lateness_ms),
            },
        })
    }

    /// Where the item's pane begins.
    #[inline]
    pub(crate) fn of(&self, context: &mut Context) -> Placed {
        match *self {
            Place::Whole => Placed::In(0, EVERY),
            Place::Clock { hop_ms, offset_ms } => {
                Placed::In(begin(context.moment.batch_ms, hop_ms, offset_ms), EVERY)
            }
            Place::Event {
                size_ms,
                hop_ms,
                offset_ms,
                lateness_ms,
            } => {
                let Some(time_ms) = context.event_time_ms() else {
                    return Placed::Refused;
                };
                let (pane_ms, reached_ms) =
                    (begin(time_ms, hop_ms, offset_ms), context.reached_ms());
                let earliest_end_ms = pane_ms.saturating_add(hop_ms);
                match earliest_end_ms.saturating_add(lateness_ms) > reached_ms {
                    true => Placed::In(pane_ms, EVERY),
                    false => {
                        let over_ms = reached_ms
                            .saturating_sub(lateness_ms)
                            .saturating_sub(size_ms);
                        let last_over_ms = begin(over_ms, hop_ms, offset_ms);
                        in_some(pane_ms, last_over_ms.saturating_add(hop_ms))
                    }
                }
            }
            Place::Calendar {
                ref cut,
                lateness_ms,
                processing_time,
            } => in_calendar(&**cut, lateness_ms, processing_time, context),
        }
    }

    /// The first window that has a pane.
    pub(crate) fn first_window(&self, pane_ms: i64) -> i64 {
        match *self {
            Place::Event {
                size_ms, hop_ms, ..
            } => pane_ms.saturating_sub(size_ms - hop_ms),
            Place::Whole | Place::Clock { .. } | Place::Calendar { .. } => pane_ms,
        }
    }
}

/// Where a window of a calendar is kept that an item is in.
fn in_calendar(
    cut: &dyn Cut,
    lateness_ms: i64,
    processing_time: bool,
    context: &mut Context,
) -> Placed {
    let time_ms = match processing_time {
        true => Some(context.moment.batch_ms),
        false => context.event_time_ms(),
    };
    let Some(time_ms) = time_ms else {
        return Placed::Refused;
    };
    let Some((_, end_ms)) = cut.around(time_ms) else {
        context.fault(format_args!(
            "{time_ms}, in milliseconds since 1970, is further than a calendar goes"
        ));
        return Placed::Refused;
    };
    let is_open = end_ms.saturating_add(lateness_ms) > context.reached_ms();
    match processing_time || is_open {
        true => Placed::In(end_ms - 1, EVERY),
        false => Placed::Late,
    }
}

/// The first window that the pane is in is over: it counts for those that are open, if there are
/// any. What its partition had before it decides, so that the topic alone does.
#[cold]
fn in_some(pane_ms: i64, first_ms: i64) -> Placed {
    match first_ms <= pane_ms {
        true => Placed::In(pane_ms, first_ms),
        false => Placed::Late,
    }
}

/// What became of an item.
pub(crate) enum Placed {
    /// It is in the pane that begins then, and counts for the windows from one on: [`EVERY`] one
    /// that has the pane, or one by name.
    In(i64, i64),
    /// All its windows are over.
    Late,
    /// It has no time, and its record was set aside.
    Refused,
}

/// An item of a session or join is late if what waits for it was let go: further back than the
/// lateness.
#[inline]
pub(crate) fn is_behind(time_ms: i64, lateness_ms: i64, context: &Context) -> bool {
    time_ms.saturating_add(lateness_ms) < context.reached_ms()
}

/// The same of those that begin so much later.
#[inline]
fn begin(time_ms: i64, hop_ms: i64, offset_ms: i64) -> i64 {
    pane(time_ms.saturating_sub(offset_ms), hop_ms).saturating_add(offset_ms)
}

/// Where the pane or window begins that a time is in.
#[inline]
pub(crate) fn pane(time_ms: i64, hop_ms: i64) -> i64 {
    time_ms.saturating_sub(time_ms.rem_euclid(hop_ms))
}

pub(crate) fn signed(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// Where late items go.
pub(crate) struct Late<T> {
    write: fn(&T, usize, &mut Context),
    pub(crate) index: Index,
}

impl<T: Row> Late<T> {
    pub(crate) fn new(index: Index) -> Self {
        Late {
            write: write_row::<T>,
            index,
        }
    }
}

impl<T> Late<T> {
    /// Counts the item as late, and writes it where its author said.
    #[cold]
    pub(crate) fn take(late: Option<&Self>, item: &T, context: &mut Context) {
        context.late();
        if let Some(late) = late {
            (late.write)(item, late.index.get(), context);
        }
    }
}

fn write_row<T: Row>(item: &T, sink: usize, context: &mut Context) {
    let rows = &mut context.out.rows[sink];
    item.write(rows);
    let width = T::SHAPE.width(rows.is_apart());
    if let Err(reason) = rows.end_row(context.position, width) {
        context.fault(reason);
    }
}
