"""A few of what `make fuzz` makes by the thousand: reports, probes and exports with values changed."""

from pathlib import Path

import pytest

from tests.adversarial import fuzz
from tests.adversarial.pushed import world


@pytest.mark.parametrize("examples", [40, pytest.param(1000, marks=pytest.mark.slow)])
def test_no_report_and_no_probes_do_harm(tmp_path: Path, examples: int) -> None:
    with world(tmp_path) as there:
        tally = fuzz.fuzz_reports(there, examples)
    assert tally.ends["report refused"] and tally.ends["report taken"]


@pytest.mark.parametrize("examples", [40, pytest.param(500, marks=pytest.mark.slow)])
def test_no_export_does_harm(tmp_path: Path, examples: int) -> None:
    with world(tmp_path) as there:
        tally = fuzz.fuzz_exports(there, examples)
    assert tally.ends["export refused"] and len(tally.sentences) > 2
