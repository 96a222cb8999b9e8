"""The step library: plain functions, found through the same entry points as anyone's plug-in."""
