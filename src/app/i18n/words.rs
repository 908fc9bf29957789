//! Captions, answers and exports in words: who wrote what and when, what was done and can be
//! undone, why something was refused or left out, where a job stands.

use crate::domain::{Caption, CaptionSource, CaptionState, JobKind, JobState};
use crate::engine::FuseInfo;
use crate::export::SkipReason;
use crate::models::fuse::Refusal;
use crate::store::CaptionAct;

use super::{Lang, Msg};

impl Lang {
    /// "92%".
    pub fn percent(self, share: f32) -> String {
        let percent = share.clamp(0.0, 1.0) * 100.0;
        // Never "100%" of what is not certain, nor "0%" of what is possible.
        match percent {
            p if p > 99.0 && share < 1.0 => ">99%".to_owned(),
            p if p < 1.0 && share > 0.0 => "<1%".to_owned(),
            p => format!("{p:.0}%"),
        }
    }

    /// "1 caption", "20 captions".
    pub fn captions(self, n: u64) -> String {
        self.fill(if n == 1 { Msg::CaptionOne } else { Msg::CaptionMany }, &[("n", &self.number(n))])
    }

    /// "1 pair", "20 pairs".
    pub fn pairs(self, n: u64) -> String {
        self.fill(if n == 1 { Msg::PairOne } else { Msg::PairMany }, &[("n", &self.number(n))])
    }

    /// Whether it counts, who wrote it, when: "Accepted · You · 3 May 2024".
    pub fn origin(self, caption: &Caption, model: Option<&FuseInfo>, now_s: i64) -> String {
        let state = self.text(match caption.state {
            CaptionState::Accepted => Msg::OriginAccepted,
            CaptionState::Draft => Msg::OriginDraft,
        });
        let who = match &caption.source {
            CaptionSource::Person => self.text(Msg::OriginPerson).to_owned(),
            CaptionSource::File { name } => self.fill(Msg::OriginFile, &[("name", name)]),
            CaptionSource::Model { pack, .. } => match model.filter(|info| info.pack == *pack) {
                Some(info) => info.name.clone(),
                None => pack.clone(),
            },
        };
        format!("{state} · {who} · {}", self.when(caption.created_s, now_s))
    }

    /// The same in full: the model's version and settings, the moment.
    pub fn origin_exactly(self, caption: &Caption) -> String {
        let moment = format!("{} UTC", self.date(&iso(caption.created_s)));
        match &caption.source {
            CaptionSource::Person => moment,
            CaptionSource::File { name } => format!("{}\n{moment}", self.fill(Msg::OriginFile, &[("name", name)])),
            CaptionSource::Model { pack, version, settings } => {
                let short: String = version.chars().take(12).collect();
                let model = self.fill(Msg::OriginModelExactly, &[("pack", pack), ("version", &short)]);
                format!("{model}\n{settings}\n{moment}")
            }
        }
    }

    /// "just now", "5 min ago", "3 May 2024".
    pub fn when(self, then_s: i64, now_s: i64) -> String {
        match now_s - then_s {
            0..60 => self.text(Msg::WhenNow).to_owned(),
            ago @ 60..3600 => self.fill(Msg::WhenMinutes, &[("n", &(ago / 60).to_string())]),
            ago @ 3600..86_400 => self.fill(Msg::WhenHours, &[("n", &(ago / 3600).to_string())]),
            _ => {
                let full = self.date(&iso(then_s));
                let day = full.rsplit_once([',', ' ']).map_or(full.as_str(), |(day, _)| day);
                day.trim_end_matches(',').to_owned()
            }
        }
    }

