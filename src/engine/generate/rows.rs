//! Who sits where: row slots, and groups of seats for the samples of a prompt.

use crate::base::Seed;

/// A response that grows.
pub(super) struct Row {
    /// Its prompt's place in the list of prompts.
    pub prompt: usize,
    /// Its place among the samples of the prompt.
    pub seat: usize,
    /// The noise of its prompt.
    pub noise: Seed,
    /// What has been drawn, at least one token.
    pub tokens: Vec<i64>,
}

enum Slot {
    Free,
    /// A seat, and its row unless that is being worked on.
    Taken(i64, Option<Row>),
}

/// Row slots and groups.
pub(super) struct Table {
    slots: Vec<Slot>,
    /// Rows in each group; `None` for a free group.
    groups: Vec<Option<usize>>,
    samples: usize,
    live: usize,
}

impl Table {
    pub(super) fn new(rows: usize, groups: usize, samples: usize) -> Self {
        let slots = (0..rows).map(|_| Slot::Free).collect();
        Self { slots, groups: vec![None; groups], samples, live: 0 }
    }

    /// Rows that grow.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// How many prompts fit at most.
    pub(super) fn capacity(&self) -> usize {
        self.slots.len() / self.samples
    }

    /// How many more prompts fit now.
    pub(super) fn room(&self) -> usize {
        let free_groups = self.groups.iter().filter(|group| group.is_none()).count();
        free_groups.min((self.slots.len() - self.live) / self.samples)
    }

    pub(super) fn take_group(&mut self) -> i64 {
        let free = self.groups.iter().position(Option::is_none);
        let group = free.expect("no more prompts are let in than there is room for");
        self.groups[group] = Some(0);
        group as i64
    }

    /// Frees a group whose rows all ended with their first token.
    pub(super) fn close_if_empty(&mut self, group: i64) {
        let rows = &mut self.groups[group as usize];
        if *rows == Some(0) {
            *rows = None;
        }
    }

    /// Gives a row of `group` a slot.
    pub(super) fn seat(&mut self, group: i64, row: Row) -> i64 {
        let free = self.slots.iter().position(|slot| matches!(slot, Slot::Free));
        let slot = free.expect("no more prompts are let in than there is room for");
        let seat = group * self.samples as i64 + row.seat as i64;
        self.slots[slot] = Slot::Taken(seat, Some(row));
        self.groups[group as usize] = self.groups[group as usize].map(|rows| rows + 1);
        self.live += 1;
        slot as i64
    }

    /// Takes a row out to work on it; [`Table::put_back`] or [`Table::leave`] follows.
    pub(super) fn take(&mut self, slot: usize) -> Option<Row> {
        match self.slots.get_mut(slot) {
            Some(Slot::Taken(_, row)) => row.take(),
            _ => None,
        }
    }

    pub(super) fn put_back(&mut self, slot: usize, row: Row) {
        if let Slot::Taken(_, place) = &mut self.slots[slot] {
            *place = Some(row);
        }
    }

    pub(super) fn leave(&mut self, slot: usize) {
        if let Slot::Taken(seat, _) = self.slots[slot] {
            let group = &mut self.groups[seat as usize / self.samples];
            *group = group.map(|rows| rows - 1).filter(|&rows| rows > 0);
            self.live -= 1;
        }
        self.slots[slot] = Slot::Free;
    }

    /// The rows that grow, with their slots.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Row)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| match slot {
            Slot::Taken(_, Some(row)) => Some((index, row)),
            _ => None,
        })
    }

    /// Slots up to the last one taken.
    pub(super) fn used_rows(&self) -> usize {
        self.slots.iter().rposition(|slot| matches!(slot, Slot::Taken(..))).map_or(0, |i| i + 1)
    }

    fn used_groups(&self) -> usize {
        self.groups.iter().rposition(Option::is_some).map_or(0, |index| index + 1)
    }

    /// The seat of each of the first `rows` slots, and the row of each seat in use; free slots and
    /// empty seats say 0, and nobody reads what comes of them.
    pub(super) fn seating(&self, rows: usize) -> (Vec<i64>, Vec<i64>) {
        let mut seats = vec![0; rows];
        let mut seated = vec![0; self.used_groups() * self.samples];
        for (index, slot) in self.slots.iter().enumerate() {
            if let Slot::Taken(seat, _) = slot {
                seats[index] = *seat;
                seated[*seat as usize] = index as i64;
            }
        }
        (seats, seated)
    }

    /// Whether a quarter of the slots that a step works on are free.
    pub(super) fn is_sparse(&self) -> bool {
        self.live * 4 < self.used_rows() * 3 && self.used_rows() > 16
    }

    /// Moves rows and groups to the front; gives, for each new place, the old one.
    pub(super) fn compact(&mut self) -> (Vec<i64>, Vec<i64>) {
        let groups: Vec<usize> =
            (0..self.groups.len()).filter(|&group| self.groups[group].is_some()).collect();
        let mut new_group = vec![0; self.groups.len()];
        for (new, &old) in groups.iter().enumerate() {
            new_group[old] = new;
        }
        let counts: Vec<Option<usize>> = groups.iter().map(|&group| self.groups[group]).collect();
        self.groups.fill(None);
        self.groups[..counts.len()].copy_from_slice(&counts);
        let mut rows = Vec::new();
        for old in 0..self.slots.len() {
            if let Slot::Taken(seat, row) = std::mem::replace(&mut self.slots[old], Slot::Free) {
                let (group, place) = (seat as usize / self.samples, seat as usize % self.samples);
                let seat = (new_group[group] * self.samples + place) as i64;
                self.slots[rows.len()] = Slot::Taken(seat, row);
                rows.push(old as i64);
            }
        }
        (rows, groups.into_iter().map(|group| group as i64).collect())
    }
}
