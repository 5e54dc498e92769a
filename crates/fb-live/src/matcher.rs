//! All registered queries of one app, or one cell of them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use fb_auth::Scope;
use fb_types::{ClassName, ObjectKey, Seq};

use crate::Row;
use crate::class::{Asked, Beginning, Class};
use crate::event::{Content, Event, Operation, What};
use crate::query::{LiveQuery, Part};
use crate::retained::{Image, Limits, Retained};
use crate::view::{Sight, State, View, entries};
use crate::window::{Entry, Step, Window};

/// Whom to tell; chosen by the caller, and unique within a matcher.
pub type Subscriber = u64;

/// Registered queries, and what their results are. One cell: queries may be divided among any number of matchers that are
/// all fed with the same writes.
#[derive(Debug)]
pub struct Matcher {
    classes: HashMap<ClassName, Class>,
    subscribers: HashMap<Subscriber, Seat>,
    retained: Retained,
    /// The newest position that was fed.
    position: Seq,
    /// Results that are newer than what was fed.
    early: BTreeMap<Seq, Vec<Early>>,
    generation: u64,
    /// Memory for what is found out about writes.
    asked: Vec<Asked>,
}

/// Where a subscriber is.
#[derive(Debug, Clone)]
struct Seat {
    class: ClassName,
    view: u32,
}

#[derive(Debug)]
enum Early {
    Registration(Registration),
    Renewal(ViewId, Vec<Row>, Seq),
}

/// Leave to register a query whose first result is read from now on.
#[derive(Debug, PartialEq, Eq)]
pub struct Ticket(Seq);

/// One subscription.
#[derive(Debug)]
pub struct Registration {
    /// Whom to tell. If it is registered already, it is told how its old result becomes the new one, and goes on with that.
    pub subscriber: Subscriber,
    /// What it wants to know.
    pub query: Arc<LiveQuery>,
    /// What it may see.
    pub scope: Scope,
    /// The result of [`LiveQuery::bootstrap`] for this scope, in its order.
    pub rows: Vec<Row>,
    /// The position of the snapshot that the rows are from; read after the ticket was given out.
    pub seq: Seq,
    /// For who is registered already: true if all objects are to be told, since it sees them with other eyes. Else it is told
    /// what comes and goes.
    pub tell_all: bool,
    /// The leave.
    pub ticket: Ticket,
}

/// A view that is to be renewed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ViewId {
    class: ClassName,
    number: u32,
    generation: u64,
}

/// What is to be done after a call.
#[derive(Debug)]
pub enum Output {
    /// Tell these subscribers, in this order.
    Tell {
        /// Whom.
        to: Arc<[Subscriber]>,
        /// What.
        event: Event,
    },
    /// Read the query's [`bootstrap`](LiveQuery::bootstrap) again, and call [`Matcher::renew`].
    Renew {
        /// The view.
        view: ViewId,
        /// Its query.
        query: Arc<LiveQuery>,
        /// All who see it. If the rows are not the same for all of them, [`Matcher::part`] it.
        scopes: Vec<Scope>,
        /// True if nothing is told until it is renewed.
        is_dry: bool,
    },
}

/// A registration or renewal did not take place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Too much was written since: read the result again.
    #[error("too much was written since the result was read: read it again")]
    TooLate,
}

/// Sizes, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MatcherStats {
    /// Subscribers
    pub subscribers: usize,
    /// Distinct filters
    pub filters: usize,
    /// Filters that are asked about every write of their class
    pub scanned: usize,
    /// Paths of fields that there is room for: the greatest number that filters have named at the same time, as long as their
    /// class has any
    pub paths: usize,
    /// Views
    pub views: usize,
    /// Objects that are in some view
    pub objects: usize,
    /// Writes that are kept for those who are about to register
    pub retained: usize,
}

impl Matcher {
    /// A matcher without queries that was fed up to `position`.
    pub fn new(position: Seq, limits: Limits) -> Self {
        Self {
            classes: HashMap::new(),
            subscribers: HashMap::new(),
            retained: Retained::new(limits),
            position,
            early: BTreeMap::new(),
            generation: 0,
            asked: Vec::new(),
        }
    }

    /// The newest position that was fed.
    pub fn position(&self) -> Seq {
        self.position
    }

    /// True if it has neither queries nor anybody about to register: it need not be fed.
    pub fn is_idle(&self) -> bool {
        self.subscribers.is_empty() && self.retained.is_idle()
    }

