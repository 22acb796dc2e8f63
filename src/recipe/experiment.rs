//! Experiments: a base recipe and the axes along which its members differ.

mod table;

pub use table::TableSpec;
