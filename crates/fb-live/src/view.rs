//! One query as some scopes see it, and what becomes of it with each write.

use std::cell::OnceCell;
use std::sync::Arc;

use bytes::Bytes;
use fb_auth::Scope;
use fb_query::{Fields, Slots};
use fb_types::{ChangeKind, ObjectKey, Seq};
use serde_json::Value;

use crate::event::{Content, Event, Operation, What};
use crate::matcher::{Output, Subscriber};
use crate::members::Members;
use crate::objects::Objects;
use crate::query::{Form, LiveQuery, Part};
use crate::retained::Image;
use crate::window::{Entry, Step, Window};

/// Number of an object that has none yet.
const UNNUMBERED: u32 = u32::MAX;

/// A line of memory, as a filter is, with what writes of public objects look at.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct View {
    /// Writes up to here are in what it began with.
    pub(crate) since: Seq,
    pub(crate) state: State,
    /// The subscriber if it is one.
    pub(crate) only: Option<Subscriber>,
    pub(crate) rest: Box<Rest>,
}

const _: () = assert!(size_of::<Option<View>>() == 64);

#[derive(Debug)]
pub(crate) struct Rest {
    pub(crate) sights: Vec<Sight>,
    /// All subscribers if they are several, as they are told.
    pub(crate) all: Arc<[Subscriber]>,
    /// To be renewed by; what has no window needs no renewal, and is held by nothing but its filter.
    pub(crate) query: Option<Arc<LiveQuery>>,
    /// The position that its renewal waits at.
    pub(crate) ticket: Option<Seq>,
    pub(crate) filter: u32,
    /// Tells it from others that had its number before, and from itself with another slack.
    pub(crate) generation: u64,
}

/// Subscribers of one scope.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    pub(crate) scope: Scope,
    pub(crate) subscribers: Vec<Subscriber>,
}

/// What is in the result.
#[derive(Debug, Clone)]
pub(crate) enum State {
    /// These objects.
    All(Members),
    /// A window onto an order.
    Part(Box<Window>),
    /// It ran dry and showed this; nothing is told until it is renewed.
    Dry(Box<[Entry]>),
}

/// As much of an object as the filters and orders of its class look at.
pub(crate) struct Object<'a> {
    slots: &'a Slots,
    fields: &'a Fields<'a>,
    value: OnceCell<Value>,
}

impl<'a> Object<'a> {
    pub(crate) fn new(slots: &'a Slots, fields: &'a Fields<'a>) -> Self {
        Self {
            slots,
            fields,
            value: OnceCell::new(),
        }
    }

    /// Its place in the order of a window whose fields are among the slots.
    fn place(&self, part: &Part) -> Box<[u8]> {
        let value = self.value.get_or_init(|| self.slots.object(self.fields));
        part.order.position(value).into()
    }
}

/// A write, looked at once for all views.
pub(crate) struct Written<'a> {
    pub(crate) image: &'a Image,
    pub(crate) object: Option<Object<'a>>,
    /// The object's number if it is in any view.
    pub(crate) number: Option<u32>,
}

impl View {
    pub(crate) fn part(&self) -> Option<&Part> {
        part_of(self.rest.query.as_ref())
    }

    pub(crate) fn form_text(&self) -> &str {
        self.rest.query.as_ref().map_or("", |query| query.form_text())
    }

    pub(crate) fn is_dry(&self) -> bool {
        matches!(self.state, State::Dry(_))
    }

    /// To be called when subscribers came or went.
    pub(crate) fn count(&mut self) {
        let sights = self.rest.sights.iter();
        let all: Vec<Subscriber> = sights.flat_map(|sight| sight.subscribers.iter().copied()).collect();
        (self.only, self.rest.all) = match all[..] {
            [only] => (Some(only), Arc::default()),
            _ => (None, all.into()),
        };
    }

    /// All subscribers, as they are told.
    pub(crate) fn all(&self) -> Arc<[Subscriber]> {
        match self.only {
            // New memory is near; what was kept for it would be far.
            Some(only) => Arc::new([only]),
            None => self.rest.all.clone(),
        }
    }

    /// The numbers of all objects that count as its members.
    pub(crate) fn members(&self) -> Vec<u32> {
        match &self.state {
            State::All(members) => members.to_vec(),
            State::Part(window) => window.entries().iter().map(|entry| entry.number).collect(),
            State::Dry(_) => Vec::new(),
        }
    }

