//! How often the user asked to stop.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

/// Counts interrupts: after the first a run stops at the next safe point, after the second at once.
#[derive(Clone, Debug, Default)]
pub struct Interrupts(Arc<AtomicU32>);

impl Interrupts {
    /// Counts Ctrl-C, and the signals with which systems end a process. Once in a process.
    ///
    /// # Errors
    /// When a handler is there already or the system refuses.
    pub fn install() -> Result<Self, ctrlc::Error> {
        let interrupts = Self::default();
        let counted = interrupts.clone();
        ctrlc::set_handler(move || counted.interrupt())?;
        Ok(interrupts)
    }

    /// Asks to stop, as Ctrl-C does.
    pub fn interrupt(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}
