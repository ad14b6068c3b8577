"""A few of what `make fuzz` makes by the thousand: reports, probes, exports and schemas."""

from pathlib import Path

import pytest

from serve.engine.trials import SECONDS
from tests.adversarial import fuzz, fuzz_schemas
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


@pytest.mark.parametrize("examples", [40, pytest.param(2000, marks=pytest.mark.slow)])
def test_every_schema_is_compiled_in_time_or_refused_by_name(examples: int) -> None:
    tally = fuzz_schemas.fuzz_schemas(examples, examples // 10)
    assert tally.ends.total() == examples + examples // 10
    assert tally.ends["taken"] and tally.ends.total() > tally.ends["taken"]
    assert tally.slowest < SECONDS
    assert len(tally.processes) == 1
    assert tally.grown_mb < fuzz_schemas.GROWTH_MB
