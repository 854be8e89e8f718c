"""The data and the measure: protected, so that no proposal can make its own score."""

from typing import Any

from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split


def digits(part: str) -> tuple[Any, Any]:
    """Return images (0 to 1) and labels of the part ``train`` or ``validation``."""
    images, labels = load_digits(return_X_y=True)
    split = train_test_split(images / 16, labels, test_size=0.4, random_state=1)
    return (split[0], split[2]) if part == "train" else (split[1], split[3])


def evaluate(model: Any) -> None:
    """Print the loss and the accuracy on the validation part."""
    images, labels = digits("validation")
    print(f"val_loss: {log_loss(labels, model.predict_proba(images)):.6f}")
    print(f"accuracy: {accuracy_score(labels, model.predict(images)):.6f}")
