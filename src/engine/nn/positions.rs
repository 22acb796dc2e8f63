//! Learned positions: one vector a place, added to what stands there.

use crate::engine::weights::{Init, Path};
use tch::Tensor;

/// A table `[places, D]` of learned vectors.
pub struct LearnedPositions {
    table: Tensor,
}

impl LearnedPositions {
    /// `places` vectors of `width` features under the name `leaf`; fresh ones are normal with the
    /// standard deviation given.
    pub fn new(w: &Path<'_>, leaf: &str, (places, width): (i64, i64), deviation: f64) -> Self {
        Self { table: w.leaf(leaf, &[places, width], Init::Normal(deviation)) }
    }

    /// Of the given places, `[…]` to `[…, D]`.
    pub fn at(&self, places: &Tensor) -> Tensor {
        Tensor::embedding(&self.table, places, -1, false, false)
    }

    /// Of a grid by rows, `[rows * columns, D]`: the vector of the row plus that of the column.
    pub fn grid(rows: &Self, columns: &Self) -> Tensor {
        (rows.table.unsqueeze(1) + columns.table.unsqueeze(0)).flatten(0, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(values: &[f32]) -> LearnedPositions {
        LearnedPositions { table: Tensor::from_slice(values).view([-1, 1]) }
    }

    #[test]
    fn a_place_of_a_grid_is_its_row_plus_its_column() {
        let grid = LearnedPositions::grid(&table(&[10.0, 20.0]), &table(&[1.0, 2.0, 3.0]));
        let values = Vec::<f32>::try_from(grid.flatten(0, 1)).unwrap();
        assert_eq!(values, [11.0, 12.0, 13.0, 21.0, 22.0, 23.0]);
    }
}
