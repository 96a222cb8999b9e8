"""Where work happens; knows tasks, not steps, stores or schedules."""
