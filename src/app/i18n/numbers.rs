//! Numbers, sizes, times and dates as people say them.

use super::{Lang, Msg};

impl Lang {
    /// With thousands separators.
    pub fn number(self, n: u64) -> String {
        let digits = n.to_string();
        let mut out = String::with_capacity(digits.len() + digits.len() / 3);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                out.push(',');
            }
            out.push(digit);
        }
        out
    }

    /// "about 2 min left".
    pub fn time_left(self, secs: f32) -> String {
        if !secs.is_finite() || secs < 0.0 {
            return String::new();
        }
        match secs {
            s if s < 10.0 => self.text(Msg::LeftMoments).to_owned(),
            s if s < 90.0 => self.fill(Msg::LeftSeconds, &[("n", &((s / 10.0).round() * 10.0).to_string())]),
            s if s < 5400.0 => self.fill(Msg::LeftMinutes, &[("n", &(s / 60.0).round().to_string())]),
            s => self.fill(Msg::LeftHours, &[("n", &(s / 3600.0).round().to_string())]),
        }
    }

    /// "3.4 MB"; decimal units, as file managers show them.
    pub fn bytes(self, n: u64) -> String {
        let (value, unit) = match n {
            0..1_000 => return format!("{n} B"),
            1_000..1_000_000 => (n as f64 / 1e3, "kB"),
            1_000_000..1_000_000_000 => (n as f64 / 1e6, "MB"),
            _ => (n as f64 / 1e9, "GB"),
        };
        if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
    }

    /// "3.2 ms", "48 ms", "1.4 s".
    pub fn millis(self, ms: f32) -> String {
        match ms {
            m if m < 10.0 => format!("{m:.1} ms"),
            m if m < 1000.0 => format!("{m:.0} ms"),
            m => format!("{:.1} s", m / 1000.0),
        }
    }

    /// `2024-05-03T14:22:10` as "3 May 2024, 14:22" or "2024年5月3日 14:22"; as it is where it cannot be read.
    pub fn date(self, iso: &str) -> String {
        self.date_parts(iso).unwrap_or_else(|| iso.to_owned())
    }

    fn date_parts(self, iso: &str) -> Option<String> {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let (date, time) = iso.split_once('T')?;
        let mut parts = date.split('-');
        let year: u32 = parts.next()?.parse().ok()?;
        let month: usize = parts.next()?.parse().ok()?;
        let day: u32 = parts.next()?.parse().ok()?;
        let name = MONTHS.get(month.checked_sub(1)?)?;
        let time = time.get(..5)?;
        Some(match self {
            Self::En => format!("{day} {name} {year}, {time}"),
            Self::Zh => format!("{year}年{month}月{day}日 {time}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(Lang::En.number(n), text);
        }
    }

    #[test]
    fn times_are_rounded_as_people_say_them() {
        assert_eq!(Lang::En.time_left(3.0), "a moment left");
        assert_eq!(Lang::En.time_left(47.0), "50 s left");
        assert_eq!(Lang::En.time_left(130.0), "2 min left");
        assert_eq!(Lang::En.time_left(7300.0), "2 h left");
        assert_eq!(Lang::En.time_left(f32::NAN), "");
        assert_eq!(
            (Lang::En.millis(3.21), Lang::En.millis(48.4), Lang::En.millis(1432.0)),
            ("3.2 ms".into(), "48 ms".into(), "1.4 s".into())
        );
    }

    #[test]
    fn sizes_and_dates() {
        assert_eq!(
            (Lang::En.bytes(12), Lang::En.bytes(3_440_000), Lang::En.bytes(82_000)),
            ("12 B".into(), "3.4 MB".into(), "82 kB".into())
        );
        assert_eq!(Lang::En.date("2024-05-03T14:22:10"), "3 May 2024, 14:22");
        assert_eq!(Lang::Zh.date("2024-05-03T14:22:10"), "2024年5月3日 14:22");
        for odd in ["", "2024", "2024-13-01T10:00:00", "yesterday", "2024-05-03Tx"] {
            assert_eq!(Lang::En.date(odd), odd);
        }
    }
}
