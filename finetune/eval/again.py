"""A report as a suite: the same questions to the same weights, from `report.json` alone."""

from pathlib import Path

from pydantic import ValidationError

from data import digest
from data.errors import UserError
from data.manifest import first_error
from data.report import read_report
from finetune.eval.suite import Suite


def suite_of(path: Path) -> tuple[Suite, list[str]]:
    """The suite of a report, and its models with adapters pinned to their digests.

    UserError where a data file of the suite is gone or has changed.
    """
    report = read_report(path)
    for name, known in report.suite.files.items():
        file = Path(name)
        if not file.is_file():
            raise UserError(f"{path} was made from {name}, which is not here; run it where the data is.")
        if digest.of_file(file) != known:
            raise UserError(
                f"{name} has changed since {path} was made (it had {known}); restore it, or evaluate the "
                "suite's YAML file anew."
            )
    try:
        suite = Suite.model_validate(report.suite.config)
    except ValidationError as error:
        raise UserError(f"the suite in {path} is of another version ({first_error(error)}).") from None
    pinned = [served.model if served.adapter else served.name for served in report.models]
    return suite, pinned
