//! A function with state at work: a key's items in their order, and its timers between them.

use super::Timer;
use super::context::{Context, GoesBy, KeyTimers, Now};
use crate::call::{Input, KeyItems, Positions, Refused};
use crate::cell::Time;
use crate::flow::{self, Flow};
use crate::key::{Key, read_whole};
use crate::limits::KEY_TIMERS_FIRED_MAX;
use crate::reason::Refusal;
use crate::value::{Value, decode, encode};
use std::marker::PhantomData;

/// The watermark of a job whose sources are at their end.
const END_OF_TIME_MS: i64 = i64::MAX;

/// What a function with state ends in: nothing, or a `Result` whose `Err` sets the item aside.
#[diagnostic::on_unimplemented(
    message = "a function with state ends in `()` or in a `Result<(), …>`, not in `{Self}`",
    label = "ends in `{Self}`",
    note = "give items out with `ctx.emit(…)`; a function that may refuse an item ends in `Ok(())`, or `ok(())` where Rust asks for the error's type"
)]
pub trait Outcome {
    /// Why the item is set aside.
    fn refusal(self) -> Option<String>;
}

impl Outcome for () {
    #[inline]
    fn refusal(self) -> Option<String> {
        None
    }
}

impl<E: Refusal> Outcome for Result<(), E> {
    #[inline]
    fn refusal(self) -> Option<String> {
        self.err().map(Refusal::reason)
    }
}

/// What is called when a timer goes off.
pub trait OnTimer<K, S, O> {
    /// There is something to call.
    const IS_THERE: bool;
    /// Calls it. Some: why the timer is refused.
    fn call(
        &self,
        key: K,
        timer: Timer,
        state: &mut Option<S>,
        context: &mut Context<'_, O>,
    ) -> Option<String>;
}

/// No timers are set.
#[derive(Debug)]
pub struct NoTimer;

impl<K, S, O> OnTimer<K, S, O> for NoTimer {
    const IS_THERE: bool = false;
    fn call(&self, _: K, _: Timer, _: &mut Option<S>, _: &mut Context<'_, O>) -> Option<String> {
        // An older version may have set it.
        Some("a timer goes off, and there is no `.on_timer(…)` any more".into())
    }
}

/// See [`on_timer`](crate::Stream::on_timer).
#[derive(Debug)]
pub struct WithTimer<H>(H);

impl<K, S, O, R, H> OnTimer<K, S, O> for WithTimer<H>
where
    R: Outcome,
    H: Fn(K, Timer, &mut Option<S>, &mut Context<'_, O>) -> R,
{
    const IS_THERE: bool = true;
    fn call(
        &self,
        key: K,
        timer: Timer,
        state: &mut Option<S>,
        context: &mut Context<'_, O>,
    ) -> Option<String> {
        (self.0)(key, timer, state, context).refusal()
    }
}

/// See [`KeyedBy::process`](crate::KeyedBy::process).
pub struct Processed<'b, K, T, S, O, P, N> {
    on_item: P,
    on_timer: N,
    by_batches: bool,
    has_timers: bool,
    read: Read<'b, K, T, S>,
    of: PhantomData<O>,
}

