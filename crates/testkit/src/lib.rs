//! Filetest runner, generators and oracles for Egraft tests
