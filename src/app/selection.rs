//! Which photos are selected. Selection goes by photo, not by place, so that it survives a list that grows.

use std::collections::HashSet;

use crate::domain::PhotoId;

/// The selected photos; the lead is the one that the inspector shows.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    chosen: HashSet<PhotoId>,
    lead: Option<PhotoId>,
    /// Where a range with shift begins.
    anchor: Option<PhotoId>,
    /// What was selected before a rubber band began that adds to it.
    before_band: HashSet<PhotoId>,
}

impl Selection {
    pub fn contains(&self, photo: PhotoId) -> bool {
        self.chosen.contains(&photo)
    }

    pub fn len(&self) -> usize {
        self.chosen.len()
    }

    pub fn is_empty(&self) -> bool {
        self.chosen.is_empty()
    }

    /// The photo that was chosen last.
    pub fn lead(&self) -> Option<PhotoId> {
        self.lead
    }

    /// The selected photos in the order of the list.
    pub fn in_order<'a>(&'a self, list: &'a [PhotoId]) -> impl Iterator<Item = PhotoId> + 'a {
        list.iter().copied().filter(|id| self.chosen.contains(id))
    }

    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// This one alone (a click).
    pub fn only(&mut self, photo: PhotoId) {
        self.chosen.clear();
        self.chosen.insert(photo);
        self.lead = Some(photo);
        self.anchor = Some(photo);
    }

    /// In or out (ctrl-click).
    pub fn toggle(&mut self, photo: PhotoId) {
        if self.chosen.insert(photo) {
            self.lead = Some(photo);
        } else {
            self.chosen.remove(&photo);
            if self.lead == Some(photo) {
                self.lead = self.chosen.iter().min().copied();
            }
        }
        self.anchor = Some(photo);
    }

    /// From the anchor to here (shift-click).
    pub fn range_to(&mut self, list: &[PhotoId], photo: PhotoId) {
        let place = |id| list.iter().position(|&other| other == id);
        let (Some(from), Some(to)) = (self.anchor.and_then(place), place(photo)) else {
            return self.only(photo);
        };
        self.chosen = list[from.min(to)..=from.max(to)].iter().copied().collect();
        self.lead = Some(photo);
    }

    pub fn all(&mut self, list: &[PhotoId]) {
        self.chosen = list.iter().copied().collect();
        self.lead = self.lead.or(list.first().copied());
    }

    /// A rubber band begins; with `add` it keeps what is selected.
    pub fn band_start(&mut self, add: bool) {
        self.before_band = if add { self.chosen.clone() } else { HashSet::new() };
    }

    /// The rubber band spans these now.
    pub fn band(&mut self, spanned: &[PhotoId]) {
        self.chosen.clone_from(&self.before_band);
        self.chosen.extend(spanned);
        if self.lead.is_none_or(|lead| !self.chosen.contains(&lead)) {
            self.lead = spanned.last().copied().or_else(|| self.chosen.iter().min().copied());
            self.anchor = self.lead;
        }
    }

    /// The list changed: what is no longer in it cannot stay selected.
    pub fn retain(&mut self, list: &[PhotoId]) {
        if self.chosen.is_empty() {
            return;
        }
        self.chosen = self.in_order(list).collect();
        for one in [&mut self.lead, &mut self.anchor] {
            *one = one.filter(|id| self.chosen.contains(id));
        }
        self.lead = self.lead.or_else(|| self.chosen.iter().min().copied());
    }

    /// The lead moves by so many places (arrow keys); with `extend` the range grows. Gives its new place.
    pub fn step(&mut self, list: &[PhotoId], by: isize, extend: bool) -> Option<usize> {
        let last = list.len().checked_sub(1)?;
        let place = self.lead.and_then(|lead| list.iter().position(|&id| id == lead));
        let to = place.map_or(0, |at| at.saturating_add_signed(by).min(last));
        if extend {
            self.range_to(list, list[to])
        } else {
            self.only(list[to])
        }
        Some(to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn list<const N: usize>() -> [PhotoId; N] {
        let mut ids = [PhotoId(0); N];
        let mut i = 0;
        while i < N {
            ids[i] = PhotoId(i as i64 + 10);
            i += 1;
        }
        ids
    }

    #[test]
    fn clicks_as_in_a_file_manager() {
        let ids = list::<6>();
        let mut s = Selection::default();
        s.only(ids[1]);
        s.range_to(&ids, ids[4]);
        assert_eq!(s.in_order(&ids).collect::<Vec<_>>(), ids[1..=4]);
        // The anchor stays where the range began.
        s.range_to(&ids, ids[0]);
        assert_eq!(s.in_order(&ids).collect::<Vec<_>>(), ids[..=1]);
        s.toggle(ids[5]);
        assert_eq!((s.len(), s.lead()), (3, Some(ids[5])));
        s.toggle(ids[5]);
        assert!(s.len() == 2 && s.lead().is_some_and(|lead| s.contains(lead)));
        s.all(&ids);
        assert_eq!(s.len(), 6);
    }

    #[test]
    fn arrows_stop_at_the_ends() {
        let ids = list::<5>();
        let mut s = Selection::default();
        assert_eq!(s.step(&ids, 1, false), Some(0));
        assert_eq!(s.step(&ids, -1, false), Some(0));
        assert_eq!(s.step(&ids, 100, false), Some(4));
        s.step(&ids, -2, true);
        assert_eq!(s.in_order(&ids).collect::<Vec<_>>(), ids[2..]);
        assert_eq!(Selection::default().step(&[], 1, false), None);
    }

    #[test]
    fn a_band_adds_or_replaces_and_can_shrink_again() {
        let ids = list::<5>();
        let mut s = Selection::default();
        s.only(ids[0]);
        s.band_start(true);
        s.band(&ids[2..4]);
        assert_eq!(s.len(), 3);
        s.band(&ids[2..3]);
        assert_eq!(s.in_order(&ids).collect::<Vec<_>>(), [ids[0], ids[2]]);
        s.band_start(false);
        s.band(&[]);
        assert!(s.is_empty() && s.lead().is_none());
    }

    #[test]
    fn a_new_list_keeps_what_is_still_there() {
        let ids = list::<5>();
        let mut s = Selection::default();
        s.all(&ids);
        s.retain(&ids[3..]);
        assert_eq!(s.len(), 2);
        assert!(s.lead().is_some_and(|lead| s.contains(lead)));
        s.retain(&[]);
        assert!(s.is_empty() && s.lead().is_none());
    }
}
