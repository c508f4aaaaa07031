//! Cost model, extraction and elaboration of Egraft e-graphs