    /// Sizes. Cost: one step per class.
    pub fn stats(&self) -> MatcherStats {
        let mut stats = MatcherStats {
            subscribers: self.subscribers.len(),
            retained: self.retained.len(),
            ..MatcherStats::default()
        };
        for class in self.classes.values() {
            stats.filters += class.n_filters();
            stats.scanned += class.n_scanned();
            stats.paths += class.room_for_paths();
            stats.views += class.n_views();
            stats.objects += class.n_objects();
        }
        stats
    }

    /// Leave to read a first result. Writes are kept until it is used or given back.
    pub fn ticket(&mut self) -> Ticket {
        self.retained.open(self.position);
        Ticket(self.position)
    }

    /// Gives a leave back that is not needed any more.
    pub fn give_back(&mut self, ticket: Ticket) {
        self.retained.close(ticket.0);
    }

    /// Registers a subscription. What it is told begins behind its rows. If these are newer than what was fed, it begins when
    /// that has come.
    ///
    /// Errors: `TooLate`; the ticket is used up then as well. Cost: linear in the rows, and in what was written since.
    pub fn register(&mut self, registration: Registration, out: &mut Vec<Output>) -> Result<(), Refused> {
        if registration.seq > self.position {
            let early = self.early.entry(registration.seq).or_default();
            early.push(Early::Registration(registration));
            return Ok(());
        }
        let ticket = registration.ticket.0;
        let done = self.install(registration, out);
        self.retained.close(ticket);
        done
    }

    /// Ends a subscription. Unknown ones are no error.
    pub fn cancel(&mut self, subscriber: Subscriber) {
        for early in self.early.values_mut() {
            early.retain(|early| match early {
                Early::Registration(registration) if registration.subscriber == subscriber => {
                    self.retained.close(registration.ticket.0);
                    false
                }
                Early::Registration(_) | Early::Renewal(..) => true,
            });
        }
        self.early.retain(|_, early| !early.is_empty());
        if let Some(seat) = self.subscribers.remove(&subscriber) {
            self.leave(&seat, subscriber);
        }
    }

    /// Feeds one committed write. Writes of one object in their order; those that come late are left out.
    pub fn write(&mut self, image: Arc<Image>, out: &mut Vec<Output>) {
        self.write_all(std::slice::from_ref(&image), out, &mut |_, _| {});
    }

    /// Feeds committed writes, to the same effect as [`Self::write`] with each of them. After each, `done` is told its place
    /// among them, and may take the output.
    ///
    /// Cost: with many queries, less than one by one: what several writes are looked up in is fetched from memory at once.
    pub fn write_all(
        &mut self,
        images: &[Arc<Image>],
        out: &mut Vec<Output>,
        done: &mut dyn FnMut(usize, &mut Vec<Output>),
    ) {
        let mut asked = std::mem::take(&mut self.asked);
        let mut at = 0;
        while let Some(first) = images.get(at) {
            if first.seq.0 > 0 {
                self.begin_early(Seq(first.seq.0 - 1), out);
            }
            // Between two writes may begin what waits for the first of them.
            let n = if self.early.is_empty() {
                together(&images[at..])
            } else {
                1
            };
            let group = &images[at..at + n];
            if asked.len() < n {
                asked.resize_with(n, Asked::default);
            }
            self.ask(group, &mut asked);
            for (image, asked) in group.iter().zip(&asked) {
                self.write_asked(image, asked, out);
                done(at, out);
                at += 1;
            }
        }
        self.asked = asked;
    }

    /// Finds out whom writes may concern, in steps that wait for memory once for all of them.
    fn ask(&self, group: &[Arc<Image>], asked: &mut [Asked]) {
        let mut each = |step: &dyn Fn(&Class, &Image, &mut Asked)| {
            for (image, asked) in group.iter().zip(asked.iter_mut()) {
                if let Some(class) = self.classes.get(&image.class) {
                    step(class, image, asked);
                }
            }
        };
        each(&|class, image, asked| class.read(image, asked));
        each(&|class, _, asked| class.touch_index(asked));
        each(&|class, _, asked| class.look_up(asked));
        each(&|class, _, asked| class.touch_filters(asked));
        each(&|class, _, asked| class.ask(asked));
    }

