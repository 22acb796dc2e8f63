//! Everything that is tested through the public interface, in one binary.

mod report_page;
mod report_study;
mod study_log;
