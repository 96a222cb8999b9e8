"""From champion to challenger and back: a pure state machine on sequentially valid evidence."""
