"""Halide pipelines of the benchmark, one concept a module.

Importing this package registers every kernel; `_kernel.all_kernels()` lists them. Nothing is
compiled here: `../build` does that.
"""
