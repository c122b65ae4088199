"""From the parameter `teacher` to a teacher that can teach."""

from __future__ import annotations

from .._sklearn import InvalidParameterError
from .._validation import check_part
from ._base import Teacher, Unpruned
from ._fitted import FittedTeacher
from ._networks import TEACHERS

__all__ = ["check_teacher"]


def check_teacher(teacher, distillation: float | None) -> Teacher | None:
    """Return the teacher that is meant, its parameters checked; None without distillation.

    Parameters
    ----------
    teacher : str, Teacher, fitted classifier or None
    distillation : float or None

    Raises
    ------
    ValueError
        For a name that is not in `TEACHERS`, parameters outside their range, or a teacher without
        a weight.
    TypeError
        For an object that is no teacher.
    NotFittedError
        For a classifier that has learnt nothing.
    """
    if teacher is None:
        return None if distillation is None else Unpruned()
    if not isinstance(teacher, (str, Teacher)):
        found: Teacher = FittedTeacher(teacher)
        found.check()
    else:
        found = check_part(teacher, "teacher", TEACHERS, Teacher)
    if distillation is None:
        raise InvalidParameterError(
            f"teacher={teacher!r} would teach nothing, as distillation=None; say how much its "
            "words weigh, distillation=0.5 for example."
        )
    return found
