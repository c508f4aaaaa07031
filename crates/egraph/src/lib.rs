//! Egraft e-graph: hash-consing, union-find, analyses, saturation and explanations
