//! One QuickJS runtime with its context. Runs slices of one call at a time, on whichever thread has it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rquickjs::{CaughtError, Context, Ctx, Function, Object, Runtime, TypedArray};

use crate::compile::{Hooks, Imports};
use crate::hands::{Hands, Submitted};
use crate::memory::{Budget, Share};
use crate::stats::{Counted, Counters};
use crate::validation::Validation;
use crate::watch::{Stop, thread_time};
use crate::{Call, CallError, CallKind, Code, Exception, Host, HostError, HttpResponse, Limits, Outcome};
use crate::{bridge, builtins, errors};

/// How deep JavaScript may call. Threads of the engine have twice as much.
pub(crate) const STACK: usize = 2 << 20;

/// Memory of an instance that is kept for further calls; one with more serves none.
const MOST_KEPT: usize = 16 << 20;

/// What an instance counts at least.
const LEAST: usize = 1 << 20;

/// What makes an instance run.
pub(crate) enum Input {
    Start(Box<Call>, Arc<dyn Host>),
    Answer(u32, Result<HttpResponse, HostError>),
    Timer,
}

/// What a slice ends with.
pub(crate) enum End {
    /// It waits for operations and timers.
    Parked {
        submitted: Vec<Submitted>,
        wake: Option<Instant>,
    },
    Done(Result<Outcome, CallError>),
    /// The host panicked.
    Panicked,
}

pub(crate) struct Instance {
    validation: Option<Validation>,
    context: Context,
    runtime: Runtime,
    pub(crate) hands: Arc<Hands>,
    /// What is left of the call's CPU time.
    rest: Duration,
    /// Whether further calls may run on it.
    pub(crate) healthy: bool,
    pub(crate) used: Instant,
    counters: Arc<Counters>,
    counted: Option<Counted>,
    /// What a call that waits has of its app's memory.
    held: Option<Share>,
}

/// Indices of the engine's functions, which are kept with the runtime.
const START: usize = 0;
const SETTLE: usize = 1;
const RUN_TIMER: usize = 2;
const UNDER_WAY: usize = 3;
const END: usize = 4;
const TRACK: usize = 5;
const REPORT: usize = 6;
const PRELOAD: usize = 7;
const NAMES: [&str; 8] = [
    "start", "settle", "runTimer", "underWay", "end", "track", "report", "preload",
];

impl Instance {
    /// Without an app. Costs most of a millisecond of the thread it is called on.
    pub(crate) fn new(counters: Arc<Counters>) -> Result<Self, CallError> {
        let internal = |error: rquickjs::Error| CallError::Internal(error.to_string());
        let runtime = Runtime::new().map_err(internal)?;
        runtime.set_max_stack_size(STACK);
        let hands = Arc::new(Hands::new());
        runtime.set_loader(Imports { hands: hands.clone() }, Imports { hands: hands.clone() });
        let context = Context::full(&runtime).map_err(internal)?;
        context.with(|ctx| {
            let made = set_up(&ctx, &hands);
            made.map_err(|error| {
                CallError::Internal(format!(
                    "{} while an instance was set up",
                    CaughtError::from_error(&ctx, error)
                ))
            })
        })?;
        let watch = hands.clone();
        runtime.set_interrupt_handler(Some(Box::new(move || watch.watch.must_stop())));
        let lost = hands.clone();
        runtime.set_host_promise_rejection_tracker(Some(Box::new(move |ctx, promise, reason, handled| {
            // To show values of the context of validation would give it functions of this one. Between calls nobody is told.
            let is_told = lost.with(|current| current.kind != CallKind::Validate);
            if is_told != Some(true) {
                return;
            }
            lost.lost.store(true, Ordering::Relaxed);
            let functions = ctx.userdata::<Vec<Function>>();
            let track = functions.and_then(|functions| functions.get(TRACK).cloned());
            if track.is_some_and(|track| track.call::<_, ()>((promise, reason, handled)).is_err()) {
                drop(ctx.catch());
            }
        })));
        Ok(Self {
            validation: None,
            context,
            runtime,
            hands,
            rest: Duration::ZERO,
            healthy: true,
            used: Instant::now(),
            counters,
            counted: None,
            held: None,
        })
    }

    /// Loads what nearly every call needs.
    pub(crate) fn preload(&self) {
        self.call_function(PRELOAD, |function| function.call::<_, ()>(()));
    }

    /// From here on it is this app's.
    pub(crate) fn adopt(mut self, code: Arc<Code>, limits: Arc<Limits>, memory: Arc<Budget>) -> Self {
        self.runtime.set_memory_limit(limits.memory_bytes);
        self.hands.adopt(code, limits, memory);
        self.counted = Some(Counted::new(self.counters.clone()));
        self
    }

