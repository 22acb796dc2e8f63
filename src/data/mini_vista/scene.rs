//! What a picture shows, before it is painted: the background, the objects, and the numbers that can
//! be read off them.

use super::{
    draw::Draw,
    words::{COLOURS, SHAPES},
};

/// The side of a picture, of a cell, and the number of cells along a side, in pixels and cells.
pub(super) const SIDE: u32 = 32;
pub(super) const CELL: u32 = 8;
pub(super) const CELLS: u32 = SIDE / CELL;

/// The categories, in the order in which they are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Category {
    /// Figure: four bars.
    Fqa,
    /// Geometry: a rectangle.
    Gps,
    /// Word problem: prices of things that have to be counted.
    Mwp,
    /// Table: four digits.
    Tqa,
    /// Scene: coloured shapes.
    Vqa,
}

impl Category {
    pub(super) const ALL: [Self; 5] = [Self::Fqa, Self::Gps, Self::Mwp, Self::Tqa, Self::Vqa];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fqa => "FQA",
            Self::Gps => "GPS",
            Self::Mwp => "MWP",
            Self::Tqa => "TQA",
            Self::Vqa => "VQA",
        }
    }
}

/// Something with a number that can be read off a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entity {
    pub(super) name: &'static str,
    pub(super) value: u32,
}

/// What a mark is a picture of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Index into `SHAPES`.
    Shape(usize),
    /// 1 to 9.
    Digit(u32),
    Bar,
    Rectangle,
}

/// One painted object, in pixels from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mark {
    pub(super) form: Form,
    /// Index into `COLOURS`.
    pub(super) colour: usize,
    /// The colour with this object's own shift, 0 to 1.
    pub(super) rgb: [f32; 3],
    pub(super) top: u32,
    pub(super) left: u32,
    pub(super) height: u32,
    pub(super) width: u32,
}

/// All of a picture but its noise.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scene {
    /// Grey level of the background, 0 to 0.25.
    pub(super) background: f32,
    pub(super) marks: Vec<Mark>,
    /// Colours before shapes, width before height; a count may be 0.
    pub(super) entities: Vec<Entity>,
}

impl Scene {
    pub(super) fn of(category: Category, draw: &mut Draw) -> Self {
        let background = draw.uniform(0.0, 0.25);
        let (marks, entities) = match category {
            Category::Fqa => bars(draw),
            Category::Gps => rectangle(draw),
            Category::Tqa => digits(draw),
            Category::Mwp | Category::Vqa => shapes(draw),
        };
        Self { background, marks, entities }
    }
}

/// Mean red, green and blue of each of `COLOURS`.
const MEAN_RGB: [[f32; 3]; 4] =
    [[0.9, 0.15, 0.15], [0.15, 0.8, 0.2], [0.2, 0.3, 0.95], [0.9, 0.85, 0.15]];

fn shade(colour: usize, draw: &mut Draw) -> [f32; 3] {
    MEAN_RGB[colour].map(|mean| (mean + draw.uniform(-0.12, 0.12)).clamp(0.0, 1.0))
}

/// One entity a colour, with the value that each colour was given.
fn coloured(values: [u32; 4]) -> Vec<Entity> {
    COLOURS.iter().zip(values).map(|(&name, value)| Entity { name, value }).collect()
}

/// One bar of each colour, a column each, 1 to 7 units of 4 pixels high.
fn bars(draw: &mut Draw) -> (Vec<Mark>, Vec<Entity>) {
    let mut colours = [0, 1, 2, 3];
    draw.shuffle(&mut colours);
    let mut values = [0; 4];
    let mut marks = Vec::with_capacity(4);
    for (column, colour) in colours.into_iter().enumerate() {
        let value = draw.between(1, 7);
        let width = draw.between(4, 6);
        let left = CELL * column as u32 + draw.between(0, CELL - width);
        let height = 4 * value;
        let rgb = shade(colour, draw);
        let top = SIDE - height;
        marks.push(Mark { form: Form::Bar, colour, rgb, top, left, height, width });
        values[colour] = value;
    }
    (marks, coloured(values))
}

/// A rectangle of 1 to 6 units of 5 pixels each way.
fn rectangle(draw: &mut Draw) -> (Vec<Mark>, Vec<Entity>) {
    let (width, height) = (draw.between(1, 6), draw.between(1, 6));
    let (left, top) = (draw.between(0, 2), draw.between(0, 2));
    let colour = draw.below(4) as usize;
    let mark = Mark {
        form: Form::Rectangle,
        colour,
        rgb: shade(colour, draw),
        top,
        left,
        height: 5 * height,
        width: 5 * width,
    };
    let entities =
        vec![Entity { name: "width", value: width }, Entity { name: "height", value: height }];
    (vec![mark], entities)
}

/// One digit 1 to 9 of each colour, in four different cells.
fn digits(draw: &mut Draw) -> (Vec<Mark>, Vec<Entity>) {
    let mut cells: Vec<u32> = (0..CELLS * CELLS).collect();
    let mut values = [0; 4];
    let mut marks = Vec::with_capacity(4);
    for (colour, value) in values.iter_mut().enumerate() {
        let cell = draw.take(&mut cells);
        *value = draw.between(1, 9);
        let top = CELL * (cell / CELLS) + draw.between(1, 2);
        let left = CELL * (cell % CELLS) + draw.between(2, 3);
        let rgb = shade(colour, draw);
        marks.push(Mark { form: Form::Digit(*value), colour, rgb, top, left, height: 5, width: 3 });
    }
    (marks, coloured(values))
}

/// Coloured shapes in some of the cells, at most six of each colour and of each shape, at least two
/// colours.
fn shapes(draw: &mut Draw) -> (Vec<Mark>, Vec<Entity>) {
    let (cells, entities) = loop {
        let cells: Vec<Option<(usize, usize)>> = (0..CELLS * CELLS)
            .map(|_| draw.chance(0.4).then(|| (draw.below(4) as usize, draw.below(3) as usize)))
            .collect();
        let entities = counts(&cells);
        let colours = entities[..COLOURS.len()].iter().filter(|entity| entity.value > 0).count();
        if colours >= 2 && entities.iter().all(|entity| entity.value <= 6) {
            break (cells, entities);
        }
    };
    let mut marks = Vec::new();
    for (cell, object) in (0..).zip(cells) {
        let Some((colour, shape)) = object else { continue };
        let side = draw.between(6, 7);
        let top = CELL * (cell / CELLS) + draw.between(0, CELL - side);
        let left = CELL * (cell % CELLS) + draw.between(0, CELL - side);
        let rgb = shade(colour, draw);
        let form = Form::Shape(shape);
        marks.push(Mark { form, colour, rgb, top, left, height: side, width: side });
    }
    (marks, entities)
}

fn counts(cells: &[Option<(usize, usize)>]) -> Vec<Entity> {
    let count = |test: &dyn Fn((usize, usize)) -> bool| {
        cells.iter().flatten().filter(|&&object| test(object)).count() as u32
    };
    let colours = COLOURS
        .iter()
        .enumerate()
        .map(|(wanted, &name)| Entity { name, value: count(&|(colour, _)| colour == wanted) });
    let shapes = SHAPES
        .iter()
        .enumerate()
        .map(|(wanted, &name)| Entity { name, value: count(&|(_, shape)| shape == wanted) });
    colours.chain(shapes).collect()
}
