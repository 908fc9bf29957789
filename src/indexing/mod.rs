//! Keeping the library true to the disk: plan, pipeline, watch.