    fn write_asked(&mut self, image: &Arc<Image>, asked: &Asked, out: &mut Vec<Output>) {
        let class = self.classes.get_mut(&image.class);
        let is_kept = !self.retained.is_idle();
        match class {
            Some(class) => {
                if class.is_stale(image) {
                    return;
                }
                if is_kept {
                    self.retained.push(image);
                }
                let mut parted = Vec::new();
                class.write(image, asked, out, &mut parted);
                let low = class.take_low();
                self.seat_parted(&image.class, &parted);
                for view in low {
                    self.ask_once(&image.class, view, image.seq, out);
                }
            }
            None if is_kept => self.retained.push(image),
            None => {}
        }
        self.advance(image.seq, out);
    }

    /// Everything up to here was fed, or is no matter of objects.
    pub fn advance(&mut self, seq: Seq, out: &mut Vec<Output>) {
        self.position = self.position.max(seq);
        self.begin_early(self.position, out);
    }

    /// Puts a newer result in the place of a view's. The rows are those of [`LiveQuery::bootstrap`] for each of its
    /// scopes. Views that are gone are no error.
    ///
    /// Errors: `TooLate`: it is asked for again.
    pub fn renew(&mut self, view: ViewId, rows: Vec<Row>, seq: Seq, out: &mut Vec<Output>) -> Result<(), Refused> {
        if seq > self.position {
            self.early.entry(seq).or_default().push(Early::Renewal(view, rows, seq));
            return Ok(());
        }
        self.renew_now(&view, rows, seq, out)
    }

    /// Parts a view into one for each scope, and asks for a renewal of each.
    pub fn part(&mut self, view: &ViewId, out: &mut Vec<Output>) {
        if !self.is_current(view) {
            return;
        }
        let Some(class) = self.classes.get_mut(&view.class) else {
            return;
        };
        let Some(whole) = class.view_mut(view.number) else {
            return;
        };
        let Some(since) = whole.rest.ticket else { return };
        let others = whole.rest.sights.split_off(1.min(whole.rest.sights.len()));
        whole.count();
        let mut numbers = vec![view.number];
        for sight in others {
            let copy = class.copy_for(view.number, vec![sight]);
            if let Some(copied) = class.view_mut(copy) {
                copied.rest.ticket = Some(since);
                self.retained.open(since);
            }
            numbers.push(copy);
        }
        self.seat_parted(&view.class, &numbers[1..]);
        for number in numbers {
            self.ask_for(&view.class, number, out);
        }
    }

    /// What was committed up to here was not fed, and cannot be any more: whoever read its result before is too late.
    /// Those who are registered are to be cancelled.
    pub fn lose(&mut self, position: Seq) {
        self.retained.lose(position);
    }

    /// All who see a view; nobody if it is gone.
    pub fn subscribers(&self, view: &ViewId) -> Arc<[Subscriber]> {
        let known = self.classes.get(&view.class).and_then(|class| class.view(view.number));
        known
            .filter(|known| known.rest.generation == view.generation)
            .map(|known| known.all().clone())
            .unwrap_or_default()
    }

    /// False while a subscriber waits for its first result to take effect, or for a renewal.
    pub fn is_told(&self, subscriber: Subscriber) -> bool {
        let seat = self.subscribers.get(&subscriber);
        let view = seat.and_then(|seat| self.classes.get(&seat.class)?.view(seat.view));
        view.is_some_and(|view| !view.is_dry())
    }

    fn is_current(&self, view: &ViewId) -> bool {
        !self.subscribers(view).is_empty()
    }

    /// Begins what waited for this position.
    fn begin_early(&mut self, position: Seq, out: &mut Vec<Output>) {
        while let Some(entry) = self.early.first_entry() {
            if *entry.key() > position {
                return;
            }
            self.position = self.position.max(*entry.key());
            for early in entry.remove() {
                match early {
                    Early::Registration(registration) => {
                        let ticket = registration.ticket.0;
                        // Nothing was dropped that is newer than what was fed.
                        let done = self.install(registration, out);
                        debug_assert!(done.is_ok());
                        self.retained.close(ticket);
                    }
                    Early::Renewal(view, rows, seq) => {
                        let done = self.renew_now(&view, rows, seq, out);
                        debug_assert!(done.is_ok());
                    }
                }
            }
        }
    }

