"""Models that answer: loading them safely, and the protocols that clients speak."""
