"""Classic test functions: values, gradients and minima, by mpmath with 50 digits, from formulas written on their own.

Minima are the roots of the gradient that Newton's method finds from a point near each, a root only if the Hessian there
has no negative eigenvalue; SciPy's L-BFGS-B must come to the same place. Gradients and Hessians are mpmath's derivatives.
"""

import numpy as np
from mpmath import cos, diff, e, eigsy, exp, findroot, matrix, mp, mpf, pi, sin, sqrt
from scipy.optimize import minimize

from emit import write

mp.dps = 50


def rosenbrock(*x):
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in zip(x, x[1:]))


def beale(x, y):
    return sum((c - x * (1 - y**k)) ** 2 for k, c in enumerate([mpf("1.5"), mpf("2.25"), mpf("2.625")], 1))


def himmelblau(x, y):
    return (x**2 + y - 11) ** 2 + (x + y**2 - 7) ** 2


def booth(x, y):
    return (x + 2 * y - 7) ** 2 + (2 * x + y - 5) ** 2


def matyas(x, y):
    return mpf("0.26") * (x**2 + y**2) - mpf("0.48") * x * y


def goldsteinPrice(x, y):
    a = 1 + (x + y + 1) ** 2 * (19 - 14 * x + 3 * x**2 - 14 * y + 6 * x * y + 3 * y**2)
    b = 30 + (2 * x - 3 * y) ** 2 * (18 - 32 * x + 12 * x**2 + 48 * y - 36 * x * y + 27 * y**2)
    return a * b


def sixHumpCamel(x, y):
    return 4 * x**2 - mpf("2.1") * x**4 + x**6 / 3 + x * y - 4 * y**2 + 4 * y**4


def threeHumpCamel(x, y):
    return 2 * x**2 - mpf("1.05") * x**4 + x**6 / 6 + x * y + y**2


def styblinskiTang(*x):
    return sum(t**4 - 16 * t**2 + 5 * t for t in x) / 2


def mcCormick(x, y):
    return sin(x + y) + (x - y) ** 2 - mpf("1.5") * x + mpf("2.5") * y + 1


def branin(x, y):
    return (y - mpf("5.1") / (4 * pi**2) * x**2 + 5 / pi * x - 6) ** 2 + 10 * (1 - 1 / (8 * pi)) * cos(x) + 10


def ackley(*x):
    n = len(x)
    return (
        -20 * exp(-sqrt(sum(t**2 for t in x) / n) / 5) - exp(sum(cos(2 * pi * t) for t in x) / n) + 20 + e
    )


def rastrigin(*x):
    return 10 * len(x) + sum(t**2 - 10 * cos(2 * pi * t) for t in x)


def powellSingular(a, b, c, d):
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


def wood(a, b, c, d):
    return (
        100 * (a**2 - b) ** 2
        + (a - 1) ** 2
        + (c - 1) ** 2
        + 90 * (c**2 - d) ** 2
        + mpf("10.1") * ((b - 1) ** 2 + (d - 1) ** 2)
        + mpf("19.8") * (b - 1) * (d - 1)
    )


def freudensteinRoth(x, y):
    return (x - 13 - 2 * y + 5 * y**2 - y**3) ** 2 + (x - 29 - 14 * y + y**2 + y**3) ** 2


def quadratic(*x, condition=10):
    n = len(x)
    return sum(mpf(condition) ** (mpf(k) / (n - 1)) * t**2 for k, t in enumerate(x)) / 2


