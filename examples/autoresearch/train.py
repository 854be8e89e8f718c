"""A small network on handwritten digits, trained for a second or two: what the loop may edit."""

import warnings

from prepare import digits, evaluate
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

HIDDEN = 8
LEARNING_RATE = 0.003
L2 = 0.1
EPOCHS = 12

warnings.simplefilter("ignore", ConvergenceWarning)
inputs, labels = digits("train")
model = MLPClassifier(
    hidden_layer_sizes=(HIDDEN,),
    learning_rate_init=LEARNING_RATE,
    alpha=L2,
    max_iter=EPOCHS,
    random_state=0,
)
model.fit(inputs, labels)
evaluate(model)
