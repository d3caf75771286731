"""The load test that decides right or wrong, the benchmark, and the rivals both run against."""
