"""Classification and regression metrics of scikit-learn on small inputs: ties, a class never predicted, a class never
present, all right, all wrong. Undefined ratios are 0 (zero_division=0)."""

import warnings

import numpy as np
import sklearn
from sklearn import metrics as m

from emit import write


def classification(name, truth, predicted, classes):
    labels = list(range(classes))
    keep = {"labels": labels, "zero_division": 0}
    out = {
        "name": name,
        "truth": truth,
        "predicted": predicted,
        "classes": classes,
        "accuracy": m.accuracy_score(truth, predicted),
        "confusion": m.confusion_matrix(truth, predicted, labels=labels),
    }
    for average in ["macro", "micro", "weighted"] + (["binary"] if classes == 2 else []):
        p, r, f, _ = m.precision_recall_fscore_support(truth, predicted, average=average, **keep)
        out[average] = {"precision": p, "recall": r, "f1": f}
    p, r, f, n = m.precision_recall_fscore_support(truth, predicted, average=None, **keep)
    out["perClass"] = {"precision": p, "recall": r, "f1": f, "support": [int(k) for k in n]}
    return out


CLASSIFICATION = [
    classification("binary", [1, 0, 1, 1, 0, 0, 1, 0, 1, 0], [1, 0, 0, 1, 1, 0, 1, 0, 1, 1], 2),
    classification("binary-all-right", [1, 0, 1, 0], [1, 0, 1, 0], 2),
    classification("binary-all-wrong", [1, 0, 1, 0], [0, 1, 0, 1], 2),
    classification("binary-never-positive", [1, 0, 1, 0, 0], [0, 0, 0, 0, 0], 2),
    classification("binary-no-positives", [0, 0, 0, 0], [0, 1, 0, 0], 2),
    classification("binary-imbalanced", [0] * 18 + [1, 1], [0] * 17 + [1, 1, 0], 2),
    classification("three", [0, 1, 2, 2, 1, 0, 2, 1, 0, 2, 2, 1], [0, 2, 2, 1, 1, 0, 2, 1, 1, 2, 0, 1], 3),
    classification("three-one-never-predicted", [0, 1, 2, 2, 1, 0], [0, 1, 1, 0, 1, 0], 3),
    classification("four-one-never-present", [0, 1, 2, 2, 1, 0], [0, 1, 3, 2, 1, 3], 4),
]


def ranking(name, truth, score):
    """ROC AUC is null where one class is absent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        auc = m.roc_auc_score(truth, score) if len(set(truth)) == 2 else None
    return {"name": name, "truth": truth, "score": score, "auc": auc}


RANKING = [
    ranking("no-ties", [0, 0, 1, 1, 0, 1], [0.1, 0.4, 0.35, 0.8, 0.2, 0.7]),
    ranking("ties", [0, 1, 0, 1, 1, 0, 0, 1], [0.5, 0.5, 0.25, 0.75, 0.25, 0.5, 0.1, 0.5]),
    ranking("all-equal", [0, 1, 1, 0, 1], [0.3, 0.3, 0.3, 0.3, 0.3]),
    ranking("perfect", [0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]),
    ranking("reversed", [1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]),
    ranking("logits", [1, 0, 1, 0, 1], [1000.0, -1000.0, -2.5, -2.5, 3.0]),
    ranking("imbalanced", [0, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0.1, 0.9, 0.3, 0.2, 0.5, 0.4, 0.6, 0.7, 0.8, 0.7]),
    ranking("one-class", [1, 1, 1], [0.1, 0.2, 0.3]),
]


def log_loss(name, truth, probability):
    classes = len(probability[0]) if isinstance(probability[0], list) else 2
    return {
        "name": name,
        "truth": truth,
        "probability": probability,
        "logLoss": m.log_loss(truth, probability, labels=list(range(classes))),
    }


LOG_LOSS = [
    log_loss("binary", [1, 0, 1, 1, 0], [0.9, 0.2, 0.6, 0.35, 0.5]),
    log_loss("three", [0, 2, 1, 1], [[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.25, 0.5, 0.25], [0.8, 0.1, 0.1]]),
    log_loss("clipped-zero", [1, 0], [0.0, 0.25]),  # scikit-learn clips at the eps of float64
]


def regression(name, truth, predicted):
    return {
        "name": name,
        "truth": truth,
        "predicted": predicted,
        "mse": m.mean_squared_error(truth, predicted),
        "rmse": m.root_mean_squared_error(truth, predicted),
        "mae": m.mean_absolute_error(truth, predicted),
        "r2": m.r2_score(truth, predicted),
    }


REGRESSION = [
    regression("plain", [3.0, -0.5, 2.0, 7.0, 4.25], [2.5, 0.0, 2.0, 8.0, 4.0]),
    regression("perfect", [1.0, 2.0, 3.0], [1.0, 2.0, 3.0]),
    regression("mean-predictor", [1.0, 2.0, 3.0, 6.0], [3.0, 3.0, 3.0, 3.0]),
    regression("worse-than-mean", [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]),
    regression("constant-truth-wrong", [2.0, 2.0, 2.0], [1.0, 2.0, 3.0]),  # scikit-learn: R² 0
    regression("constant-truth-right", [2.0, 2.0, 2.0], [2.0, 2.0, 2.0]),  # scikit-learn: R² 1
    regression("large-offset", [1e9 + 1, 1e9 + 2, 1e9 + 4], [1e9 + 1.5, 1e9 + 2, 1e9 + 3]),
]

write(
    "metrics.json",
    {
        "about": "scripts/golden/metrics.py. zero_division=0. confusion[i][j]: truth i predicted as j. binary: class "
        "1 is positive. auc: ties count one half; null where only one class is present. logLoss: mean, "
        "natural logarithm, probabilities clipped to [2.22e-16, 1 - 2.22e-16].",
        "library": f"scikit-learn {sklearn.__version__}, numpy {np.__version__}",
        "classification": CLASSIFICATION,
        "ranking": RANKING,
        "logLoss": LOG_LOSS,
        "regression": REGRESSION,
    },
)
