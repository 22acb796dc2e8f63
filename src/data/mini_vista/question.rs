//! A question about a scene, its answer, and the steps that lead to it.

use super::{
    draw::Draw,
    scene::{Category, Entity, Scene},
    words::{COLOURS, LARGEST_NUMBER},
};
use std::fmt;

/// What a step does with two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Add,
    Multiply,
    /// The absolute difference, written with the larger number first.
    Difference,
}

impl Operation {
    fn apply(self, left: u32, right: u32) -> u32 {
        match self {
            Self::Add => left + right,
            Self::Multiply => left * right,
            Self::Difference => left.abs_diff(right),
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Add => "+",
            Self::Multiply => "x",
            Self::Difference => "-",
        })
    }
}

/// One step of reasoning; its text is what stands between two `;`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A number is read off the picture.
    Read(Entity),
    /// Two numbers make a third.
    Compute { operation: Operation, left: u32, right: u32 },
}

impl Step {
    fn compute(operation: Operation, left: u32, right: u32) -> Self {
        let swap = operation == Operation::Difference && left < right;
        let (left, right) = if swap { (right, left) } else { (left, right) };
        Self::Compute { operation, left, right }
    }

    /// The step with its operands the other way round, if that is right too.
    fn swapped(self) -> Option<Self> {
        match self {
            Self::Compute { operation, left, right }
                if left != right && operation != Operation::Difference =>
            {
                Some(Self::Compute { operation, left: right, right: left })
            }
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Read(Entity { name, value }) => write!(f, "{name} {value}"),
            Self::Compute { operation, left, right } => {
                write!(f, "{left} {operation} {right} = {}", operation.apply(left, right))
            }
        }
    }
}

/// A question with all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) question: String,
    pub(super) answer: u32,
    /// Two lists of steps; they differ in what is read, or written, first.
    pub(super) gold: [Vec<Step>; 2],
}

impl Problem {
    pub(super) fn of(category: Category, scene: &Scene, two: bool, draw: &mut Draw) -> Self {
        match category {
            Category::Fqa => compare("bar", scene, two, false, draw),
            Category::Tqa => compare("digit", scene, two, false, draw),
            Category::Vqa => compare("count", scene, two, true, draw),
            Category::Gps => measure(scene, two, draw),
            Category::Mwp => price(scene, two, draw),
        }
    }

    /// Every list of steps that is right: a gold one with the operands of + and x in any order.
    pub(super) fn accepted(&self) -> Vec<Vec<Step>> {
        let mut accepted: Vec<Vec<Step>> = Vec::new();
        for gold in &self.gold {
            let mut lists = vec![Vec::new()];
            for &step in gold {
                let forms = [Some(step), step.swapped()];
                lists = lists
                    .iter()
                    .flat_map(|list: &Vec<Step>| {
                        forms.iter().flatten().map(|&form| [list.as_slice(), &[form]].concat())
                    })
                    .collect();
            }
            for list in lists {
                if !accepted.contains(&list) {
                    accepted.push(list);
                }
            }
        }
        accepted
    }
}

/// What the second operation takes besides the result of the first.
#[derive(Clone, Copy)]
enum Third {
    Read(Entity),
    Constant(u32),
}

impl fmt::Display for Third {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(entity) => f.write_str(entity.name),
            Self::Constant(value) => write!(f, "{value}"),
        }
    }
}

/// The two gold lists for `first operation second [then operation third]`, and the answer.
fn chain(
    reads: [Entity; 2],
    operation: Operation,
    then: Option<(Operation, Third)>,
) -> ([Vec<Step>; 2], u32) {
    let [first, second] = reads;
    let result = operation.apply(first.value, second.value);
    let mut answer = result;
    let gold = [[first, second], [second, first]].map(|[one, other]| {
        let mut steps = vec![Step::Read(one), Step::Read(other)];
        if let Some((_, Third::Read(third))) = then {
            steps.push(Step::Read(third));
        }
        steps.push(Step::compute(operation, one.value, other.value));
        if let Some((operation, third)) = then {
            let (Third::Constant(value) | Third::Read(Entity { value, .. })) = third;
            steps.push(Step::compute(operation, result, value));
            answer = operation.apply(result, value);
        }
        steps
    });
    (gold, answer)
}

