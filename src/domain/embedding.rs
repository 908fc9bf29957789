//! A unit vector in a model's joint space.

use thiserror::Error;

/// Why numbers are not an embedding.
#[derive(Debug, Error, PartialEq)]
pub enum EmbeddingError {
    /// The model gave no numbers at all.
    #[error("the vector is empty")]
    Empty,
    /// A NaN or an infinity: the weights or the input are broken.
    #[error("the vector holds a number that is not finite")]
    NotFinite,
    /// A zero vector has no direction, so it is like nothing.
    #[error("the vector has length zero")]
    Zero,
}

/// A vector of Euclidean norm 1 by construction: dot product equals cosine.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding(Vec<f32>);

impl Embedding {
    /// Scales `values` to unit length; refuses what has no finite direction.
    pub fn new(mut values: Vec<f32>) -> Result<Self, EmbeddingError> {
        if values.is_empty() {
            return Err(EmbeddingError::Empty);
        }
        if values.iter().any(|v| !v.is_finite()) {
            return Err(EmbeddingError::NotFinite);
        }
        // Summed in f64: 768 squares of f16-sized numbers lose digits in f32.
        let norm = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt();
        if norm < 1e-12 {
            return Err(EmbeddingError::Zero);
        }
        for v in &mut values {
            *v = (f64::from(*v) / norm) as f32;
        }
        Ok(Self(values))
    }

    /// The numbers.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// How many numbers: the dimension of the joint space.
    pub fn dim(&self) -> usize {
        self.0.len()
    }

    /// Cosine with `other`; `None` when the dimensions differ (two models' spaces never mix).
    pub fn cosine(&self, other: &Self) -> Option<f32> {
        (self.dim() == other.dim()).then(|| self.0.iter().zip(&other.0).map(|(a, b)| a * b).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_norm_by_construction() {
        let e = Embedding::new(vec![3.0, 4.0]).unwrap();
        assert_eq!(e.as_slice(), [0.6, 0.8]);
        assert!((e.cosine(&e).unwrap() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn no_direction_no_embedding() {
        assert_eq!(Embedding::new(vec![]), Err(EmbeddingError::Empty));
        assert_eq!(Embedding::new(vec![0.0; 4]), Err(EmbeddingError::Zero));
        assert_eq!(Embedding::new(vec![1.0, f32::NAN]), Err(EmbeddingError::NotFinite));
        assert_eq!(Embedding::new(vec![f32::INFINITY]), Err(EmbeddingError::NotFinite));
    }

    #[test]
    fn dimensions_never_mix() {
        let (a, b) = (Embedding::new(vec![1.0]).unwrap(), Embedding::new(vec![1.0, 0.0]).unwrap());
        assert_eq!(a.cosine(&b), None);
    }
}
