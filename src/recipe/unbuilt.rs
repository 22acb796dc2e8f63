//! What the language can say and the engine cannot do yet, refused by name before anything runs.
//!
//! What has its stages and no engine behind them can be checked and planned, and only a run refuses it.
//! A line goes when its feature comes, and the file with the last one.

use crate::{
    base::{Fault, Place},
    recipe::Recipe,
};

/// A key, whether its value is not built, what that is, and the way out.
type Line = (&'static str, bool, &'static str, &'static str);

/// Every key of a recipe whose value can be planned and not run yet; `place` says where it is
/// written.
pub fn planned_only(recipe: &Recipe, place: &dyn Fn(&str) -> Option<Place>) -> Vec<Fault> {
    faults(
        place,
        &[(
            "data.source",
            recipe.data.source == "mathv360k",
            "pictures that come in an archive",
            "bring it by `mstar fetch mathv360k`, unpack `data_images.zip` in a folder beside the \
                 `.json`, and write `mathv360k:FOLDER`",
        )],
    )
}

fn faults(place: &dyn Fn(&str) -> Option<Place>, lines: &[Line]) -> Vec<Fault> {
    let fault = |(key, _, what, hint): &Line| Fault {
        code: "not-built-yet",
        message: format!("not built yet: {what} (`{key}`)"),
        hint: Some((*hint).to_owned()),
        place: place(key),
    };
    lines.iter().filter(|(_, is_asked_for, ..)| *is_asked_for).map(fault).collect()
}
