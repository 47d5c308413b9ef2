"""SGD-1 in scikit-learn: python sklearn_peer.py FOLDER THREADS. One pass of SGDClassifier over the rows, in their order."""

import sys

from protocol import Given, place, serve

folder, threads = sys.argv[1], int(sys.argv[2])
place(threads)

import numpy as np  # noqa: E402
import sklearn  # noqa: E402
from sklearn.linear_model import SGDClassifier  # noqa: E402

given = Given(folder)
rows = given.feeds["rows"][:, 0]
x, y = np.array(given.data["x"][rows]), np.array(given.data["y"][rows, 0])
weight, bias = np.array(given.params["weight"]), np.array(given.params["bias"])
now = {}


def reset():
    now["model"] = SGDClassifier(
        loss="log_loss", penalty=None, learning_rate="constant", eta0=0.01, shuffle=False, max_iter=1, tol=None
    )


def call(n):
    now["model"].fit(x[:n], y[:n], coef_init=weight, intercept_init=bias)


def check():
    """The losses of the first steps, each from the weights before it."""
    reset()
    model = now["model"]
    model.coef_, model.intercept_ = weight.copy(), bias.copy()
    losses = []
    for k in range(given.checked):
        z = float(x[k] @ model.coef_[0] + model.intercept_[0])
        losses.append(np.logaddexp(0, z) - z * y[k])
        model.partial_fit(x[k : k + 1], y[k : k + 1], classes=[0, 1])
    return losses


serve(given, f"scikit-learn {sklearn.__version__}", reset, call, check)
