"""The outbox on disk: what ``track()`` returned from lies here until it is delivered."""

from nightpane.client.spool.status import SpoolStatus, status

__all__ = ["SpoolStatus", "status"]