    fn install(&mut self, registration: Registration, out: &mut Vec<Output>) -> Result<(), Refused> {
        let Registration {
            subscriber,
            query,
            scope,
            rows,
            seq,
            tell_all,
            ticket: _,
        } = registration;
        let replayed: Vec<Arc<Image>> = match self.retained.after(seq) {
            Some(images) => images.filter(|image| image.class == *query.class()).cloned().collect(),
            None => return Err(Refused::TooLate),
        };
        let old = self.subscribers.remove(&subscriber);
        let shown = old.as_ref().map(|seat| self.shown(seat));
        let name = query.class().clone();
        let class = self.classes.entry(name.clone()).or_default();
        let bodies: HashMap<ObjectKey, Bytes> = match &shown {
            Some(_) => rows.iter().map(|row| (row.key.clone(), row.body.clone())).collect(),
            None => HashMap::new(),
        };
        let sight = Sight {
            scope: scope.clone(),
            subscribers: vec![subscriber],
        };
        let number = class.begin(Beginning {
            query,
            rows,
            seq,
            sight,
        });
        self.generation += 1;
        if let Some(view) = class.view_mut(number) {
            view.rest.generation = self.generation;
        }
        let mut told = Vec::new();
        for image in &replayed {
            // A view of one scope is not parted.
            class.replay(number, image, &mut told, &mut Vec::new());
        }
        let seat = Seat {
            class: name.clone(),
            view: number,
        };
        self.subscribers.insert(subscriber, seat.clone());
        match (old, shown) {
            (Some(old), Some(shown)) => {
                self.leave(&old, subscriber);
                let newer = Newer {
                    bodies,
                    replayed,
                    seq,
                    tell_all,
                };
                self.tell_difference(&seat, subscriber, shown, &newer, out);
            }
            _ => out.append(&mut told),
        }
        let Some(class) = self.classes.get_mut(&name) else {
            return Ok(());
        };
        class.take_low();
        if class.view(number).is_some_and(View::needs_renewal) {
            self.ask_once(&name, number, self.position, out);
            return Ok(());
        }
        if let Some(twin) = class.twin(number) {
            class.remove_view(number);
            if let Some(view) = class.view_mut(twin) {
                view.add(&scope, subscriber);
            }
            if let Some(seat) = self.subscribers.get_mut(&subscriber) {
                seat.view = twin;
            }
        }
        Ok(())
    }

    fn leave(&mut self, seat: &Seat, subscriber: Subscriber) {
        let Some(class) = self.classes.get_mut(&seat.class) else {
            return;
        };
        let Some(view) = class.view_mut(seat.view) else { return };
        for sight in &mut view.rest.sights {
            sight.subscribers.retain(|known| *known != subscriber);
        }
        view.rest.sights.retain(|sight| !sight.subscribers.is_empty());
        view.count();
        if view.rest.sights.is_empty() {
            let gone = class.remove_view(seat.view);
            if let Some(ticket) = gone.and_then(|view| view.rest.ticket) {
                self.retained.close(ticket);
            }
            if class.is_empty() {
                self.classes.remove(&seat.class);
            }
        }
    }

    /// Subscribers of views that came out of others sit there now.
    fn seat_parted(&mut self, class: &ClassName, parted: &[u32]) {
        for number in parted {
            self.generation += 1;
            let view = self.classes.get_mut(class).and_then(|class| class.view_mut(*number));
            let Some(view) = view else { continue };
            view.rest.generation = self.generation;
            for subscriber in view.all().iter() {
                if let Some(seat) = self.subscribers.get_mut(subscriber) {
                    seat.view = *number;
                }
            }
        }
    }

    /// Asks for a renewal of a view that a write left with too little, unless it was asked for.
    fn ask_once(&mut self, class: &ClassName, number: u32, seq: Seq, out: &mut Vec<Output>) {
        let view = self.classes.get_mut(class).and_then(|class| class.view_mut(number));
        let Some(view) = view else { return };
        if view.rest.ticket.is_none() {
            view.rest.ticket = Some(seq);
            self.retained.open(seq);
            // What was too little once will be too little again. Rows that were read for less of it say nothing about more.
            if let Some(more) = view.rest.query.as_ref().and_then(|query| query.with_more_slack()) {
                view.rest.query = Some(Arc::new(more));
                self.generation += 1;
                view.rest.generation = self.generation;
            }
        } else if !view.is_dry() {
            return;
        }
        self.ask_for(class, number, out);
    }

    fn ask_for(&self, class: &ClassName, number: u32, out: &mut Vec<Output>) {
        let view = self.classes.get(class).and_then(|class| class.view(number));
        if let Some(view) = view
            && let Some(query) = &view.rest.query
        {
            out.push(Output::Renew {
                view: ViewId {
                    class: class.clone(),
                    number,
                    generation: view.rest.generation,
                },
                query: query.clone(),
                scopes: view.rest.sights.iter().map(|sight| sight.scope.clone()).collect(),
                is_dry: view.is_dry(),
            });
        }
    }