/// `bar E1 op E2 [then op2 E3] ?`; `constant` asks for a number instead of E3.
fn compare(head: &str, scene: &Scene, two: bool, constant: bool, draw: &mut Draw) -> Problem {
    use Operation::{Add, Difference, Multiply};
    let mut entities: Vec<Entity> =
        scene.entities.iter().copied().filter(|entity| entity.value > 0).collect();
    let (first, second) = (draw.take(&mut entities), draw.take(&mut entities));
    let operation = draw.pick(&[Add, Add, Multiply, Multiply, Difference]);
    let then = two.then(|| {
        // After a product only a sum, so that no result leaves the numbers that are words.
        let next = if operation == Multiply { Add } else { draw.pick(&[Add, Multiply]) };
        let third = if constant {
            Third::Constant(draw.between(3, 12))
        } else {
            Third::Read(draw.take(&mut entities))
        };
        (next, third)
    });
    let (gold, answer) = chain([first, second], operation, then);
    let tail = then.map_or(String::new(), |(next, third)| format!(" then {next} {third}"));
    let question = format!("{head} {} {operation} {}{tail} ?", first.name, second.name);
    Problem { question, answer, gold }
}

/// `area of rectangle [then op c] ?` or `perimeter of rectangle [then + c] ?`.
fn measure(scene: &Scene, two: bool, draw: &mut Draw) -> Problem {
    let sides = [scene.entities[0], scene.entities[1]];
    let [width, height] = sides.map(|side| side.value);
    let area = draw.chance(0.5);
    let operation = if area { Operation::Multiply } else { Operation::Add };
    let then = two.then(|| {
        let mut next =
            if area { draw.pick(&[Operation::Add, Operation::Multiply]) } else { Operation::Add };
        let constant = draw.between(2, 9);
        if width * height * constant > LARGEST_NUMBER {
            next = Operation::Add;
        }
        (next, constant)
    });
    let tail = then.map_or(String::new(), |(next, constant)| format!(" then {next} {constant}"));
    let question = format!("{} of rectangle{tail} ?", if area { "area" } else { "perimeter" });
    if area {
        let then = then.map(|(next, constant)| (next, Third::Constant(constant)));
        let (gold, answer) = chain(sides, operation, then);
        return Problem { question, answer, gold };
    }
    let (mut gold, half) = chain(sides, operation, None);
    let mut answer = 2 * half;
    let mut tail = vec![Step::compute(Operation::Multiply, half, 2)];
    if let Some((next, constant)) = then {
        tail.push(Step::compute(next, answer, constant));
        answer = next.apply(answer, constant);
    }
    for steps in &mut gold {
        steps.extend(&tail);
    }
    Problem { question, answer, gold }
}

/// `each C cost p [and box cost b] ?`.
fn price(scene: &Scene, two: bool, draw: &mut Draw) -> Problem {
    let colours: Vec<Entity> =
        scene.entities[..COLOURS.len()].iter().copied().filter(|entity| entity.value > 0).collect();
    let thing = draw.pick(&colours);
    let each = draw.between(3, 12);
    let total = thing.value * each;
    let package = two.then(|| draw.between(1, 9));
    let tail = package.map_or(String::new(), |cost| format!(" and box cost {cost}"));
    let question = format!("each {} cost {each}{tail} ?", thing.name);
    let mut answer = total;
    let mut gold = [(thing.value, each), (each, thing.value)].map(|(left, right)| {
        vec![Step::Read(thing), Step::compute(Operation::Multiply, left, right)]
    });
    if let Some(package) = package {
        answer += package;
        for steps in &mut gold {
            steps.push(Step::compute(Operation::Add, total, package));
        }
    }
    Problem { question, answer, gold }
}
