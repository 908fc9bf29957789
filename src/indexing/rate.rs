//! How fast a job is and how long it still takes, smoothed so that the figures do not jump.

use std::time::Instant;

use crate::domain::Progress;

/// Weight of the past fades to 1/e in this time.
const SMOOTHING_SECS: f32 = 4.0;
/// Shorter intervals are summed up first: a rate over a few milliseconds says nothing.
const SHORTEST_SECS: f32 = 0.2;

/// Turns counts into a [`Progress`].
#[derive(Clone, Debug)]
pub struct RateMeter {
    last: Instant,
    last_done: u64,
    /// The smoothed rate and the weight it rests on: early on the mean, later a moving average.
    per_second: f32,
    weight: f32,
}

impl RateMeter {
    /// Starts the clock.
    pub fn new(now: Instant) -> Self {
        Self { last: now, last_done: 0, per_second: 0.0, weight: 0.0 }
    }

    /// The state at `now`.
    pub fn progress(&mut self, done: u64, total: Option<u64>, failed: u64, now: Instant) -> Progress {
        let secs = now.saturating_duration_since(self.last).as_secs_f32();
        if secs >= SHORTEST_SECS {
            let rate = done.saturating_sub(self.last_done) as f32 / secs;
            let fade = (-secs / SMOOTHING_SECS).exp();
            self.weight = self.weight * fade + (1.0 - fade);
            self.per_second += (rate - self.per_second) * (1.0 - fade) / self.weight;
            (self.last, self.last_done) = (now, done);
        }
        let secs_left =
            total.filter(|_| self.per_second > 0.0).map(|total| total.saturating_sub(done) as f32 / self.per_second);
        Progress { done, total, failed, per_second: self.per_second, secs_left }
    }

    /// Leaves a pause out of the rate.
    pub fn resume(&mut self, now: Instant) {
        self.last = now;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_steady_job_shows_its_rate_at_once_and_keeps_it() {
        let start = Instant::now();
        let mut meter = RateMeter::new(start);
        assert_eq!(meter.progress(0, Some(100), 0, start).secs_left, None, "nothing is known yet");
        for second in 1..=5 {
            let p = meter.progress(second * 10, Some(100), 0, start + Duration::from_secs(second));
            assert!((p.per_second - 10.0).abs() < 0.01, "{p:?}");
            assert!((p.secs_left.unwrap() - (100.0 - second as f32 * 10.0) / 10.0).abs() < 0.05, "{p:?}");
        }
    }

    #[test]
    fn a_slower_stretch_is_followed_without_a_jump() {
        let start = Instant::now();
        let mut meter = RateMeter::new(start);
        let at = |secs: u64| start + Duration::from_secs(secs);
        meter.progress(200, None, 0, at(10));
        let after_one = meter.progress(205, None, 0, at(11)).per_second;
        let after_many = (2..40).map(|s| meter.progress(200 + 5 * s, None, 0, at(10 + s)).per_second).last().unwrap();
        assert!((5.0..20.0).contains(&after_one), "{after_one}");
        assert!((after_many - 5.0).abs() < 0.2, "{after_many}");
    }
}
