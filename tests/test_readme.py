"""The README's code runs, and its commands are the ones that are checked."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()


def test_example_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(code.strip().splitlines()) <= 25
    scope: dict = {}
    exec(code, scope)
    printed = capsys.readouterr().out
    assert "accuracy 0." in printed
    assert scope["search"].score(scope["X_test"], scope["y_test"]) > 0.8
    assert scope["network"].history_["parameter_ratio"].iloc[-1] > 1.2


def test_every_command_installs_with_the_constraints():
    installs = re.findall(r"pip install.*", README)
    assert len(installs) == 2
    assert all("-c constraints.txt" in line for line in installs)


def test_the_checks_run_the_readme_test_command():
    (command,) = [line for line in README.splitlines() if line.endswith(".venv/bin/pytest -n auto")]
    assert command in (ROOT / ".ci" / "run").read_text().splitlines()