/// Reads and writes what crosses. Not bounds on what follows: a type that cannot be read would be
/// told again at each of the operators behind it.
struct Read<'b, K, T, S> {
    key: fn(&str, &'b [u8]) -> K,
    item: fn(&str, &'b [u8]) -> T,
    state: fn(&str, &'b [u8]) -> S,
    write: fn(&str, &S, &mut crate::columns::ColumnBuf),
}

impl<'b, K, T, S, O, P> Processed<'b, K, T, S, O, P, NoTimer> {
    pub(super) fn new(on_item: P) -> Self
    where
        K: Key<'b>,
        T: Value<'b>,
        S: Value<'b>,
    {
        Processed {
            on_item,
            on_timer: NoTimer,
            by_batches: false,
            has_timers: false,
            read: Read {
                key: |stage, bytes| {
                    read_whole(bytes).unwrap_or_else(|| {
                        panic!("stage `{stage}`: a key cannot be read: {bytes:?}")
                    })
                },
                item: |stage, bytes| {
                    decode(bytes).unwrap_or_else(|reason| {
                        panic!("stage `{stage}`: an item cannot be read: {reason}")
                    })
                },
                state: |stage, bytes| {
                    decode(bytes).unwrap_or_else(|reason| {
                        panic!("stage `{stage}`: a state cannot be read: {reason}")
                    })
                },
                write: |stage, state, out| {
                    encode(state, out).unwrap_or_else(|error| {
                        panic!("stage `{stage}`: a state cannot be written: {error}")
                    });
                },
            },
            of: PhantomData,
        }
    }

    pub(super) fn on_timer<H>(self, f: H) -> Processed<'b, K, T, S, O, P, WithTimer<H>> {
        Processed {
            on_item: self.on_item,
            on_timer: WithTimer(f),
            by_batches: self.by_batches,
            has_timers: true,
            read: self.read,
            of: PhantomData,
        }
    }
}

impl<K, T, S, O, P, N> Processed<'_, K, T, S, O, P, N> {
    pub(super) fn by_batches(&mut self) {
        self.by_batches = true;
    }

    pub(super) fn has_event_timers(&self) -> bool {
        self.has_timers && !self.by_batches
    }

    fn goes_by(&self) -> GoesBy {
        match (self.has_timers, self.by_batches) {
            (false, _) => GoesBy::NoTimers,
            (true, true) => GoesBy::BatchTime,
            (true, false) => GoesBy::EventTime,
        }
    }
}