    /// What a step did to captions.
    pub fn act(self, act: CaptionAct) -> &'static str {
        self.text(match act {
            CaptionAct::Drafted => Msg::ActDrafted,
            CaptionAct::Wrote => Msg::ActWrote,
            CaptionAct::Edited => Msg::ActEdited,
            CaptionAct::Judged => Msg::ActJudged,
            CaptionAct::Removed => Msg::ActRemoved,
            CaptionAct::TookIn => Msg::ActTookIn,
            CaptionAct::Reworded => Msg::ActReworded,
        })
    }

    /// Why a question was not asked.
    pub fn refusal(self, refusal: &Refusal) -> String {
        match refusal {
            Refusal::NoWords => self.text(Msg::RefusedNoWords).to_owned(),
            Refusal::Languages(codes) => {
                let name = |code: &String| match code.split('-').next() {
                    Some("en") => self.text(Msg::LanguageEnglish).to_owned(),
                    Some("zh") => self.text(Msg::LanguageChinese).to_owned(),
                    _ => code.clone(),
                };
                let listed = |a: String, b: String| self.fill(Msg::ListAnd, &[("a", &a), ("b", &b)]);
                let languages = codes.iter().map(name).reduce(listed).unwrap_or_default();
                self.fill(Msg::RefusedLanguages, &[("languages", &languages)])
            }
        }
    }

    /// Why an export left a photo out.
    pub fn skip_reason(self, reason: SkipReason) -> &'static str {
        self.text(match reason {
            SkipReason::NoCaption => Msg::SkipNoCaption,
            SkipReason::ForeignFile => Msg::SkipForeignFile,
            SkipReason::ForeignWords => Msg::SkipForeignWords,
        })
    }

    /// Where a job stands, in a line.
    pub fn job_state(self, kind: &JobKind, state: &JobState) -> String {
        let name = self.job(kind);
        let gaps = [("name", name.as_str())];
        let photos = match kind {
            JobKind::Caption(photos) => self.photos(*photos),
            _ => String::new(),
        };
        let [running, done, cancelled, failed] = match kind {
            JobKind::Index(_) | JobKind::IndexAll(_) => {
                [Msg::Indexing, Msg::JobDone, Msg::JobCancelled, Msg::JobFailed]
            }
            JobKind::Caption(_) => {
                [Msg::JobCaptioning, Msg::JobCaptioned, Msg::JobCaptionCancelled, Msg::JobCaptionFailed]
            }
            JobKind::Export => [Msg::JobExporting, Msg::JobExported, Msg::JobExportCancelled, Msg::JobExportFailed],
            JobKind::ExportPreview => [Msg::JobLooking, Msg::JobLooked, Msg::JobExportCancelled, Msg::JobExportFailed],
        };
        match state {
            JobState::Running => self.fill(running, &[gaps[0], ("photos", &photos)]),
            JobState::Paused => self.fill(Msg::Paused, &gaps),
            JobState::Done => self.fill(done, &gaps),
            JobState::Cancelled => self.fill(cancelled, &gaps),
            JobState::Failed(_) => self.fill(failed, &gaps),
        }
    }
}

/// `YYYY-MM-DDTHH:MM:SS` in UTC of seconds since 1970 (days to a date after H. Hinnant's
/// "chrono-compatible low-level date algorithms").
fn iso(seconds: i64) -> String {
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(iso(0), "1970-01-01T00:00:00");
        assert_eq!(iso(1_709_251_199), "2024-02-29T23:59:59");
        assert_eq!(iso(-1), "1969-12-31T23:59:59");
        let at = 1_714_746_130; // 3 May 2024, 14:22:10
        assert_eq!(Lang::En.when(at, at + 10), "just now");
        assert_eq!(Lang::En.when(at, at + 300), "5 min ago");
        assert_eq!(Lang::Zh.when(at, at + 7300), "2 小时前");
        assert_eq!(Lang::En.when(at, at + 1_000_000), "3 May 2024");
        assert_eq!(Lang::Zh.when(at, at + 1_000_000), "2024年5月3日");
        // A clock that was set back.
        assert_eq!(Lang::En.when(at, at - 50), "3 May 2024");
    }

    #[test]
    fn shares_are_never_rounded_to_certainty() {
        let of = |share| Lang::En.percent(share);
        assert_eq!(
            (of(0.921), of(0.9999), of(1.0), of(0.0004), of(0.0)),
            ("92%".into(), ">99%".into(), "100%".into(), "<1%".into(), "0%".into())
        );
    }

    #[test]
    fn refusals_name_the_languages() {
        let both = Refusal::Languages(vec!["en".into(), "zh-CN".into()]);
        assert_eq!(Lang::En.refusal(&both), "The model reads English and Chinese only.");
        assert_eq!(Lang::Zh.refusal(&both), "模型只懂英文和中文。");
    }
}
