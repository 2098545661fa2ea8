//! Measures what blocking by region costs.