    fn renew_now(&mut self, id: &ViewId, rows: Vec<Row>, seq: Seq, out: &mut Vec<Output>) -> Result<(), Refused> {
        if !self.is_current(id) {
            return Ok(());
        }
        let Some(class) = self.classes.get_mut(&id.class) else {
            return Ok(());
        };
        let Some(view) = class.view(id.number) else {
            return Ok(());
        };
        let (Some(ticket), Some(part)) = (view.rest.ticket, view.part()) else {
            return Ok(());
        };
        let kept = self.retained.after(seq.min(ticket));
        let of_class = |image: &&Arc<Image>| image.class == id.class;
        let Some(images) = kept.map(|images| images.filter(of_class).cloned().collect::<Vec<_>>()) else {
            // What was kept from its position on is not whole any more; from now on it is.
            self.reopen(id);
            self.ask_for(&id.class, id.number, out);
            return Err(Refused::TooLate);
        };
        let behind = |image: &&Arc<Image>| image.seq > seq;
        let disagree = images.iter().filter(behind).any(|image| {
            let acl = image.acl.as_deref();
            let mut may = view.rest.sights.iter().map(|sight| sight.scope.may_read(acl));
            let first = may.next();
            may.any(|other| Some(other) != first)
        });
        if disagree {
            self.part(id, out);
            return Ok(());
        }
        let (part, shown) = (
            part.clone(),
            match &view.state {
                State::Dry(shown) => shown.to_vec(),
                State::Part(window) => window.visible(part).to_vec(),
                State::All(_) => return Ok(()),
            },
        );
        // The new window by itself, up to the present.
        let mut window = Window::new(&part, entries(&part, rows.iter().map(|row| (&row.key, &row.body))));
        for image in images.iter().filter(behind) {
            class.replay_on(&mut window, id.number, image);
        }
        if window.is_dry(&part) {
            self.reopen(id);
            self.ask_for(&id.class, id.number, out);
            return Ok(());
        }
        let steps = window.steps_from(&part, &shown);
        let position = self.position;
        class.replace(id.number, window, seq);
        if let Some(view) = class.view_mut(id.number) {
            view.rest.ticket = None;
            view.tell_renewed(steps, &part, position, &images, out);
        }
        self.retained.close(ticket);
        if self
            .classes
            .get(&id.class)
            .and_then(|c| c.view(id.number))
            .is_some_and(|v| v.needs_renewal())
        {
            self.ask_once(&id.class, id.number, position, out);
        }
        Ok(())
    }

    /// The renewal of a view begins anew at the present.
    fn reopen(&mut self, id: &ViewId) {
        let view = self
            .classes
            .get_mut(&id.class)
            .and_then(|class| class.view_mut(id.number));
        if let Some(view) = view
            && let Some(ticket) = view.rest.ticket.replace(self.position)
        {
            self.retained.open(self.position);
            self.retained.close(ticket);
        }
    }

    /// What a subscriber was shown so far.
    fn shown(&self, seat: &Seat) -> Shown {
        let class = self.classes.get(&seat.class);
        let view = class.and_then(|class| class.view(seat.view));
        match (class, view.map(|view| &view.state)) {
            (Some(class), Some(State::All(members))) => Shown::All(class.keys_of(members)),
            (_, Some(State::Dry(shown))) => Shown::Part(shown.to_vec()),
            (_, Some(State::Part(window))) => {
                let part = view.and_then(|view| view.part());
                Shown::Part(part.map_or_else(Vec::new, |part| window.visible(part).to_vec()))
            }
            _ => Shown::All(HashSet::new()),
        }
    }

