"""Experiments on the loop itself: PostHog's documents and queries, answered from events.

Knows no HTTP and no store: a query goes out as HogQL, its rows come back as PostHog's response.
"""
