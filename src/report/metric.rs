//! What can be read of a member, by name: `test.accuracy`, `validation.pass`, `steps`.

use super::interval::{Estimate, bootstrap, share, unpaired};
use super::metrics::{Evaluated, Monitored};
use super::model::{At, Branch, Member, Study};
use crate::base::{Duration, Hint, did_you_mean};
use std::collections::BTreeSet;
use std::fmt;

/// A number that a member has, or will have when it is done.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Greedy accuracy of the last policy on a split.
    Accuracy(String),
    /// That of the policy that the evolution starts from.
    Start(String),
    /// The last less the first.
    Gain(String),
    /// That of the equal-steps control at the last iteration.
    Control(String),
    /// The last less the control.
    OverControl(String),
    /// Of all answers, the share that is right with right steps.
    StepsRight(String),
    /// Greedy accuracy of the last policy on one category of a split.
    Category(String, String),
    /// Pass@K of the last policy.
    Pass,
    /// Pass@K of the policy that the evolution starts from.
    PassStart,
    /// Reward-Pass@K of the last policy.
    RewardPass,
    /// How often the best by score of all samples is right, of the last policy.
    BestOfN,
    /// How often the majority vote of all samples is right.
    Majority,
    /// How often the vote weighted by scores is right.
    Weighted,
    /// How well the last reward model tells good from bad places, as an area.
    RewardAuc,
    /// The same among pairs of one prompt.
    RewardAucWithin,
    /// Of the pseudo answers of the last iteration, the share that are the hidden ones.
    PseudoAgreement,
    /// Of its unlabelled prompts, the share with a pseudo answer.
    PseudoCoverage,
    /// Optimizer steps behind the last policy.
    Steps,
    /// Seconds of work, shared stages in full.
    Seconds,
}

/// What is read of each split.
const OF_SPLITS: [&str; 6] =
    ["accuracy", "start", "gain", "control", "over_control", "steps_right"];
/// What belongs to no split of choice.
const ALONE: [&str; 12] = [
    "validation.pass",
    "validation.pass.start",
    "validation.reward_pass",
    "pseudo.agreement",
    "pseudo.coverage",
    "steps",
    "seconds",
    "reward.auc",
    "reward.auc_within",
    "verifier.best_of_n",
    "verifier.majority",
    "verifier.weighted",
];

/// A metric that there is not.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no metric `{name}`")]
pub struct UnknownMetric {
    /// As it was written.
    pub name: String,
    /// The nearest that there is.
    pub near: Option<String>,
    /// All that there are.
    pub known: Vec<String>,
}

impl Hint for UnknownMetric {
    fn hint(&self) -> Option<String> {
        Some(match &self.near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are `{}`", self.known.join("`, `")),
        })
    }
}

impl Metric {
    /// What it cannot be below or above.
    pub(super) fn range(&self) -> [f64; 2] {
        match self {
            Self::Gain(_) | Self::OverControl(_) => [-1.0, 1.0],
            Self::Steps | Self::Seconds => [0.0, f64::INFINITY],
            Self::Accuracy(_)
            | Self::Start(_)
            | Self::Control(_)
            | Self::StepsRight(_)
            | Self::Category(..)
            | Self::Pass
            | Self::PassStart
            | Self::RewardPass
            | Self::BestOfN
            | Self::Majority
            | Self::Weighted
            | Self::RewardAuc
            | Self::RewardAucWithin
            | Self::PseudoAgreement
            | Self::PseudoCoverage => [0.0, 1.0],
        }
    }

