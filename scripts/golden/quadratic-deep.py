"""DeepOBS' quadratic_deep in NumPy, and what NumPy's RandomState draws.

The rotation is DeepOBS' own code with the generator passed in; the losses are plain loops in float64 over the float32 data:
SGD, momentum and Adam, ten batch orders, each replayed for 100 epochs.
"""

import numpy as np

from emit import write


def random_rotation(D, rng):
    t = 2 * np.pi * rng.uniform()
    R = [[np.cos(t), np.sin(t)], [-np.sin(t), np.cos(t)]]
    for d in range(2, D):
        v = rng.normal(size=(d + 1, 1))
        v = np.divide(v, np.sqrt(np.transpose(v).dot(v)))
        e = np.concatenate((np.array([[1.0]]), np.zeros((d, 1))), axis=0)
        x = np.divide((e - v), (np.sqrt(np.transpose(e - v).dot(e - v))))
        S = np.vstack([np.hstack([[[1.0]], np.zeros((1, d))]), np.hstack([np.zeros((d, 1)), R])])
        R = S - 2 * np.outer(x, np.transpose(x).dot(S))
    return np.negative(R)


rng = np.random.RandomState(42)
eigenvalues = np.concatenate((rng.uniform(0.0, 1.0, 90), rng.uniform(30.0, 60.0, 10)))
R = random_rotation(100, rng)
Q = np.matmul(np.transpose(R), np.matmul(np.diag(eigenvalues), R)).astype(np.float32).astype(np.float64)
train = np.random.RandomState(42).normal(0.0, 0.6, (1000, 100)).astype(np.float32).astype(np.float64)
test = np.random.RandomState(43).normal(0.0, 0.6, (1000, 100)).astype(np.float32).astype(np.float64)[:896]


def loss(theta, x):
    d = theta - x
    return float(np.mean(0.5 * np.einsum("ni,ij,nj->n", d, Q, d)))


def sgd(lr):
    return lambda theta, g, t: theta - lr * g


def momentum(lr):
    b = np.zeros(100)

    def step(theta, g, t):
        b[:] = 0.99 * b + g
        return theta - lr * b

    return step


def adam(lr):
    m, v = np.zeros(100), np.zeros(100)

    def step(theta, g, t):
        m[:] = 0.9 * m + 0.1 * g
        v[:] = 0.999 * v + 0.001 * g * g
        return theta - lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)

    return step


def final(rule, seed):
    order = np.random.RandomState(seed).permutation(1000)[:896].reshape(7, 128)
    theta = np.ones(100)
    for t in range(1, 701):
        d = theta - train[order[(t - 1) % 7]]
        theta = rule(theta, np.mean(d @ Q, axis=0), t)
    return loss(theta, test)


SEEDS = list(range(42, 52))
RULES = {"sgd": (sgd, 1.5848931925e-2), "momentum": (momentum, 2.5118864315e-3), "adam": (adam, 3.9810717055e-2)}
finals = {name: [final(rule(lr), seed) for seed in SEEDS] for name, (rule, lr) in RULES.items()}
for name, losses in finals.items():
    print(name, np.mean(losses), np.std(losses, ddof=1))

draws = []
for seed in [0, 42, 4294967295]:
    r = np.random.RandomState(seed)
    draws.append(
        {
            "seed": seed,
            "bits": r.randint(0, 2**32, 3, dtype=np.uint32),
            "uniform": r.random_sample(700)[[0, 1, 311, 312, 699]],  # over the end of the state's 624 words
            "normal": r.normal(1.0, 2.0, 5),  # an odd number: the sixth is kept
            "between": r.uniform(30.0, 60.0, 2),
            "kept": r.normal(),
            "permutation": r.permutation(20),
        }
    )

write(
    "quadratic-deep.json",
    {
        "about": "DeepOBS quadratic_deep: Q, its trace and extreme eigenvalues, losses at the start and at the means; final "
        "test losses of seeds 42 to 51. draws: RandomState(seed), in this order; uniform at 0, 1, 311, 312, 699 of 700.",
        "numpy": np.__version__,
        "trace": float(np.trace(Q)),
        "largest": float(eigenvalues.max()),
        "smallest": float(eigenvalues.min()),
        "firstRow": Q[0],
        "lastRow": Q[-1],
        "squares": float(np.sum(Q * Q)),
        "train": train[[0, 999]][:, :5],
        "test": test[[0, 895]][:, :5],
        "initial": loss(np.ones(100), test),
        "testFloor": loss(test.mean(0), test),
        "trainFloor": loss(train.mean(0), train),
        "finals": finals,
        "draws": draws,
    },
)
