"""Google Tag Manager containers: read, scored, changed by operations, kept within invariants."""