# name, f, start, points near global minima, points near local ones, where to draw from
PROBLEMS = [
    ("rosenbrock", rosenbrock, ["-1.2", 1], [[1, 1]], [], [(-2, 2), (-1, 3)]),
    ("rosenbrock", rosenbrock, ["-1.2", 1] * 2, [[1] * 4], [[-0.78, 0.61, 0.38, 0.15]], [(-2, 2)] * 4),
    ("rosenbrock", rosenbrock, ["-1.2", 1] * 5, [[1] * 10], [[-1] + [1] * 7 + [0.95, 0.9]], [(-2, 2)] * 10),
    ("beale", beale, [1, 1], [[3, 0.5]], [], [(-4.5, 4.5)] * 2),
    (
        "himmelblau",
        himmelblau,
        [0, 0],
        [[3, 2], [-2.805, 3.131], [-3.779, -3.283], [3.584, -1.848]],
        [],
        [(-5, 5)] * 2,
    ),
    ("booth", booth, [0, 0], [[1, 3]], [], [(-10, 10)] * 2),
    ("matyas", matyas, [5, -5], [[0, 0]], [], [(-10, 10)] * 2),
    (
        "goldsteinPrice",
        goldsteinPrice,
        ["0.1", "-0.8"],
        [[0, -1]],
        [[-0.6, -0.4], [1.8, 0.2], [1.2, 0.8]],
        [(-2, 2)] * 2,
    ),
    (
        "sixHumpCamel",
        sixHumpCamel,
        ["0.1", "-0.6"],
        [[0.0898, -0.7127], [-0.0898, 0.7127]],
        [[1.7036, -0.7961], [-1.7036, 0.7961], [1.6071, 0.5687], [-1.6071, -0.5687]],
        [(-2, 2), (-1, 1)],
    ),
    (
        "threeHumpCamel",
        threeHumpCamel,
        [1, 1],
        [[0, 0]],
        [[1.7476, -0.8738], [-1.7476, 0.8738]],
        [(-2.5, 2.5)] * 2,
    ),
    (
        "styblinskiTang",
        styblinskiTang,
        [0, 0],
        [[-2.9, -2.9]],
        [[2.75, -2.9], [-2.9, 2.75], [2.75, 2.75]],
        [(-5, 5)] * 2,
    ),
    (
        "styblinskiTang",
        styblinskiTang,
        [0] * 3,
        [[-2.9] * 3],
        [[2.75, -2.9, -2.9], [-2.9, 2.75, -2.9], [-2.9, -2.9, 2.75], [2.75] * 3],
        [(-5, 5)] * 3,
    ),
    (
        "mcCormick",
        mcCormick,
        ["-0.5", "-1.5"],
        [[-0.547, -1.547]],
        [[2.594, 1.594]],
        [(-1.5, 4), (-3, 4)],
    ),
    ("branin", branin, [3, 2], [[3.1416, 2.275], [-3.1416, 12.275], [9.4248, 2.475]], [], [(-5, 10), (0, 15)]),
    ("ackley", ackley, ["0.05"] * 2, [[0, 0]], [[0.97, 0], [0, 0.97], [-0.97, 0], [0, -0.97]], [(-5, 5)] * 2),
    ("ackley", ackley, ["0.05"] * 3, [[0, 0, 0]], [], [(-5, 5)] * 3),
    ("rastrigin", rastrigin, ["0.1"] * 2, [[0, 0]], [[1, 0], [0, 1], [-1, 0], [0, -1]], [(-5.12, 5.12)] * 2),
    (
        "rastrigin",
        rastrigin,
        ["0.1"] * 3,
        [[0] * 3],
        [[1, 0, 0], [0, 1, 0], [0, 0, 1], [-1, 0, 0], [0, -1, 0], [0, 0, -1]],
        [(-5.12, 5.12)] * 3,
    ),
    ("powellSingular", powellSingular, [3, -1, 0, 1], [[0] * 4], [], [(-4, 5)] * 4),
    ("wood", wood, [-3, -1, -3, -1], [[1] * 4], [], [(-4, 4)] * 4),
    ("freudensteinRoth", freudensteinRoth, ["0.5", -2], [[5, 4]], [[11.41, -0.897]], [(-10, 20), (-5, 6)]),
    ("quadratic", quadratic, [1] * 2, [[0] * 2], [], [(-2, 2)] * 2),
    ("quadratic", quadratic, [1] * 5, [[0] * 5], [], [(-2, 2)] * 5),
]


def rounded(t):
    """The nearest double; 0 for what 50 digits leave of it."""
    return 0.0 if abs(t) < mpf(10) ** -25 else float(t)


def gradient(f, x):
    unit = lambda k: tuple(int(k == j) for j in range(len(x)))
    return [diff(f, tuple(x), unit(k)) for k in range(len(x))]


def hessian(f, x):
    order = lambda j, k: tuple(int(i == j) + int(i == k) for i in range(len(x)))
    return matrix([[diff(f, tuple(x), order(j, k)) for j in range(len(x))] for k in range(len(x))])


def minimum(name, f, near):
    """[point, value, smallest eigenvalue of the Hessian, null at a kink], all exact to a double."""
    n = len(near)
    if name == "ackley" and not any(near):  # the tip of a cone; mpmath would divide by 0
        return {"at": [0.0] * n, "value": rounded(f(*[mpf(0)] * n)), "curvature": None}
    # At Powell's minimum the Hessian is singular, and Newton's method converges linearly: its point is known.
    root = near if name == "powellSingular" else list(findroot(lambda *x: gradient(f, x), [mpf(t) for t in near]))
    root = [mpf(t) for t in root]
    values = [float(v) for v in eigsy(hessian(f, root), eigvals_only=True)]
    assert min(values) > -1e-12, (name, near, values)
    loose = 0.05 if name == "powellSingular" else 1e-5
    around = [(float(t) - 0.05, float(t) + 0.05) for t in root]  # or the first step of a search leaves the basin
    found = minimize(lambda x: float(f(*map(mpf, x))), [float(t) + 1e-3 for t in root], bounds=around, tol=1e-14).x
    assert np.allclose(found, [float(t) for t in root], atol=loose), (name, found, root)
    assert abs(float(root[0]) - float(near[0])) < 0.3, (name, near, root)
    return {"at": [rounded(t) for t in root], "value": rounded(f(*root)), "curvature": rounded(min(values))}


rng = np.random.RandomState(1)
rows = []
for name, f, start, minima, local, domain in PROBLEMS:
    x0 = [mpf(t) for t in start]
    points = [[float(np.round(rng.uniform(a, b), 3)) for a, b in domain] for _ in range(4)]
    rows.append(
        {
            "name": name,
            "dimension": len(start),
            "start": [float(t) for t in x0],
            "atStart": float(f(*x0)),
            "minima": [minimum(name, f, near) for near in minima],
            "localMinima": sorted((minimum(name, f, near) for near in local), key=lambda m: m["value"]),
            "points": [
                {
                    "x": x,
                    "f": float(f(*map(mpf, x))),
                    "gradient": [float(g) for g in gradient(f, [mpf(t) for t in x])],
                }
                for x in points
            ],
        }
    )

write(
    "problems.json",
    {
        "about": "Classic test functions: f at the start, minima with the smallest eigenvalue of the Hessian there "
        "(null at a kink), f and gradient at some points. mpmath, 50 digits; SciPy for the minima.",
        "problems": rows,
    },
)
