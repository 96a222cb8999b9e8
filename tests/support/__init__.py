"""Builders and fakes for tests: a real project on disk, a clock, an executor."""
