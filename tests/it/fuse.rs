//! The Fuse family: the four systems against their authors' code on the recorded inputs,
//! and what happens to folders that are no models.

use std::path::{Path, PathBuf};

use glimpse::models::golden;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Folders with all that was recorded of them.
const RECORDED: [(&str, &[&str]); 9] = [
    ("oscar/vqa", &["logits", "sequence_output", "pooled_output"]),
    ("oscar/itm", &["logits", "sequence_output", "pooled_output", "match_prob"]),
    ("oscar/caption", &["teacher_forced_logits", "caption_score", "step_logits"]),
    ("vinvl/vqa", &["logits", "sequence_output", "pooled_output"]),
    ("vinvl/itm", &["logits", "sequence_output", "pooled_output", "match_prob"]),
    ("uniter/vqa", &["logits", "sequence_output", "pooled_output"]),
    ("uniter/itm", &["rank_scores", "itm_scores", "itm_prob", "sequence_output", "pooled_output"]),
    ("vlp/caption", &["masked_lm_loss", "masked_lm_scores", "sequence_output", "generated_scores", "step_logits"]),
    ("vlp/vqa", &["vqa_logits", "cls_hidden", "sep_hidden"]),
];

#[test]
fn heads_and_decoding_agree_with_the_authors_code() {
    for (name, results) in RECORDED {
        let report = golden::check(&data(name)).unwrap();
        println!("{name}: {report:?}");
        assert_eq!(report.family, name.split('/').next().unwrap());
        let mut compared: Vec<&str> = report.max_abs_diff.keys().map(String::as_str).collect();
        let mut expected = results.to_vec();
        compared.sort_unstable();
        expected.sort_unstable();
        assert_eq!(compared, expected, "{name}");
        for (result, differ) in &report.max_abs_diff {
            assert!(*differ <= 1e-4, "{name}: {result} differs by {differ}");
        }
        assert!(report.ids_equal, "{name}");
    }
}
