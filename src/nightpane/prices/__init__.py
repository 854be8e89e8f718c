"""What a model call cost: PostHog's ingestion rules and a table of prices.

Pure: properties in, properties to add out. It never guesses: a call whose price or usage is not
known gets no cost, which reads as null, and no cost is ever negative. It knows neither the server
nor the client.
"""

from nightpane.prices.load import OWN_PRICES, load
from nightpane.prices.rules import COSTED, cost
from nightpane.prices.table import Found, Price, Table

__all__ = ["COSTED", "OWN_PRICES", "Found", "Price", "Table", "cost", "load"]
