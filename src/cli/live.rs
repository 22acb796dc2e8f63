//! What the live page and `mstar watch` need of the store: the log, the report so far, samples.

use super::commands::report_so_far;
use super::exit::{Exit, Trouble};
use super::planning::{PlannedGraph, of_store};
use super::printer::Printer;
use super::samples::samples;
use crate::event::{Event, Record, Tail};
use crate::live::{ServeError, Server, Source, Status, text};
use crate::report::{SampleView, Study};
use crate::store::{Run, Store};
use std::net::TcpListener;

/// Takes the port of a live page, before anything else is done.
pub(crate) fn listen(port: Option<u16>) -> Result<TcpListener, Trouble> {
    Server::listen(port.unwrap_or(0)).map_err(|error| of_server(&error))
}

/// Serves the live page of a run.
pub(crate) fn serve(listener: TcpListener, store: &Store, run: &Run) -> Result<Server, Trouble> {
    let (of, from) = (store.clone(), run.clone());
    let report = Box::new(move || report_so_far(&of, &from).ok());
    let source = Source { store: store.clone(), run: run.clone(), report };
    Server::start_on(listener, source).map_err(|error| of_server(&error))
}

fn of_server(error: &ServeError) -> Trouble {
    Trouble::from_hint(error, Exit::Wrong)
}

/// A run that is watched in a terminal.
pub(crate) struct Watched {
    store: Store,
    run: Run,
    tail: Tail,
    pub(crate) status: Status,
    /// What a report is made of: everything but progress.
    records: Vec<Record>,
    /// Of how many records the study is.
    study: (usize, Study),
    samples: Vec<SampleView>,
}

impl Watched {
    pub(crate) fn new(store: Store, run: Run) -> Self {
        let (tail, status) = (Tail::default(), Status::default());
        let (records, samples) = (Vec::new(), Vec::new());
        Self { store, run, tail, status, records, study: (0, Study::default()), samples }
    }

    /// The run.
    pub(crate) fn run(&self) -> &Run {
        &self.run
    }

    /// Reads what is new in the log.
    pub(crate) fn look(&mut self) -> Result<Vec<Record>, Trouble> {
        let bytes = self.run.events_from(self.tail.offset()).map_err(of_store)?;
        let records: Vec<Record> =
            self.tail.take(&bytes).into_iter().map(|(_, record)| record).collect();
        for record in &records {
            self.status.take(record);
            if !matches!(record.event, Event::StageProgress { .. }) {
                self.records.push(record.clone());
            }
        }
        Ok(records)
    }

    /// Whether somebody carries the run out.
    pub(crate) fn is_living(&self) -> Result<bool, Trouble> {
        Ok(self.status.ended.is_none() && self.store.is_living(&self.run).map_err(of_store)?)
    }

    /// The run so far in words.
    pub(crate) fn text(&mut self, is_living: bool) -> String {
        if self.study.0 != self.records.len() {
            self.study = (self.records.len(), Study::read(&self.records));
            // A sample that cannot be read is no reason not to show the rest.
            let planned = PlannedGraph::read(&self.run);
            let found = planned.and_then(|planned| samples(&self.store, &planned.graph));
            self.samples = found.unwrap_or_default();
        }
        text(&self.status, &self.study.1, &self.samples, is_living)
    }

    /// Says what of the log could not be read.
    pub(crate) fn tell_unreadable(&self, printer: Printer) {
        match self.tail.unreadable() {
            0 => {}
            1 => printer.talk("1 line of the log cannot be read and is passed over"),
            lines => printer.talk(&format!("{lines} lines of the log cannot be read")),
        }
    }
}
