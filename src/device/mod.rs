//! Choosing a compute device, describing it, and saying why it fell back.
