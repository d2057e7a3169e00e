"""History: all features of a panel at once, of its own frame and of coarser ones.

The result does not depend on the number of threads, nor, for lane features, on which other instruments are there.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from foresail.domain.panel import Panel
from foresail.features.catalogue import agrees, expand
from foresail.features.context import FeatureContext
from foresail.features.frame_syntax import AGREEMENT_INPUTS
from foresail.features.frames import FrameSettings, compute_frames
from foresail.features.plain import compute_plain

__all__ = ["compute", "compute_many"]


def compute(
    panel: Panel, names: Sequence[str] | str | None, context: FeatureContext, *, threads: int = 2, form: str = "display"
) -> Panel:
    """Return the features of a panel of bars.

    Parameters
    ----------
    panel : (N, T, F) bars as the store reads them
    names : names, aliases or a set, with ``@frame`` for a coarser one; None = every feature of the default set that the
        panel can give
    context : sectors, reference series, calendar of the same panel
    threads : the result is the same for any number
    form : "display" = as defined, levels in the units of the instrument; "model" = what a model sees, free of units
        (NORM-05). The two differ only where ``FeatureSpec.scale`` is not "free"

    Returns
    -------
    (N, T, features) panel of the same axes; NaN until warm, where an input is absent and where there is no bar

    Raises
    ------
    UnknownNameError
        If a name is not in the catalogue, or the form is neither of the two.
    ConfigError
        If a frame is shorter than, or no multiple of, the panel's.
    CapabilityError
        If a feature needs a reference series that the context lacks.

    Notes
    -----
    Timing: the value at t uses bars up to t and context that was available with them; it is known at
    ``available_at[t]``.
    """
    if names is None:
        return compute_plain(panel, None, context, threads=threads, form=form)
    specs = expand(names)
    fed = set(AGREEMENT_INPUTS) <= set(context.given_names)
    if any(spec.frame != "base" or (agrees(spec) and not fed) for spec in specs):
        columns = [spec.name for spec in specs]
        return compute_frames(panel, columns, context, FrameSettings(threads=threads), form=form)
    return compute_plain(panel, names, context, threads=threads, form=form)


def compute_many(
    jobs: Sequence[tuple[Panel, Sequence[str] | str | None, FeatureContext]], *, threads: int = 2, form: str = "display"
) -> list[Panel]:
    """Return the features of several panels, for example one a frame: panels side by side, each on one thread.

    Parameters
    ----------
    jobs : panel, names and context as for ``compute``
    threads : the result is the same for any number

    Raises
    ------
    UnknownNameError, CapabilityError
        As ``compute``.
    """
    if threads <= 1 or len(jobs) <= 1:
        return [compute(*job, threads=threads, form=form) for job in jobs]
    with ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(lambda job: compute(*job, threads=1, form=form), jobs))
