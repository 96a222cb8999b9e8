"""Models that answer: loading them safely, and requests in four dialects → tables → predictions."""
