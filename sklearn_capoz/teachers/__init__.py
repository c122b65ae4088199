"""Teachers: who says, in retraining, more of a sample than its label.

`distillation` is the weight of what the teacher says, `temperature` softens it. Without a
`teacher` the dense network teaches what is left of it. `TEACHERS` is the table of those that have
a name; a fitted classifier is a teacher as well.
"""

from ._base import Teacher
from ._check import check_teacher
from ._fitted import without_teacher
from ._networks import TEACHERS, BornAgain, Ensemble, Mutual

__all__ = [
    "TEACHERS",
    "BornAgain",
    "Ensemble",
    "Mutual",
    "Teacher",
    "check_teacher",
    "without_teacher",
]
