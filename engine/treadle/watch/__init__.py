"""Files that change → when to look, what changed, and a pool that stays warm in between."""
