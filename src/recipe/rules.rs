use crate::{base::Fault, recipe::Resolved};
pub(super) fn check(_: &Resolved) -> Vec<Fault> {
    Vec::new()
}
