"""The commented example of a rules file that ``nightpane token-machine init`` writes."""

from __future__ import annotations

__all__ = ["EXAMPLE"]

EXAMPLE = """\
# Rules of Token Machine's proxy. Check them: nightpane token-machine check
# No secret belongs here: a key is the name of an environment variable, or a SHA-256.

[router]
default = "gpt-4o-mini"      # serves what no task type below is about
fallbacks = ["gpt-4o"]       # stand in when a model fails: time-out, 429, 5xx, cut stream
# project = "gtm-autoresearch"   # events go there; else AUTORESEARCH_PROJECT
# days = 30                  # how far the data is looked back on
# min_graded = 20            # graded calls before a model counts as known
# confidence = 0.95          # of all intervals
# refresh_s = 300            # how often the data is asked
# max_body_bytes = 4194304   # of one request
# emit_contents = false      # true puts prompts and answers into the events
# allow_remote_urls = false  # true lets messages name pictures by address

# Names as the data has them: a model's name here is model_used in the events.
[models."gpt-4o-mini"]
model = "openai/gpt-4o-mini"     # LiteLLM's name: provider/model
api_key_env = "OPENAI_API_KEY"
# Prices: LiteLLM's own map, unless both are given here (USD for a million tokens).
# input_usd_per_million = 0.15
# output_usd_per_million = 0.60
# max_output_tokens = 4096   # what a call without max_tokens is booked for
# timeout_s = 120

[models."gpt-4o"]
model = "openai/gpt-4o"
api_key_env = "OPENAI_API_KEY"

# A server of your own costs nothing:
# [models.local]
# model = "openai/smollm2"
# api_base = "http://127.0.0.1:8000/v1"
# input_usd_per_million = 0
# output_usd_per_million = 0

# [models."text-embedding-3-small"]
# model = "openai/text-embedding-3-small"
# api_key_env = "OPENAI_API_KEY"
# embedding = true

# X-Task-Type, metadata.task_type, or model = the name or an alias, chooses a task type.
# Of the candidates that hold the floor, the one whose calls cost least serves.
[task_types."gtm.rewrite"]
candidates = ["gpt-4o-mini", "gpt-4o"]
quality_floor = 0.8          # quality is from 0 to 1
default = "gpt-4o"           # while no candidate is known to hold the floor
# aliases = ["rewrite"]

[keys.alice]
env = "TOKEN_MACHINE_KEY_ALICE"
# sha256 = "…"               # instead of env
team = "research"
agent = "coder"              # the events' agent, unless the caller's round names one
usd_per_day = 5.0            # days are of UTC
# usd_total = 100.0
# models = ["gpt-4o-mini"]   # only these
# grader = true              # may grade the calls of others: POST /v1/feedback

# Letters from these qualities per USD on; without them, by quintile of the team.
# [grades]
# min_calls = 20
# [grades.thresholds]
# A = 1000
# B = 300
# C = 0
"""
