//! Everything that is tested from outside, in one binary.

mod bad_recipes;
mod recipe_properties;
