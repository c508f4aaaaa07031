//! ISLE rewrite rules: parsed, type-checked, named, and compiled to matchers
