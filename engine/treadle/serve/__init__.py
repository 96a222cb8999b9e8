"""Requests in four dialects → columns → predictions, from a process that follows its registry."""
