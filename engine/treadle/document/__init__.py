"""Text → tree with places; the grammar of every file we read, and its published schema."""
