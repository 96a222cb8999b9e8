"""Frozen types that every room shares; standard library and msgspec only, no IO."""