impl<'b, K, T, S, O, P, N, R> Flow<'b> for Processed<'b, K, T, S, O, P, N>
where
    R: Outcome,
    P: Fn(K, T, &mut Option<S>, &mut Context<'_, O>) -> R,
    N: OnTimer<K, S, O>,
{
    type Item = O;
    fn each(
        &mut self,
        input: Input<'b>,
        context: &mut flow::Context,
        mut next: impl FnMut(O, &mut flow::Context),
    ) {
        let Input::Keys(keys) = input else {
            panic!("stage `{}` is given keys, not {input:?}", context.stage)
        };
        let mut absent = Positions(keys.absent);
        let mut from = 0;
        for (position, (key, state)) in (0..).zip(keys.keys.iter().zip(keys.states.iter())) {
            let at = position as usize;
            let is_new = absent.has(position);
            let state = (!is_new).then(|| (self.read.state)(&context.stage, state));
            let items = from..keys.item_ends[at] as usize;
            from = items.end;
            let mut one = OneKey {
                of: self,
                keys: &keys,
                position,
                key,
                state,
                timers: KeyTimers {
                    event_ms: keys.event_timers.get(at).iter().copied().collect(),
                    batch_ms: keys.batch_timers.get(at).iter().copied().collect(),
                },
                emitted: Vec::new(),
                fired: 0,
            };
            one.run(items, context, &mut next);
            let OneKey { state, timers, .. } = one;
            let out = &mut context.out.processed;
            match state {
                Some(state) => (self.read.write)(&context.stage, &state, &mut out.states),
                None => {
                    out.absent.push(position);
                    out.states.end();
                }
            }
            out.event_timers.push(timers.event_ms);
            out.batch_timers.push(timers.batch_ms);
        }
    }
}

/// One key of a call.
struct OneKey<'a, 'b, K, T, S, O, P, N> {
    of: &'a Processed<'b, K, T, S, O, P, N>,
    keys: &'a KeyItems<'b>,
    position: u32,
    key: &'b [u8],
    state: Option<S>,
    timers: KeyTimers,
    emitted: Vec<O>,
    /// Timers of event time that went off.
    fired: usize,
}

impl<'b, K, T, S, O, P, N, R> OneKey<'_, 'b, K, T, S, O, P, N>
where
    R: Outcome,
    P: Fn(K, T, &mut Option<S>, &mut Context<'_, O>) -> R,
    N: OnTimer<K, S, O>,
{
    fn run(
        &mut self,
        items: std::ops::Range<usize>,
        context: &mut flow::Context,
        next: &mut impl FnMut(O, &mut flow::Context),
    ) {
        for (number, place) in (0..).zip(items) {
            let time_ms = self.keys.times_ms[place];
            if self.of.has_event_timers() {
                self.fire_events(time_ms, context, next);
            }
            let item = (self.of.read.item)(&context.stage, self.keys.items.get(place));
            let on_item = &self.of.on_item;
            let call = |key, state: &mut Option<S>, ctx: &mut Context<'_, O>| {
                on_item(key, item, state, ctx).refusal()
            };
            self.call((Some(number), time_ms, false), call, context, next);
        }
        if self.keys.last {
            self.fire_events(self.keys.watermark_ms, context, next);
        }
        self.fire_batches(context, next);
    }

    /// Timers below a time go off, in order: those too that are set meanwhile.
    fn fire_events(
        &mut self,
        below_ms: i64,
        context: &mut flow::Context,
        next: &mut impl FnMut(O, &mut flow::Context),
    ) {
        while let Some(&at_ms) = self.timers.event_ms.first()
            && at_ms < below_ms
            && self.fired < KEY_TIMERS_FIRED_MAX
        {
            self.fired += 1;
            self.timers.event_ms.pop_first();
            self.fire(
                Timer {
                    at: Time(at_ms),
                    is_batch: false,
                },
                context,
                next,
            );
        }
    }

    /// Those that are there and due: none that is set meanwhile.
    fn fire_batches(
        &mut self,
        context: &mut flow::Context,
        next: &mut impl FnMut(O, &mut flow::Context),
    ) {
        let due: Vec<i64> = self
            .timers
            .batch_ms
            .range(..=self.keys.batch_due_ms)
            .copied()
            .filter(|at_ms| {
                self.keys
                    .batch_timers
                    .get(self.position as usize)
                    .contains(at_ms)
            })
            .collect();
        for at_ms in due {
            if self.timers.batch_ms.remove(&at_ms) {
                self.fire(
                    Timer {
                        at: Time(at_ms),
                        is_batch: true,
                    },
                    context,
                    next,
                );
            }
        }
    }

    fn fire(
        &mut self,
        timer: Timer,
        context: &mut flow::Context,
        next: &mut impl FnMut(O, &mut flow::Context),
    ) {
        let time_ms = match timer.is_batch {
            true => context.moment.batch_ms,
            false => timer.at.0,
        };
        let on_timer = &self.of.on_timer;
        let call = |key, state: &mut Option<S>, ctx: &mut Context<'_, O>| {
            on_timer.call(key, timer, state, ctx)
        };
        self.call((None, time_ms, !timer.is_batch), call, context, next);
    }

    /// Calls one of the two functions, and hands on what it gave out.
    fn call(
        &mut self,
        (item, time_ms, is_event_timer): (Option<u32>, i64, bool),
        f: impl FnOnce(K, &mut Option<S>, &mut Context<'_, O>) -> Option<String>,
        context: &mut flow::Context,
        next: &mut impl FnMut(O, &mut flow::Context),
    ) {
        let mut ctx = Context {
            now: Now {
                batch_ms: context.moment.batch_ms,
                time_ms,
                watermark_ms: self.keys.watermark_ms,
                at_end: [self.keys.watermark_ms, self.keys.batch_due_ms].contains(&END_OF_TIME_MS),
                is_event_timer,
                goes_by: self.of.goes_by(),
            },
            timers: &mut self.timers,
            emitted: &mut self.emitted,
            refusal: None,
        };
        let key = (self.of.read.key)(&context.stage, self.key);
        let ended = f(key, &mut self.state, &mut ctx);
        if let Some(reason) = ctx.refusal.or(ended) {
            context.out.processed.refusals.push(Refused {
                position: self.position,
                item,
                time_ms,
                reason,
            });
        }
        context.of_pair(self.position, time_ms);
        self.emitted.drain(..).for_each(|item| next(item, context));
    }
}
