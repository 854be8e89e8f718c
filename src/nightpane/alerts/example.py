"""The commented example that ``nightpane alerts init`` writes. It is a valid file."""

from __future__ import annotations

__all__ = ["EXAMPLE"]

EXAMPLE = """\
# Thresholds for 'nightpane alerts check'. Each [[alert]] is one, of one kind.
# Every kind takes name, and project and client to look at one loop only.

[[alert]]
name = "no progress"
kind = "no_kept"          # none of a loop's last rounds was kept
rounds = 20

[[alert]]
name = "budget of a night"
kind = "budget"           # known cost of a loop reaches a share of a budget
usd = 10.0
per = "night"             # night (noon to noon, local time), run, or hour (the last 60 min)
at = 0.8                  # tell at this share of it; 1.0 when left out

[[alert]]
name = "errors"
kind = "error_rate"       # share of a loop's last rounds that ended in one of these ways
share = 0.25
rounds = 40               # the last so many
least = 10                # never on fewer
modes = ["crash", "exception", "timeout"]

[[alert]]
name = "score drop"
kind = "score_drop"       # best score of a night against earlier nights
against = "best"          # best, or median, of the nights before that have a score
nights = 7
noise = 3.0               # by so many times the noise of the scores; or drop = 0.01, absolute
least = 10                # scored rounds this night
# metric = "val_loss"     # one metric only

[[alert]]
name = "silence"
kind = "silence"          # a run that has not stopped, and sends nothing
minutes = 45
"""
