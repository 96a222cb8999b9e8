"""Runs as pictures and pages: pure functions from records to SVG and self-contained HTML."""
