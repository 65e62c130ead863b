//! Which service is harmed how, round by round.

use rand::{SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;

/// One round: a service and what is done to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice<F> {
    /// The service.
    pub service: String,
    /// The fault.
    pub fault: F,
}

/// A choice for each of `rounds`. Every fault is chosen as often as every other, give or take one, and so is every service; which
/// ones are chosen once more, the order, and who meets what are random. The same arguments give the same choices,
/// whatever the machine.
///
/// Complexity O(rounds). No service or no fault gives no choices.
pub fn schedule<F: Clone>(rounds: usize, seed: u64, services: &[String], faults: &[F]) -> Vec<Choice<F>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let services = evenly(rounds, services, &mut random);
    let faults = evenly(rounds, faults, &mut random);
    services.into_iter().zip(faults).map(|(service, fault)| Choice { service, fault }).collect()
}

/// `count` items, the whole of `from` shuffled anew as often as it takes.
fn evenly<T: Clone>(count: usize, from: &[T], random: &mut ChaCha8Rng) -> Vec<T> {
    let mut chosen = Vec::with_capacity(count);
    while chosen.len() < count && !from.is_empty() {
        let mut shuffled = from.to_vec();
        shuffled.shuffle(random);
        shuffled.truncate(count - chosen.len());
        chosen.extend(shuffled);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn names(prefix: &str, count: usize) -> Vec<String> {
        (0..count).map(|index| format!("{prefix}{index}")).collect()
    }

    proptest! {
        #[test]
        fn faults_and_services_are_chosen_evenly_and_the_seed_decides(
            rounds in 0_usize..60, seed: u64, services in 1_usize..20, faults in 1_usize..9
        ) {
            let (services, faults) = (names("s", services), names("f", faults));
            let chosen = schedule(rounds, seed, &services, &faults);
            prop_assert_eq!(&chosen, &schedule(rounds, seed, &services, &faults));
            prop_assert_eq!(chosen.len(), rounds);
            for (all, named) in [
                (&services, chosen.iter().map(|one| &one.service).collect::<Vec<_>>()),
                (&faults, chosen.iter().map(|one| &one.fault).collect::<Vec<_>>()),
            ] {
                let mut counts: BTreeMap<&String, usize> = all.iter().map(|name| (name, 0)).collect();
                for name in named {
                    *counts.get_mut(name).unwrap() += 1;
                }
                let (least, most) = (counts.values().min().unwrap(), counts.values().max().unwrap());
                prop_assert!(most - least <= 1, "{:?}", counts);
            }
        }
    }

    #[test]
    fn another_seed_gives_other_rounds() {
        let (services, faults) = (names("s", 16), names("f", 6));
        assert_ne!(schedule(16, 1, &services, &faults), schedule(16, 2, &services, &faults));
    }

    #[test]
    fn nothing_to_choose_from_gives_no_rounds() {
        assert!(schedule::<String>(4, 1, &[], &names("f", 2)).is_empty());
        assert!(schedule::<String>(4, 1, &names("s", 2), &[]).is_empty());
    }
}
