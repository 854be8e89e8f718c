"""The dimensions of the score: each a function of a container and its signals, one file a family.

What is counted, and how, follows the public gtm-autoresearch scorer (evals/eval_gtm_signal_quality
at 8baf7785, and its client scorers at 5e620aac).
"""
