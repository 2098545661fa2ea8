//! The most frequent of any number of keys, in bounded memory.
//!
//! This is Space-Saving (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent and Top-k Elements in Data Streams",
//! ICDT 2005) with weights. There are so many places. A key that has none takes the place of the one that weighs least, and its
//! weight with it: by no more than that is it overestimated. So each weight lies between `estimate - error` and `estimate`, and
//! whatever weighs more than all weights together divided by the number of places has a place.
//!
//! Weights can fade. All of them do by the same factor then, so all that goes on to hold.

/// Keys and their weights: the heaviest, and how heavy they may be.
#[derive(Clone, Debug)]
pub struct HeavyHitters<K> {
    places: usize,
    hitters: Vec<Hitter<K>>,
}

/// A key that has a place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hitter<K> {
    /// The key.
    pub key: K,
    /// Its weight at most.
    pub estimate: f64,
    /// By how much that may be too large.
    pub error: f64,
}

impl<K: PartialEq> HeavyHitters<K> {
    /// Nothing yet, and so many places.
    #[must_use]
    pub const fn new(places: usize) -> Self {
        Self {
            places,
            hitters: Vec::new(),
        }
    }

    /// Adds to the weight of a key.
    pub fn add(&mut self, key: K, weight: f64) {
        if let Some(hitter) = self.hitters.iter_mut().find(|hitter| hitter.key == key) {
            hitter.estimate += weight;
            return;
        }
        if self.hitters.len() < self.places {
            self.hitters.push(Hitter {
                key,
                estimate: weight,
                error: 0.0,
            });
            return;
        }
        let all = self.hitters.iter_mut();
        let lightest = all.min_by(|one, other| one.estimate.total_cmp(&other.estimate));
        if let Some(hitter) = lightest {
            *hitter = Hitter {
                key,
                estimate: hitter.estimate + weight,
                error: hitter.estimate,
            };
        }
    }

    /// Multiplies all weights by a factor, which is not above one.
    pub fn fade(&mut self, factor: f64) {
        for hitter in &mut self.hitters {
            hitter.estimate *= factor;
            hitter.error *= factor;
        }
    }

    /// The keys that have places, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Hitter<K>> {
        self.hitters.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// What becomes of weights.
    #[derive(Clone, Debug)]
    enum Step {
        Add(u8, u16),
        Fade,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            // Some keys are much more frequent than others.
            20 => (prop_oneof![0..4_u8, 0..60_u8], any::<u16>()).prop_map(|(key, weight)| Step::Add(key, weight)),
            1 => Just(Step::Fade),
        ];
        prop::collection::vec(step, 0..300)
    }

    proptest! {
        #[test]
        fn weights_lie_within_their_bounds_and_what_is_heavy_has_a_place(steps in steps(), places in 1..20_usize) {
            let mut hitters = HeavyHitters::new(places);
            let mut exact: BTreeMap<u8, f64> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Add(key, weight) => {
                        hitters.add(key, weight.into());
                        *exact.entry(key).or_default() += f64::from(weight);
                    }
                    Step::Fade => {
                        // A power of two: fading is exact then, and so are the bounds.
                        hitters.fade(0.5);
                        for weight in exact.values_mut() {
                            *weight *= 0.5;
                        }
                    }
                }
            }
            prop_assert!(hitters.iter().count() <= places);
            for Hitter { key, estimate, error } in hitters.iter() {
                let weight = exact[key];
                prop_assert!(estimate - error <= weight && weight <= *estimate, "{key}");
            }
            let all: f64 = exact.values().sum();
            for (key, weight) in &exact {
                let has_a_place = hitters.iter().any(|hitter| hitter.key == *key);
                prop_assert!(has_a_place || weight * f64::from(u8::try_from(places).unwrap()) <= all, "{key}");
            }
        }
    }

    #[test]
    fn without_places_nothing_is_kept() {
        let mut hitters = HeavyHitters::new(0);
        hitters.add("key", 1.0);
        assert_eq!(hitters.iter().count(), 0);
    }
}
