"""Docstrings tell the truth: the parameters of the signature, in its order, with its defaults."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

#: The packages that the reference lists; `test_public` sees that it lists all of them.
REFERENCE = Path(__file__).resolve().parents[1] / "docs" / "api.rst"
PUBLIC = re.findall(r"^   (sklearn_capoz\S*)$", REFERENCE.read_text(), re.M)


def public_objects():
    """Return every public class and function once, by its full name."""
    found = {}
    for name in PUBLIC:
        module = importlib.import_module(name)
        for public in module.__all__:
            thing = getattr(module, public)
            if inspect.isclass(thing) or inspect.isfunction(thing):
                found.setdefault(thing, f"{name}.{public}")
    return {name: thing for thing, name in found.items()}


OBJECTS = public_objects()
METHODS = {
    f"{name}.{method}": function
    for name, thing in OBJECTS.items()
    if inspect.isclass(thing)
    for method, function in inspect.getmembers(thing, callable)
    if not method.startswith("_")
    and getattr(function, "__module__", "").startswith("sklearn_capoz")
}
ESTIMATORS = {
    name: thing
    for name, thing in OBJECTS.items()
    if inspect.isclass(thing) and issubclass(thing, BaseEstimator)
}


def documented(docstring):
    """Parameters of a numpydoc docstring: name -> what stands behind the colon."""
    sections = re.split(r"^([A-Z][A-Za-z ]+)\n-+\n", inspect.cleandoc(docstring), flags=re.M)
    texts = dict(zip(sections[1::2], sections[2::2], strict=True))
    found = {}
    for line in texts.get("Parameters", "").splitlines():
        entry = re.fullmatch(r"(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: : (.*))?", line)
        if entry and not line.startswith(" "):
            for name in entry[1].split(", "):
                found[name.lstrip("*")] = entry[2] or ""
    return found


def parameters(thing):
    """Return the parameters of a call, without self."""
    found = inspect.signature(thing).parameters
    return {name: found[name] for name in found if name != "self"}


def is_error(thing):
    """Whether it is raised: then it takes a message, and needs no word on it."""
    return inspect.isclass(thing) and issubclass(thing, BaseException)


def assert_documented(thing):
    told, taken = documented(thing.__doc__), parameters(thing)
    assert list(told) == list(taken)
    for name, text in told.items():
        stated = re.search(r"default=(.+)$", text)
        default = taken[name].default
        if stated:
            try:
                assert ast.literal_eval(stated[1]) == default, f"{name}: {text}"
            except (ValueError, SyntaxError):  # an expression: it names the default
                assert default is not inspect.Parameter.empty, f"{name}: {text}"


@pytest.mark.parametrize("name", OBJECTS)
def test_one_line_says_what_it_is(name):
    docstring = OBJECTS[name].__doc__
    assert docstring, f"{name} has no docstring"
    first, *rest = docstring.strip().splitlines()
    assert first.endswith(".")
    assert not rest or not rest[0].strip()


#: A protocol is described by its methods: nobody calls it.
CALLED = [
    name
    for name, thing in OBJECTS.items()
    if not is_error(thing) and not getattr(thing, "_is_protocol", False)
]


@pytest.mark.parametrize("name", CALLED)
def test_the_parameters_are_those_of_the_signature(name):
    assert_documented(OBJECTS[name])


@pytest.mark.parametrize("name", METHODS)
def test_the_parameters_of_methods_are_those_of_the_signature(name):
    method = METHODS[name]
    if method.__doc__ and documented(method.__doc__):
        assert_documented(method)
    if method.__name__ in {"fit", "transform", "predict", "predict_proba", "from_estimator"}:
        assert documented(method.__doc__)


CHECKED = [name for name in ESTIMATORS if hasattr(ESTIMATORS[name], "_parameter_constraints")]


@pytest.mark.parametrize("name", CHECKED)
def test_the_parameters_that_are_checked_are_those_of_the_signature(name):
    estimator = ESTIMATORS[name]
    constraints = estimator._parameter_constraints
    if constraints or not hasattr(estimator, "check"):
        assert set(constraints) == set(parameters(estimator))
    elif parameters(estimator):
        # Where a constraint could not say it, the part checks its parameters itself.
        assert "check" in vars(estimator)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_default_of_an_estimator_is_stated(name):
    told, taken = documented(ESTIMATORS[name].__doc__), parameters(ESTIMATORS[name])
    for parameter, given in taken.items():
        has_default = given.default is not inspect.Parameter.empty
        assert ("default=" in told[parameter]) is has_default, parameter


def test_the_reader_of_docstrings_reads():
    def example(a, b=1, *, c=None, d=("x",)):
        """Do nothing.

        Parameters
        ----------
        a, b : int, default=2
            What comes in: not a parameter of its own.
        c : str or None, default=None
        d : tuple

        Returns
        -------
        e : int
        """

    assert documented(example.__doc__) == {
        "a": "int, default=2",
        "b": "int, default=2",
        "c": "str or None, default=None",
        "d": "tuple",
    }
    with pytest.raises(AssertionError):
        assert_documented(example)
