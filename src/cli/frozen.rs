//! What the members of a run resolved to, as its record keeps it: enough to plan it again.

use crate::plan::Member;
use crate::recipe::Recipe;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::rc::Rc;

/// The recipes of members, in their order. What they share is kept once, since members of a large
/// experiment differ in little.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct FrozenRecipes {
    /// The recipe of the first.
    first: Map<String, Value>,
    /// Of each, the top-level keys in which it differs from the first.
    own: Vec<Map<String, Value>>,
}

impl FrozenRecipes {
    pub(crate) fn of(members: &[Member]) -> Self {
        let mut recipes = members.iter().map(|member| to_map(&member.recipe));
        let Some(first) = recipes.next() else { return Self::default() };
        let different = |mut recipe: Map<String, Value>| {
            recipe.retain(|key, value| first.get(key) != Some(value));
            recipe
        };
        let own = std::iter::once(Map::new()).chain(recipes.map(different)).collect();
        Self { first, own }
    }

    /// The recipes as tables.
    pub(crate) fn tables(&self) -> impl Iterator<Item = Rc<Map<String, Value>>> {
        self.own.iter().map(|own| {
            let mut recipe = self.first.clone();
            recipe.extend(own.clone());
            Rc::new(recipe)
        })
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.own.len()
    }

    /// The recipes.
    ///
    /// # Errors
    /// The first that is none.
    pub(crate) fn recipes(&self) -> Result<Vec<Recipe>, serde_json::Error> {
        let whole = |own: &Map<String, Value>| {
            let mut recipe = self.first.clone();
            recipe.extend(own.clone());
            serde_json::from_value(Value::Object(recipe))
        };
        self.own.iter().map(whole).collect()
    }
}

/// A recipe as JSON.
pub(crate) fn to_map(recipe: &Recipe) -> Map<String, Value> {
    match serde_json::to_value(recipe) {
        Ok(Value::Object(map)) => map,
        _ => unreachable!("a recipe is a table of plain data"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_back_as_they_were() {
        let member = |seed, iterations| {
            let mut recipe = Recipe { seed, ..Recipe::default() };
            recipe.training.iterations = iterations;
            Member { name: format!("{seed}"), recipe }
        };
        let members = [member(1, 2), member(2, 2), member(1, 3)];
        let frozen = FrozenRecipes::of(&members);
        assert_eq!(frozen.own[1].len(), 1, "only what differs is kept");
        let text = serde_json::to_string(&frozen).unwrap();
        let back: FrozenRecipes = serde_json::from_str(&text).unwrap();
        let wanted: Vec<Recipe> = members.into_iter().map(|member| member.recipe).collect();
        assert_eq!(back.recipes().unwrap(), wanted);
    }
}
