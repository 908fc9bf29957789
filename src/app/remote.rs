//! A value that lives elsewhere: the old one stays on screen while the new one loads.

/// Where a value stands that was asked of the engine.
#[derive(Clone, Debug, Default)]
pub enum Remote<T, E> {
    /// Never asked for.
    #[default]
    Idle,
    Loading {
        previous: Option<T>,
    },
    Ready(T),
    Failed {
        error: E,
        previous: Option<T>,
    },
}

impl<T, E> Remote<T, E> {
    /// The newest value there is, also while another one loads.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Idle => None,
            Self::Loading { previous } | Self::Failed { previous, .. } => previous.as_ref(),
            Self::Ready(value) => Some(value),
        }
    }

    /// As [`Self::value`], to change it.
    pub fn value_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Idle => None,
            Self::Loading { previous } | Self::Failed { previous, .. } => previous.as_mut(),
            Self::Ready(value) => Some(value),
        }
    }

    /// Why the newest request failed, if it did.
    pub fn error(&self) -> Option<&E> {
        match self {
            Self::Failed { error, .. } => Some(error),
            _ => None,
        }
    }

    /// True while an answer is awaited.
    pub fn is_loading(&self) -> bool {
        matches!(self, Self::Loading { .. })
    }

    /// Another request was made; what is there stays.
    pub fn start(&mut self) {
        let previous = self.take();
        *self = Self::Loading { previous };
    }

    /// The answer came.
    pub fn finish(&mut self, result: Result<T, E>) {
        *self = match result {
            Ok(value) => Self::Ready(value),
            Err(error) => Self::Failed { error, previous: self.take() },
        };
    }

    fn take(&mut self) -> Option<T> {
        match std::mem::take(self) {
            Self::Idle => None,
            Self::Loading { previous } | Self::Failed { previous, .. } => previous,
            Self::Ready(value) => Some(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_old_value_stays_until_the_new_one_is_there() {
        let mut remote = Remote::<i32, &str>::Idle;
        remote.start();
        assert_eq!(remote.value(), None);
        remote.finish(Ok(1));
        remote.start();
        assert!(remote.is_loading());
        assert_eq!(remote.value(), Some(&1));
        remote.finish(Err("no"));
        assert_eq!((remote.value(), remote.error()), (Some(&1), Some(&"no")));
        remote.start();
        assert_eq!((remote.value(), remote.error()), (Some(&1), None));
    }
}