    /// Reads a name.
    ///
    /// # Errors
    /// [`UnknownMetric`], with the nearest name that would do.
    pub fn parse(name: &str) -> Result<Self, UnknownMetric> {
        match name {
            "validation.pass" => return Ok(Self::Pass),
            "validation.pass.start" => return Ok(Self::PassStart),
            "validation.reward_pass" => return Ok(Self::RewardPass),
            "pseudo.agreement" => return Ok(Self::PseudoAgreement),
            "pseudo.coverage" => return Ok(Self::PseudoCoverage),
            "steps" => return Ok(Self::Steps),
            "seconds" => return Ok(Self::Seconds),
            "reward.auc" => return Ok(Self::RewardAuc),
            "reward.auc_within" => return Ok(Self::RewardAucWithin),
            "verifier.best_of_n" => return Ok(Self::BestOfN),
            "verifier.majority" => return Ok(Self::Majority),
            "verifier.weighted" => return Ok(Self::Weighted),
            _ => {}
        }
        if let Some((split, category)) = name.split_once(".accuracy.")
            && !split.is_empty()
            && !category.is_empty()
        {
            return Ok(Self::Category(split.to_owned(), category.to_owned()));
        }
        let (split, of) = name.rsplit_once('.').unwrap_or(("", name));
        let metric = match of {
            "accuracy" => Self::Accuracy,
            "start" => Self::Start,
            "gain" => Self::Gain,
            "control" => Self::Control,
            "over_control" => Self::OverControl,
            "steps_right" => Self::StepsRight,
            _ => return Err(unknown(name, known(&["test", "validation", split]))),
        };
        match split {
            "" => Err(unknown(name, known(&["test", "validation"]))),
            split => Ok(metric(split.to_owned())),
        }
    }

    /// Reads a name of something that was measured in a study; of a study without any measurement,
    /// any name.
    ///
    /// # Errors
    /// [`UnknownMetric`], with what there is.
    pub fn parse_in(name: &str, study: &Study) -> Result<Self, UnknownMetric> {
        let there = Self::measured_in(study);
        let parsed = Self::parse(name);
        let nothing = there.len() <= 2;
        match parsed {
            Ok(metric) if nothing || there.contains(&metric) => Ok(metric),
            Err(error) if nothing => Err(error),
            _ => Err(unknown(name, there.iter().map(Self::to_string).collect())),
        }
    }

    /// Everything that some member of a study has.
    pub fn measured_in(study: &Study) -> BTreeSet<Self> {
        let always = [Self::Steps, Self::Seconds];
        always.into_iter().chain(study.members.iter().flat_map(Self::measured_of)).collect()
    }

    /// Everything that was measured of a member, or would have been, had it come to its end.
    pub fn measured_of(member: &Member) -> BTreeSet<Self> {
        let mut there = BTreeSet::from([Self::Steps, Self::Seconds]);
        for it in &member.evaluations {
            let split = || it.value.split.clone();
            match (it.at.branch, it.at.iteration) {
                (Branch::Control, _) => {
                    there.extend([Self::Control(split()), Self::OverControl(split())]);
                }
                (_, 0) => there.extend([Self::Start(split()), Self::Gain(split())]),
                _ => {}
            }
            there.insert(Self::Accuracy(split()));
            if it.value.steps_right.is_some() {
                there.insert(Self::StepsRight(split()));
            }
            let categories = it.value.categories.keys();
            there.extend(categories.map(|name| Self::Category(split(), name.clone())));
        }
        if !member.monitors.is_empty() {
            there.extend([Self::Pass, Self::PassStart]);
        }
        if member.monitors.iter().any(|it| it.value.reward_pass.is_some()) {
            there.insert(Self::RewardPass);
        }
        let verifies = |it: &Monitored| it.each().iter().any(|here| here.verifiers.is_some());
        if member.monitors.iter().any(|it| verifies(&it.value)) {
            there.extend([Self::BestOfN, Self::Majority, Self::Weighted]);
        }
        if !member.rewards.is_empty() {
            there.extend([Self::RewardAuc, Self::RewardAucWithin]);
        }
        if !member.agreements.is_empty() {
            there.extend([Self::PseudoAgreement, Self::PseudoCoverage]);
        }
        there
    }

    /// Prompts that it was measured on, where a split's prompts are what it is a share of.
    pub fn prompts(&self, member: &Member) -> Option<u64> {
        let (split, terms) = self.terms(member)?;
        let (at, _) = terms.first()?;
        member.evaluation(split, at.branch, at.iteration).map(|it| it.count)
    }

