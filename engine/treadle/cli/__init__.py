"""The command line: one file per command; options, one call into `api`, render, exit code."""
