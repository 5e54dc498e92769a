//! How writes come in, one by one or many at once.

use std::sync::Arc;

use bytes::Bytes;
use fb_types::Seq;

use super::{Early, Matcher, Output};
use crate::class::{Asked, Class};
use crate::retained::Image;

impl Matcher {
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