    /// The value of a member with the interval over its prompts; `None` when it was not measured, or
    /// when what is measured is not the member's last word.
    pub fn of(&self, member: &Member) -> Option<Estimate> {
        let comparison = |split: &str| {
            member.comparison(split).filter(|comparison| member.is_final(comparison.iteration))
        };
        match self {
            Self::Accuracy(split) => Some(comparison(split)?.last.estimate()),
            Self::Start(split) => Some(member.evaluation(split, Branch::Evolution, 0)?.estimate()),
            Self::Gain(split) => {
                let it = comparison(split)?;
                Some(self.gain(member, it.last, it.first?))
            }
            Self::Control(split) => Some(comparison(split)?.control?.estimate()),
            Self::OverControl(split) => {
                let it = comparison(split)?;
                Some(self.gain(member, it.last, it.control?))
            }
            Self::StepsRight(split) => {
                let last = comparison(split)?.last;
                let right = last.steps_right? * last.count as f64;
                share(right.round() as u64, last.count)
            }
            Self::Category(split, name) => {
                Some(comparison(split)?.last.categories.get(name)?.estimate())
            }
            Self::Pass => passed(member.quoted(&member.monitors)?),
            Self::PassStart => passed(Member::at(&member.monitors, 0)?),
            Self::RewardPass => {
                let last = member.quoted(&member.monitors)?;
                let (_, (share, interval)) = last.each().first()?.reward_pass()?;
                Some(Estimate::measured(share, interval, last.count))
            }
            Self::BestOfN | Self::Majority | Self::Weighted => {
                let last = member.quoted(&member.monitors)?;
                let verifiers = last.each().into_iter().next()?.verifiers?;
                let by_n = match self {
                    Self::BestOfN => verifiers.best_of_n,
                    Self::Majority => verifiers.majority,
                    _ => verifiers.weighted,
                };
                let it = by_n.values().next_back()?;
                Some(Estimate::measured(it.value, it.interval, last.count))
            }
            Self::RewardAuc => {
                let places = &member.rewards.last()?.value.places;
                Some(Estimate::measured(places.auc?, places.interval, places.count))
            }
            Self::RewardAucWithin => {
                let within = member.rewards.last()?.value.places.within?;
                Some(Estimate::measured(within.auc, within.interval, within.prompts))
            }
            Self::PseudoAgreement => member.quoted(&member.agreements)?.agreement(),
            Self::PseudoCoverage => member.quoted(&member.agreements)?.coverage(),
            Self::Steps => {
                let last = member.quoted(&member.trainings)?;
                Some(Estimate::bare(last.step as f64, 1))
            }
            Self::Seconds => member.trouble.is_none().then(|| Estimate::bare(member.seconds, 1)),
        }
    }

    /// A difference between two evaluations of a member: paired by prompt where the caller knew what
    /// each prompt came to.
    pub(super) fn gain(&self, member: &Member, last: &Evaluated, first: &Evaluated) -> Estimate {
        let paired = member.paired.get(self).cloned();
        paired.unwrap_or_else(|| unpaired(&last.estimate(), &first.estimate()))
    }

    /// The evaluations that it is read from, each with the sign it enters with, so that the sum over
    /// them of a prompt's outcomes is the prompt's share; `None` for what no prompt has a share in.
    pub fn terms(&self, member: &Member) -> Option<(&str, Vec<(At, i32)>)> {
        let at = |iteration, branch| At { iteration, branch };
        let first = at(0, Branch::Evolution);
        let (Self::Accuracy(split)
        | Self::Start(split)
        | Self::Gain(split)
        | Self::Control(split)
        | Self::OverControl(split)) = self
        else {
            return None;
        };
        let iteration = member.comparison(split)?.iteration;
        let last = at(iteration, Branch::Evolution);
        let control = at(iteration, Branch::Control);
        let terms = match self {
            Self::Accuracy(_) => vec![(last, 1)],
            Self::Start(_) => vec![(first, 1)],
            Self::Gain(_) => vec![(last, 1), (first, -1)],
            Self::Control(_) => vec![(control, 1)],
            _ => vec![(last, 1), (control, -1)],
        };
        Some((split, terms))
    }

    /// Its mean over prompts, each of which adds what [`Self::terms`] sum to.
    pub fn over_prompts(&self, shares: &[i32]) -> Option<Estimate> {
        bootstrap(shares, self.range())
    }

    /// The mean over prompts of how much more one side has of it than another.
    pub fn difference_over_prompts(&self, differences: &[i32]) -> Option<Estimate> {
        bootstrap(differences, self.range_of_differences())
    }

