//! What a write changes for the views of its class.

use fb_query::Parsed;

use super::{Asked, Class, Stand};
use crate::matcher::Output;
use crate::retained::Image;
use crate::view::{Object, Written};

impl Class {
    /// True if a later write of the same object was seen already; else this one is the latest.
    pub(crate) fn is_stale(&mut self, image: &Image) -> bool {
        self.latest.is_stale(&image.key, image.seq)
    }

    /// Takes in one write of which everything was asked since filters were changed. `parted` is told of views that came out
    /// of others.
    pub(crate) fn write(&mut self, image: &Image, asked: &Asked, out: &mut Vec<Output>, parted: &mut Vec<u32>) {
        // Taken out for as long as what is read with them is needed.
        let slots = std::mem::take(&mut self.slots);
        let fields = asked.parsed.as_ref().map(Parsed::fields);
        let written = Written {
            image,
            object: fields.as_ref().map(|fields| Object::new(&slots, fields)),
            number: self.objects.number(&image.key),
        };
        let mut members = std::mem::take(&mut self.members);
        members.clear();
        if let Some(number) = written.number {
            members.extend_from_slice(self.objects.views(number));
        }
        members.sort_unstable();
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        for number in &asked.filters {
            if let Some(Stand {
                filter: Some(filter), ..
            }) = self.stands.get(*number as usize)
            {
                found.extend_from_slice(filter.views.as_slice());
            }
        }
        found.sort_unstable();
        for view in &found {
            let is_member = members.binary_search(view).is_ok();
            self.deal_with(*view, &written, is_member, true, out, parted);
        }
        // What is left did contain the object and does not any more.
        for view in members.iter().filter(|view| found.binary_search(view).is_err()) {
            self.deal_with(*view, &written, true, false, out, parted);
        }
        self.found = found;
        self.members = members;
        self.slots = slots;
    }

    pub(super) fn deal_with(
        &mut self,
        number: u32,
        written: &Written<'_>,
        is_member: bool,
        passes: bool,
        out: &mut Vec<Output>,
        parted: &mut Vec<u32>,
    ) {
        let Some(view) = self.view_mut(number) else { return };
        if written.image.seq <= view.since || view.is_dry() || !passes && !is_member {
            return;
        }
        let acl = written.image.acl.as_deref();
        let mut passes = passes;
        if passes && acl.is_some() {
            let may: Vec<bool> = view.rest.sights.iter().map(|sight| sight.scope.may_read(acl)).collect();
            passes = may.iter().any(|may| *may);
            if passes && may.iter().any(|may| !may) {
                let mut verdicts = may.iter();
                let (seeing, others) = std::mem::take(&mut view.rest.sights)
                    .into_iter()
                    .partition(|_| verdicts.next().copied().unwrap_or_default());
                view.rest.sights = seeing;
                view.count();
                let other = self.copy_for(number, others);
                parted.push(other);
                self.apply(other, written, is_member, false, out);
            }
        }
        self.apply(number, written, is_member, passes, out);
    }

    fn apply(&mut self, number: u32, written: &Written<'_>, is_member: bool, passes: bool, out: &mut Vec<Output>) {
        if let Some(Stand { view: Some(view), .. }) = self.stands.get_mut(number as usize) {
            view.apply(number, &mut self.objects, written, is_member, passes, out);
            if view.needs_renewal() {
                self.low.push(number);
            }
        }
    }

    /// The views that were found to need a renewal since this was last asked.
    pub(crate) fn take_low(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.low)
    }
}