    /// Tells one subscriber how what it was shown becomes what its new view shows.
    fn tell_difference(
        &mut self,
        seat: &Seat,
        subscriber: Subscriber,
        shown: Shown,
        newer: &Newer,
        out: &mut Vec<Output>,
    ) {
        let Some(class) = self.classes.get_mut(&seat.class) else {
            return;
        };
        let position = self.position;
        let mut tell = |what, index, key: &ObjectKey, content| {
            out.push(Output::Tell {
                to: Arc::new([subscriber]),
                event: Event {
                    seq: position.max(newer.seq),
                    what,
                    operation: Operation::None,
                    index,
                    key: key.clone(),
                    content,
                },
            });
        };
        let Some(view) = class.view(seat.view) else { return };
        match (&view.state, shown) {
            (State::All(members), Shown::All(shown)) => {
                let now = class.keys_of(members);
                for gone in shown.difference(&now) {
                    tell(What::Remove, None, gone, Content::IdOnly);
                }
                for key in &now {
                    let what = match shown.contains(key) {
                        true if newer.tell_all => What::Change,
                        true => continue,
                        false => What::Add,
                    };
                    if let Some(body) = newer.body(key) {
                        tell(what, None, key, Content::Whole(body));
                    }
                }
            }
            (State::Part(window), Shown::Part(shown)) => {
                let Some(part) = view.part() else { return };
                let steps = window.steps_from(part, &shown);
                let is_told = |entry: &Entry| steps.iter().any(|step| step.entry.key == entry.key);
                let untold: Vec<(usize, Entry)> = match newer.tell_all {
                    true => {
                        let all = window.visible(part).iter().cloned().enumerate();
                        all.filter(|(_, entry)| !is_told(entry)).collect()
                    }
                    false => Vec::new(),
                };
                for step in steps {
                    let index = (part.is_sorted && step.what != What::Remove).then_some(step.index);
                    let content = match step.what {
                        What::Remove => Content::IdOnly,
                        What::Add | What::Change | What::ChangeIndex => Content::Whole(step.entry.body),
                    };
                    let what = match step.what {
                        What::ChangeIndex if !part.is_sorted => continue,
                        what => what,
                    };
                    tell(what, index, &step.entry.key, content);
                }
                for (index, entry) in untold {
                    let index = part.is_sorted.then_some(index);
                    tell(What::Change, index, &entry.key, Content::Whole(entry.body));
                }
            }
            (State::Dry(_), Shown::Part(shown)) => {
                if let Some(view) = class.view_mut(seat.view) {
                    view.state = State::Dry(shown.into());
                }
            }
            // The same query is of the same kind.
            _ => debug_assert!(false, "a registration with another query"),
        }
    }
}

/// At most so many writes are looked up together, and so many bytes of them: what is known of them is to be near.
const TOGETHER: (usize, usize) = (32, 64 << 10);

/// How many of these writes are looked up together. At least one.
fn together(images: &[Arc<Image>]) -> usize {
    let mut room = TOGETHER.1;
    let fits = |image: &&Arc<Image>| {
        let n = image.body.as_ref().map_or(0, Bytes::len);
        let fits = n <= room;
        room = room.saturating_sub(n);
        fits
    };
    images.iter().take(TOGETHER.0).take_while(fits).count().max(1)
}

/// What a subscriber's new view was made of.
struct Newer {
    bodies: HashMap<ObjectKey, Bytes>,
    replayed: Vec<Arc<Image>>,
    seq: Seq,
    tell_all: bool,
}

impl Newer {
    /// An object as it is now.
    fn body(&self, key: &ObjectKey) -> Option<Bytes> {
        let written = self.replayed.iter().rev().find(|image| image.key == *key);
        let body = written.and_then(|image| image.body.clone());
        body.or_else(|| self.bodies.get(key).cloned())
    }
}

enum Shown {
    All(HashSet<ObjectKey>),
    Part(Vec<Entry>),
}

impl View {
    /// Tells all subscribers what a renewal changed. `images` are the writes since it was asked for.
    fn tell_renewed(&self, steps: Vec<Step>, part: &Part, seq: Seq, images: &[Arc<Image>], out: &mut Vec<Output>) {
        for step in steps {
            if step.what == What::ChangeIndex && !part.is_sorted {
                continue;
            }
            let written = images.iter().rev().find(|image| image.key == step.entry.key);
            let is_gone = step.what == What::Remove;
            let may_read = |image: &&Arc<Image>| {
                self.rest
                    .sights
                    .iter()
                    .all(|sight| sight.scope.may_read(image.acl.as_deref()))
            };
            let content = match written {
                Some(image) if is_gone => match image.body.clone().filter(|_| may_read(&image)) {
                    Some(body) => Content::Whole(body),
                    None => Content::IdOnly,
                },
                _ => Content::Whole(step.entry.body),
            };
            out.push(Output::Tell {
                to: self.all(),
                event: Event {
                    seq,
                    what: step.what,
                    operation: written.map_or(Operation::None, |image| image.kind.into()),
                    index: (part.is_sorted && !is_gone).then_some(step.index),
                    key: step.entry.key,
                    content,
                },
            });
        }
    }
}