    /// What a difference of two of it cannot be below or above.
    pub(super) fn range_of_differences(&self) -> [f64; 2] {
        let [least, most] = self.range();
        [least - most, most - least]
    }

    /// Whether it is a difference, of which the sign is said and zero means nothing happened.
    pub fn is_difference(&self) -> bool {
        matches!(self, Self::Gain(_) | Self::OverControl(_))
    }

    /// Whether it is a share, written in per cent.
    pub(super) fn is_share(&self) -> bool {
        !matches!(self, Self::Steps | Self::Seconds)
    }

    /// The value as people read it, without its unit.
    pub(super) fn written(&self, value: f64, signed: bool) -> String {
        let sign = if !signed {
            ""
        } else if value < 0.0 {
            "−"
        } else {
            "+"
        };
        match self {
            Self::Steps if signed => format!("{sign}{:.0}", value.abs()),
            Self::Steps => super::numbers::count(value.round() as u64),
            Self::Seconds => format!("{sign}{}", Duration(value.abs())),
            _ if signed => super::numbers::points(value),
            _ => super::numbers::percent(value),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accuracy(split) => write!(f, "{split}.accuracy"),
            Self::Start(split) => write!(f, "{split}.start"),
            Self::Gain(split) => write!(f, "{split}.gain"),
            Self::Control(split) => write!(f, "{split}.control"),
            Self::OverControl(split) => write!(f, "{split}.over_control"),
            Self::StepsRight(split) => write!(f, "{split}.steps_right"),
            Self::Category(split, name) => write!(f, "{split}.accuracy.{name}"),
            Self::Pass => f.write_str(ALONE[0]),
            Self::PassStart => f.write_str(ALONE[1]),
            Self::RewardPass => f.write_str(ALONE[2]),
            Self::PseudoAgreement => f.write_str(ALONE[3]),
            Self::PseudoCoverage => f.write_str(ALONE[4]),
            Self::Steps => f.write_str(ALONE[5]),
            Self::Seconds => f.write_str(ALONE[6]),
            Self::RewardAuc => f.write_str(ALONE[7]),
            Self::RewardAucWithin => f.write_str(ALONE[8]),
            Self::BestOfN => f.write_str(ALONE[9]),
            Self::Majority => f.write_str(ALONE[10]),
            Self::Weighted => f.write_str(ALONE[11]),
        }
    }
}

/// Pass@K at the first temperature.
fn passed(measured: &Monitored) -> Option<Estimate> {
    let (share, interval) = measured.each().first()?.pass_at(measured.k)?;
    Some(Estimate::measured(share, interval, measured.count))
}

fn known(splits: &[&str]) -> Vec<String> {
    let splits: BTreeSet<&&str> = splits.iter().filter(|split| !split.is_empty()).collect();
    let named = splits.iter().flat_map(|split| OF_SPLITS.map(|of| format!("{split}.{of}")));
    named.chain(ALONE.map(str::to_owned)).collect()
}

fn unknown(name: &str, known: Vec<String>) -> UnknownMetric {
    let near = did_you_mean(name, known.iter().map(String::as_str)).map(str::to_owned);
    UnknownMetric { name: name.to_owned(), near, known }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_there_and_back() {
        let mut names = known(&["test", "validation", "mathvista/testmini"]);
        names.extend(["test.accuracy.FQA".to_owned(), "test.accuracy.a.b".to_owned()]);
        for name in names {
            assert_eq!(Metric::parse(&name).unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_no_metric_is_told_with_the_nearest() {
        let near = |name| Metric::parse(name).unwrap_err().near;
        assert_eq!(near("test.acuracy").as_deref(), Some("test.accuracy"));
        assert_eq!(near("validation.reward-pass").as_deref(), Some("validation.reward_pass"));
        assert_eq!(near("second").as_deref(), Some("seconds"));
        assert_eq!(near("accuracy"), None);
        let error = Metric::parse("speed").unwrap_err();
        assert_eq!(error.to_string(), "there is no metric `speed`");
        assert!(error.hint().unwrap().contains("`test.accuracy`, `test.start`"));
    }
}
