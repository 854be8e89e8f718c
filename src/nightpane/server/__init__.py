"""The local server: PostHog's HTTP API in front of the store, on this machine only by default."""
