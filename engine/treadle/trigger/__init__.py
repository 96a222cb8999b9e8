"""Which rules start a run now: pure deciding on events, states and the time given."""
