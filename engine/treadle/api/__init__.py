"""One function per intent of a user; returns values, prints nothing."""