    /// Runs until there is nothing to do without further input.
    pub(crate) fn slice(&mut self, inputs: Vec<Input>) -> End {
        let before = thread_time();
        if let Some(Input::Start(call, host)) = inputs.first() {
            self.rest = self.hands.limits().cpu_time;
            self.hands.begin(call, host.clone());
        }
        // Once for all inputs and what follows: together they have what is left.
        self.hands.watch.begin_slice(self.rest);
        for input in inputs {
            self.take(input);
            self.run_jobs();
            if self.is_settled() || self.hands.watch.must_stop() {
                break;
            }
        }
        self.report_lost();
        let end = self.end_of_slice();
        let took = Duration::from_nanos(thread_time().saturating_sub(before));
        self.rest = self.rest.saturating_sub(took);
        end
    }

    /// Says which promises were rejected while nobody listened. To describe what they were rejected with may run code of the app, and so
    /// leave jobs and further rejections.
    fn report_lost(&mut self) {
        while self.hands.lost.swap(false, Ordering::Relaxed) && !self.hands.watch.must_stop() {
            self.call_function(REPORT, |function| function.call::<_, ()>(()));
            self.run_jobs();
        }
    }

    /// Back to the state before the call; says whether further calls may run on this instance.
    pub(crate) fn end_call(&mut self) -> bool {
        self.hands.end();
        self.used = Instant::now();
        self.held = None;
        self.healthy = self.healthy && self.call_function(END, |function| function.call(())).unwrap_or(false);
        // A job that is left would run in the next call, with its rights.
        self.healthy = self.healthy && !self.runtime.is_job_pending();
        if self.healthy && self.measure() > MOST_KEPT {
            // Rings that nobody uses any more do not count.
            self.runtime.run_gc();
            self.healthy = self.measure() <= MOST_KEPT && !self.runtime.is_job_pending();
        }
        self.healthy
    }

    /// Its memory in bytes when it was measured last.
    pub(crate) fn bytes(&self) -> usize {
        self.counted.as_ref().map_or(0, Counted::bytes)
    }

    /// Its memory in bytes: at least [`LEAST`], above that too much by an eighth at most.
    ///
    /// QuickJS counts what it allocates, but tells only together with numbers for which it looks at every object. That it refuses to
    /// allocate beyond its limit tells as much at once.
    fn measure(&mut self) -> usize {
        let mut most = LEAST;
        while !self.fits(most) {
            most *= 2;
        }
        let mut step = most / 4;
        if most > LEAST {
            for _ in 0..2 {
                if self.fits(most - step) {
                    most -= step;
                }
                step /= 2;
            }
        }
        self.runtime.set_memory_limit(self.hands.limits().memory_bytes);
        if let Some(counted) = &mut self.counted {
            counted.measured(most);
        }
        most
    }

    /// Whether its memory is less than so many bytes.
    fn fits(&self, bytes: usize) -> bool {
        self.runtime.set_memory_limit(bytes);
        self.context.with(|ctx| {
            let fits = rquickjs::String::from_str(ctx.clone(), "this needs memory").is_ok();
            if !fits {
                drop(ctx.catch());
            }
            fits
        })
    }

    /// Takes of the app's memory what it holds while it waits; false if there is not as much left.
    fn hold(&mut self) -> bool {
        self.held = None;
        let bytes = self.measure();
        self.held = self.hands.memory().take(bytes);
        if self.held.is_none() {
            self.runtime.run_gc();
            let bytes = self.measure();
            self.held = self.hands.memory().take(bytes);
        }
        self.held.is_some()
    }

