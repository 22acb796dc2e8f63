//! When unlabelled prompts join.

use crate::recipe::Recipe;

/// The first iteration that begins with no less than the share `prompts.mix_at` of all iterations
/// behind it; beyond the last where there is none.
pub fn first_mixed(recipe: &Recipe) -> u32 {
    first_after(recipe.training.iterations, recipe.prompts.mix_at.unwrap_or(0.0))
}

fn first_after(iterations: u32, share: f64) -> u32 {
    // A share such as 0.3 of 10 iterations is 3, whatever the last bit of the product says.
    (f64::from(iterations) * share - 1e-9).ceil().max(0.0) as u32 + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unlabelled_prompts_join_after_a_share_of_the_iterations() {
        let first = |share| first_after(4, share);
        assert_eq!([0.0, 0.25, 0.5, 0.75].map(first), [1, 2, 3, 4]);
        assert_eq!((first_after(22, 0.25), first_after(10, 0.3)), (7, 4));
        assert_eq!((first_after(4, 1.0), first_after(2, 0.75)), (5, 3));
    }
}
