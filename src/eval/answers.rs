//! Answers against the right ones: how many are equal, and whether their probabilities
//! mean what they say.

use std::collections::BTreeMap;

/// How many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub right: usize,
    pub asked: usize,
}

impl Tally {
    pub fn add(&mut self, right: bool) {
        self.right += usize::from(right);
        self.asked += 1;
    }

    /// 0..1; 0 of nothing.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.asked.max(1) as f64
    }
}

/// Tallies by kind of question.
pub type ByKind = BTreeMap<String, Tally>;

/// Whether two answers are the same whole answer: in capitals or not, with `_` or a
/// space, numbers in words or digits, also in Chinese. Articles count.
pub fn same_answer(a: &str, b: &str) -> bool {
    normalised(a) == normalised(b)
}

fn normalised(answer: &str) -> String {
    let narrow = |c| match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        '_' => ' ',
        c => c,
    };
    let text: String = answer.chars().map(narrow).collect::<String>().to_lowercase();
    let words = text.split_whitespace().map(|word| english_number(word).or_else(|| chinese_number(word)));
    let words: Vec<String> =
        words.zip(text.split_whitespace()).map(|(number, word)| number.unwrap_or_else(|| word.to_owned())).collect();
    words.join(" ")
}

fn english_number(word: &str) -> Option<String> {
    const ONES: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let one = |word: &str| ONES.iter().position(|own| *own == word);
    let ten = |word: &str| TENS.iter().position(|own| *own == word).map(|i| 10 * (i + 2));
    let both = || {
        let (tens, ones) = word.split_once('-')?;
        Some(ten(tens)? + one(ones).filter(|n| (1..10).contains(n))?)
    };
    one(word).or_else(|| ten(word)).or_else(both).map(|n| n.to_string())
}

/// A number up to 99 that the word begins with (`两个` is `2个`).
fn chinese_number(word: &str) -> Option<String> {
    let digit = |c: char| match c {
        '两' => Some(2),
        '零' => Some(0),
        c => "〇一二三四五六七八九".chars().position(|own| own == c),
    };
    let length = word.chars().take_while(|&c| c == '十' || digit(c).is_some()).count();
    let (number, rest): (Vec<char>, String) =
        (word.chars().take(length).collect(), word.chars().skip(length).collect());
    let value = match number[..] {
        ['十'] => 10,
        ['十', ones] => 10 + digit(ones)?,
        [tens, '十'] => 10 * digit(tens)?,
        [tens, '十', ones] => 10 * digit(tens)? + digit(ones)?,
        [one] => digit(one)?,
        _ => return None,
    };
    Some(format!("{value}{rest}"))
}

/// Expected calibration error, 0..1, over ten bins of equal width (Naeini et al. 2015):
/// how far probability and what was right lie apart. `answers`: probability, and how much was right, 0..1.
pub fn calibration_error(answers: &[(f32, f64)]) -> f64 {
    const BINS: usize = 10;
    let mut bins = [(0.0, 0.0); BINS];
    for &(probability, right) in answers {
        let probability = f64::from(probability).clamp(0.0, 1.0);
        let (sum, all_right) = &mut bins[((probability * BINS as f64) as usize).min(BINS - 1)];
        // Not a number is no confidence.
        *sum += if probability.is_nan() { 0.0 } else { probability };
        *all_right += right;
    }
    let apart: f64 = bins.iter().map(|(sum, right)| (sum - right).abs()).sum();
    apart / answers.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn whole_answers() {
        for (a, b) in [
            ("Garbage_Bin", "garbage bin"),
            ("two", "2"),
            ("Two  dogs", "2 dogs"),
            ("twenty-one", "21"),
            ("ｙｅｓ", "yes"),
            ("两个", "2个"),
            ("二十三", "23"),
            ("十", "10"),
            ("狗", "狗"),
        ] {
            assert!(same_answer(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("dog", "dogs"),
            ("a dog", "dog"),
            ("the red one", "red"),
            ("table, chair", "table"),
            ("two", "3"),
            ("twenty", "2"),
            ("twenty-ten", "30"),
            ("红色", "红"),
            ("", "0"),
        ] {
            assert!(!same_answer(a, b), "{a} {b}");
        }
    }

    #[test]
    fn calibration_by_hand() {
        // Four answers at 0.75, three of them right; two at 0.95, none right.
        let answers = [(0.75, 1.0), (0.75, 1.0), (0.75, 1.0), (0.75, 0.0), (0.95, 0.0), (0.95, 0.0)];
        assert!((calibration_error(&answers) - 1.9 / 6.0).abs() < 1e-6);
        assert_eq!(calibration_error(&[]), 0.0);
        assert_eq!(calibration_error(&[(1.0, 1.0), (f32::NAN, 0.0)]), 0.0);
        let mut tally = Tally::default();
        assert_eq!(tally.accuracy(), 0.0);
        [true, false, true, true].into_iter().for_each(|right| tally.add(right));
        assert_eq!(tally.accuracy(), 0.75);
    }

    proptest! {
        #[test]
        fn between_accuracy_and_one(answers in prop::collection::vec((0f32..=1.0, 0f64..=1.0), 1..60)) {
            let n = answers.len() as f64;
            let mean = answers.iter().map(|(p, _)| f64::from(*p)).sum::<f64>() / n;
            let accuracy = answers.iter().map(|(_, right)| right).sum::<f64>() / n;
            let error = calibration_error(&answers);
            // Bins can only hide differences from each other, never the one of the whole.
            prop_assert!(error <= 1.0 && error >= (mean - accuracy).abs() - 1e-9);
        }

        #[test]
        fn any_text_is_its_own_answer(text in ".{0,20}") {
            prop_assert!(same_answer(&text, &text.to_lowercase()));
        }
    }
}