    fn end_of_slice(&mut self) -> End {
        if let Some(stop) = self.hands.watch.stopped() {
            self.healthy = false;
            if self.hands.panicked.load(Ordering::Relaxed) {
                return End::Panicked;
            }
            return End::Done(Err(match stop {
                Stop::Cpu => CallError::TooLong("it computes longer than it may"),
                Stop::Wall | Stop::Cancelled => CallError::TooLong("it takes longer than it may"),
            }));
        }
        let state = self.hands.with(|current| {
            (
                current.result.take(),
                std::mem::take(&mut current.submitted),
                current.wake.take(),
            )
        });
        let Some((result, submitted, wake)) = state else {
            return End::Done(Err(CallError::Internal("a slice without a call".to_owned())));
        };
        if let Some(result) = result {
            self.healthy &= !matches!(result, Err(CallError::OutOfMemory | CallError::Internal(_)));
            return End::Done(result);
        }
        let under_way = self
            .call_function(UNDER_WAY, |function| function.call::<_, u32>(()))
            .unwrap_or(0);
        if under_way == 0 {
            // State of a module may wait for it as well.
            self.healthy = false;
            return End::Done(Err(CallError::Failed(Box::new(Exception {
                name: "Error".to_owned(),
                message: "the code waits for something that never happens".to_owned(),
                stack: String::new(),
            }))));
        }
        if !self.hold() {
            self.healthy = false;
            return End::Done(Err(CallError::OutOfMemory));
        }
        End::Parked { submitted, wake }
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Start(call, _) if call.kind == CallKind::Validate => {
                let result = self.validate(&call);
                self.hands.settle(result);
            }
            Input::Start(call, _) => {
                let kind = kind_name(call.kind);
                let call = *call;
                self.call_function(START, |function| {
                    function.call::<_, ()>((kind, call.bucket, call.code_type, call.input))
                });
            }
            Input::Answer(id, answer) => {
                self.call_function(SETTLE, |function| settle(function, id, answer));
            }
            Input::Timer => {
                while self
                    .call_function(RUN_TIMER, |function| function.call(()))
                    .unwrap_or(false)
                {
                    self.run_jobs();
                    if self.is_settled() || self.hands.watch.must_stop() {
                        break;
                    }
                }
            }
        }
    }

    fn validate(&mut self, call: &Call) -> Result<Outcome, CallError> {
        let validation = match self.validation.take() {
            Some(validation) => validation,
            None => Validation::new(&self.runtime, &self.hands)?,
        };
        self.validation
            .insert(validation)
            .run(&self.hands, &call.bucket, &call.input)
    }

    fn is_settled(&self) -> bool {
        self.hands.with(|current| current.result.is_some()).unwrap_or(true)
    }

    fn run_jobs(&mut self) {
        let mut n: u32 = 0;
        loop {
            match self.runtime.execute_pending_job() {
                Ok(false) => break,
                Ok(true) => {}
                Err(exception) => exception.0.with(|ctx| self.hands_failed(&ctx)),
            }
            n = n.wrapping_add(1);
            if self.hands.watch.stopped().is_some() || (n.is_multiple_of(256) && self.hands.watch.must_stop()) {
                break;
            }
        }
    }

    fn call_function<R>(&self, index: usize, call: impl FnOnce(&Function) -> rquickjs::Result<R>) -> Option<R> {
        self.context.with(|ctx| {
            let function = ctx
                .userdata::<Vec<Function>>()
                .and_then(|functions| functions.get(index).cloned())?;
            match call(&function) {
                Ok(value) => Some(value),
                Err(_) => {
                    self.hands_failed(&ctx);
                    None
                }
            }
        })
    }

    /// An exception got through everything that could have caught it: the code was stopped, or there is no memory to describe it.
    fn hands_failed(&self, ctx: &Ctx) {
        let thrown = ctx.catch();
        let text = |key: &str| {
            thrown
                .as_object()
                .filter(|_| thrown.is_error())
                .and_then(|error| error.get::<_, String>(key).ok())
        };
        let error = match (text("name"), text("message")) {
            (Some(name), Some(message)) => errors::failed(self.hands.code(), name, message, ""),
            _ => errors::null(self.hands.code()),
        };
        self.hands.settle(Err(error));
    }
}

fn set_up(ctx: &Ctx, hands: &Arc<Hands>) -> rquickjs::Result<()> {
    let native = bridge::object(ctx, hands)?;
    let (names, bodies) = builtins::load_engine(ctx)?;
    let run: Function = ctx.eval(RUN_PRELUDE)?;
    let handles: Object = run.call((names, bodies, native))?;
    let mut functions = Vec::with_capacity(NAMES.len());
    for name in NAMES {
        functions.push(handles.get::<_, Function>(name)?);
    }
    ctx.store_userdata(functions)?;
    Hooks::store(ctx, handles)
}

/// Runs the files of the prelude that the last of them requires.
const RUN_PRELUDE: &str = "(names, bodies, native) => {
    const loaded = new Map();
    const require = (name) => {
        if (!loaded.has(name)) {
            const module = { exports: {} };
            loaded.set(name, module);
            bodies[names.indexOf(name)](module.exports, require, module, native, globalThis);
        }
        return loaded.get(name).exports;
    };
    require.builtin = (name) => require('modules').builtin(name);
    return require('main');
}";

fn settle<'js>(function: &Function<'js>, id: u32, answer: Result<HttpResponse, HostError>) -> rquickjs::Result<()> {
    let ctx = function.ctx().clone();
    match answer {
        Ok(HttpResponse { status, headers, body }) => {
            // Text is given as such beside the bytes: most answers are JSON, and decoding it again would cost more.
            let is_text = headers.iter().any(|(name, value)| {
                name == "content-type" && (value.starts_with("application/json") || value.starts_with("text/"))
            });
            let text = is_text.then(|| std::str::from_utf8(&body).ok()).flatten();
            let headers: Vec<Vec<&str>> = headers.iter().map(|(name, value)| vec![&**name, &**value]).collect();
            let bytes = TypedArray::<u8>::new_copy(ctx, Bytes::as_ref(&body))?;
            function.call((id, status, headers, bytes, text))
        }
        Err(error) => function.call((id, 0, (), (), (), error.0)),
    }
}

fn kind_name(kind: CallKind) -> &'static str {
    match kind {
        CallKind::Insert => "insert",
        CallKind::Update => "update",
        CallKind::Delete => "delete",
        CallKind::Validate => "validate",
        CallKind::Request => "request",
        CallKind::Hook => "hook",
        CallKind::Job => "job",
        CallKind::After => "after",
    }
}