    /// Takes in one write; `passes` says whether the object is in the result for these scopes now, as far as limit and
    /// offset let it. `number` is that of this view.
    pub(crate) fn apply(
        &mut self,
        number: u32,
        objects: &mut Objects,
        written: &Written<'_>,
        is_member: bool,
        passes: bool,
        out: &mut Vec<Output>,
    ) {
        let image = written.image;
        match &mut self.state {
            State::Dry(_) => {}
            State::All(members) => {
                let what = match (is_member, passes) {
                    (false, false) => return,
                    (false, true) => {
                        members.insert(objects.join(&image.key, number));
                        What::Add
                    }
                    (true, true) => What::Change,
                    (true, false) => {
                        if let Some(object) = written.number {
                            members.remove(object);
                            objects.leave(object, number);
                        }
                        What::Remove
                    }
                };
                self.tell_written(image, what, None, out);
            }
            State::Part(window) => {
                let Some(part) = part_of(self.rest.query.as_ref()) else {
                    debug_assert!(false, "a window without a part");
                    return;
                };
                let after = match (passes, &written.object, &image.body) {
                    (true, Some(object), Some(body)) => Some(Entry {
                        place: object.place(part),
                        number: written.number.filter(|_| is_member).unwrap_or(UNNUMBERED),
                        key: image.key.clone(),
                        body: body.clone(),
                    }),
                    _ => None,
                };
                let known = written.number.filter(|_| is_member);
                // With what is visible only, a removal may leave the window dry.
                let shown =
                    (known.is_some() && window.entries().len() <= part.end()).then(|| window.visible(part).to_vec());
                let outcome = window.apply(part, known, after);
                if outcome.joined {
                    let object = objects.join(&image.key, number);
                    window.number(object);
                }
                if outcome.left
                    && let Some(object) = known
                {
                    objects.leave(object, number);
                }
                if let Some(object) = outcome.dropped {
                    objects.leave(object, number);
                }
                if window.is_dry(part) {
                    for entry in window.entries() {
                        objects.leave(entry.number, number);
                    }
                    self.state = State::Dry(shown.unwrap_or_default().into());
                } else {
                    self.tell_steps(image, outcome.steps, part, out);
                }
            }
        }
    }

    /// True if it needs a new result, now or soon.
    pub(crate) fn needs_renewal(&self) -> bool {
        match &self.state {
            State::All(_) => false,
            State::Dry(_) => true,
            State::Part(window) => self.part().is_some_and(|part| window.is_low(part)),
        }
    }

    fn tell_steps(&self, image: &Image, steps: Vec<Step>, part: &Part, out: &mut Vec<Output>) {
        for step in steps {
            let index = part.is_sorted.then_some(step.index);
            if step.is_written {
                let what = match step.what {
                    What::ChangeIndex if !part.is_sorted => What::Change,
                    what => what,
                };
                self.tell_written(image, what, index, out);
            } else {
                out.push(Output::Tell {
                    to: self.all(),
                    event: Event {
                        seq: image.seq,
                        what: step.what,
                        operation: Operation::None,
                        index: index.filter(|_| step.what != What::Remove),
                        key: step.entry.key,
                        content: Content::Whole(step.entry.body),
                    },
                });
            }
        }
    }

    /// Tells of the object that was written.
    fn tell_written(&self, image: &Image, what: What, index: Option<usize>, out: &mut Vec<Output>) {
        let mut tell = |to: Arc<[Subscriber]>, content| {
            if !to.is_empty() {
                let event = Event {
                    seq: image.seq,
                    what,
                    operation: image.kind.into(),
                    index: index.filter(|_| what != What::Remove),
                    key: image.key.clone(),
                    content,
                };
                out.push(Output::Tell { to, event });
            }
        };
        let whole = match (&image.body, image.kind) {
            (None, _) | (_, ChangeKind::Delete) => return tell(self.all(), Content::IdOnly),
            (Some(body), ChangeKind::Insert | ChangeKind::Update) => Content::Whole(body.clone()),
        };
        // What is in the result may be read. What leaves it need not be.
        if what != What::Remove || image.acl.is_none() {
            return tell(self.all(), whole);
        }
        let (may, may_not): (Vec<_>, Vec<_>) = self
            .rest
            .sights
            .iter()
            .partition(|sight| sight.scope.may_read(image.acl.as_deref()));
        let subscribers = |sights: Vec<&Sight>| sights.iter().flat_map(|s| s.subscribers.iter().copied()).collect();
        tell(subscribers(may), whole);
        tell(subscribers(may_not), Content::IdOnly);
    }
}

fn part_of(query: Option<&Arc<LiveQuery>>) -> Option<&Part> {
    match query?.form() {
        Form::All => None,
        Form::Part(part) => Some(part),
    }
}

impl Window {
    /// Gives the entry that has no number yet its number.
    pub(crate) fn number(&mut self, number: u32) {
        if let Some(entry) = self.entries_mut().iter_mut().find(|entry| entry.number == UNNUMBERED) {
            entry.number = number;
        }
    }
}

/// Takes in one write for a window that nobody sees yet; its entries have no numbers.
pub(crate) fn replay(window: &mut Window, part: &Part, written: &Written<'_>, passes: bool) {
    const KNOWN: u32 = UNNUMBERED - 1;
    let image = written.image;
    let known = window.entries_mut().iter_mut().find(|entry| entry.key == image.key);
    let known = known.map(|entry| {
        entry.number = KNOWN;
        KNOWN
    });
    let after = match (passes, &written.object, &image.body) {
        (true, Some(object), Some(body)) => Some(Entry {
            place: object.place(part),
            number: UNNUMBERED,
            key: image.key.clone(),
            body: body.clone(),
        }),
        _ => None,
    };
    window.apply(part, known, after);
}

/// The entries of a window from rows in their order. A row that is no JSON is left out, which cannot happen.
pub(crate) fn entries<'r>(part: &Part, rows: impl Iterator<Item = (&'r ObjectKey, &'r Bytes)>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = rows
        .filter_map(|(key, body)| {
            let value: Value = serde_json::from_slice(body).ok()?;
            Some(Entry {
                place: part.order.position(&value).into(),
                number: UNNUMBERED,
                key: key.clone(),
                body: body.clone(),
            })
        })
        .collect();
    // As they should be already. What a window relies on, it sees to.
    entries.sort_by(|a, b| a.place.cmp(&b.place));
    entries
}
