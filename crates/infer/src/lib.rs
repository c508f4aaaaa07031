//! Finds rules: from the semantics of ops alone, offline.
