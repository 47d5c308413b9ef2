"""Where SciPy's and PyTorch's full-batch methods end on classic functions, and after how many iterations and evaluations.

Gradients and Hessian-vector products are JAX's in float64, PyTorch's its own. Ways differ from library to library, since
each line search has its own rule for the next length: ends are comparable to all digits, counts within a factor.
"""

import jax
import jax.numpy as jnp
import numpy as np
import torch
from scipy.optimize import minimize

from emit import write

jax.config.update("jax_enable_x64", True)
torch.set_default_dtype(torch.float64)

TOLERANCE = 1e-6  # of the gradient's Euclidean norm


def rosenbrock(x):
    return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()


def beale(x):
    return sum((c - x[0] * (1 - x[1] ** k)) ** 2 for k, c in enumerate([1.5, 2.25, 2.625], 1))


def powell_singular(x):
    a, b, c, d = x
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


def wood(x):
    a, b, c, d = x
    rest = 10.1 * ((b - 1) ** 2 + (d - 1) ** 2) + 19.8 * (b - 1) * (d - 1)
    return 100 * (a**2 - b) ** 2 + (a - 1) ** 2 + (c - 1) ** 2 + 90 * (c**2 - d) ** 2 + rest


def quadratic(x):
    """Condition 1e4: eigenvalues in equal ratios."""
    n = len(x)
    return sum(1e4 ** (k / (n - 1)) * x[k] ** 2 for k in range(n)) / 2


PROBLEMS = [
    ("rosenbrock", rosenbrock, [-1.2, 1]),
    ("rosenbrock", rosenbrock, [-1.2, 1] * 5),
    ("beale", beale, [1, 1]),
    ("powellSingular", powell_singular, [3, -1, 0, 1]),
    ("wood", wood, [-3, -1, -3, -1]),
    ("quadratic", quadratic, [1] * 5),
]


def scipy_end(f, start, method, options):
    value, gradient = jax.jit(f), jax.jit(jax.grad(f))
    product = jax.jit(lambda x, v: jax.jvp(jax.grad(f), (x,), (v,))[1])
    second = {"hessp": lambda x, v: np.asarray(product(x, v))} if method == "Newton-CG" else {}
    r = minimize(
        lambda x: float(value(x)), start, jac=lambda x: np.asarray(gradient(x)), method=method, options=options, **second
    )
    norm = float(np.linalg.norm(gradient(r.x)))
    assert norm < 1e-4, (method, norm)
    return {"x": r.x, "value": r.fun, "gradientNorm": norm, "iterations": r.nit, "evaluations": r.nfev}


def torch_end(f, start):
    w = torch.tensor(start, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [w], lr=1, max_iter=1000, max_eval=2000, history_size=10, line_search_fn="strong_wolfe",
        tolerance_grad=TOLERANCE, tolerance_change=0,
    )

    def closure():
        optimizer.zero_grad()
        loss = f(w)
        loss.backward()
        return loss

    optimizer.step(closure)
    state = optimizer.state[w]
    value = closure()
    return {
        "x": w, "value": value, "gradientNorm": w.grad.norm().item(),
        "iterations": state["n_iter"], "evaluations": state["func_evals"],
    }


def ends(f, start):
    start = np.array(start, dtype=float)
    cg = {"gtol": TOLERANCE, "norm": 2, "maxiter": 10000, "c1": 1e-4, "c2": 0.1}
    lbfgs = {"gtol": TOLERANCE, "ftol": 0, "maxcor": 10, "maxiter": 10000}
    return {
        "conjugateGradient": scipy_end(f, start, "CG", cg),
        "lbfgs": scipy_end(f, start, "L-BFGS-B", lbfgs),
        "newtonCG": scipy_end(f, start, "Newton-CG", {"xtol": 1e-8, "maxiter": 10000}),
        "torchLbfgs": torch_end(f, list(start)),
    }


write(
    "minimize.json",
    {
        "about": "Ends of SciPy's CG, L-BFGS-B and Newton-CG and of PyTorch's LBFGS (strong_wolfe), with counts of iterations and evaluations. Gradient tolerance 1e-6 (Newton-CG: steps below 1e-8).",
        "ends": [{"problem": name, "start": start, **ends(f, start)} for name, f, start in PROBLEMS],
    },
)
