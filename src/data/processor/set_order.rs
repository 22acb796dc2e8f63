//! The order in which CPython goes through a set of pairs of small integers.
//!
//! It follows from the hash of a tuple, from linear probing in short runs, and from when the table
//! grows; it has been the same since Python 3.8 and on every machine of 64 bits.

const PRIME_1: u64 = 11_400_714_785_074_694_791;
const PRIME_2: u64 = 14_029_467_366_897_019_727;
const PRIME_5: u64 = 2_870_177_450_012_600_261;
/// Neighbours that are looked at before the hash is mixed again.
const PROBES: usize = 9;

fn hash(pair: (u32, u32)) -> u64 {
    let mut sum = PRIME_5;
    for item in [pair.0, pair.1] {
        sum = sum.wrapping_add(u64::from(item).wrapping_mul(PRIME_2));
        sum = sum.rotate_left(31).wrapping_mul(PRIME_1);
    }
    sum.wrapping_add(2 ^ (PRIME_5 ^ 3_527_539))
}

struct Table {
    slots: Vec<Option<(u32, u32)>>,
    used: usize,
}

impl Table {
    fn insert(&mut self, pair: (u32, u32)) {
        let mask = self.slots.len() - 1;
        let hash = hash(pair);
        let (mut at, mut rest) = (hash as usize & mask, hash);
        loop {
            let run = if at + PROBES <= mask { PROBES } else { 0 };
            for slot in &mut self.slots[at..=at + run] {
                match slot {
                    Some(there) if *there == pair => return,
                    Some(_) => {}
                    None => {
                        *slot = Some(pair);
                        self.used += 1;
                        return;
                    }
                }
            }
            rest >>= 5;
            at = at.wrapping_mul(5).wrapping_add(1).wrapping_add(rest as usize) & mask;
        }
    }
}

/// The pairs, each once, in the order of the set that they were added to one by one.
pub(super) fn set_order(pairs: &[(u32, u32)]) -> Vec<(u32, u32)> {
    let mut table = Table { slots: vec![None; 8], used: 0 };
    for &pair in pairs {
        let before = table.used;
        table.insert(pair);
        if table.used > before && table.used * 5 >= (table.slots.len() - 1) * 3 {
            let mut size = 8;
            while size <= table.used * 4 {
                size *= 2;
            }
            let mut larger = Table { slots: vec![None; size], used: 0 };
            table.slots.iter().flatten().for_each(|&pair| larger.insert(pair));
            table = larger;
        }
    }
    table.slots.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_cpythons() {
        // `list({(i, j) for i in range(1, 4) for j in range(1, 4)})`.
        let pairs: Vec<_> = (1..4).flat_map(|i| (1..4).map(move |j| (i, j))).collect();
        let order = set_order(&pairs);
        let expected = [(1, 2), (2, 1), (3, 1), (1, 1), (2, 3), (3, 3), (2, 2), (3, 2), (1, 3)];
        assert_eq!(order, expected);
    }
}
