"""The benchmarks: `python -m scripts.bench`, or `make bench`. How to read them: docs/benchmarks.md."""
