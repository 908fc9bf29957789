//! Photos as files: walking folders, decoding, metadata, fingerprints, thumbnails. Must not touch SQL or models.
