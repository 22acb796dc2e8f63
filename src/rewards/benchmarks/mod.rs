//! The rules by which benchmarks judge a response, as their own programs apply them: what of a text
//! is its answer, what form the answer takes, and whether it is right. Quirks are kept, since
//! published numbers come with them; each is named where it is.

mod m3cot;
mod mathvista;
mod options;
mod python;

pub use m3cot::{FAILED, m3cot_option};
pub use mathvista::{AnswerType, Problem};
pub use options::{Options, UNANSWERABLE, infer_option};
pub use python::repr as float_as_python_writes_it;
