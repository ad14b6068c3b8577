"""What each alias asks for before it moves."""

from datetime import UTC, datetime

from sqlalchemy import delete, select

from data.policy import Policy
from serve.registry.database import Database
from serve.registry.tables import PolicyRow


class Policies:
    """The policies in a database; an adapter may have one before it has a version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, name: str, alias: str) -> Policy | None:
        with self._database.read() as session:
            row = session.get(PolicyRow, (name, alias))
            return Policy.model_validate(row.policy) if row else None

    def any(self) -> bool:
        """Whether some alias has one."""
        with self._database.read() as session:
            return session.scalar(select(PolicyRow.alias).limit(1)) is not None

    def keep(self, name: str, alias: str, policy: Policy | None, by: str | None = None) -> None:
        """Set what an alias asks for from now on; None: nothing."""
        with self._database.write(counts=False) as session:
            if policy is None:
                session.execute(delete(PolicyRow).filter_by(adapter=name, alias=alias))
                return
            row = PolicyRow(adapter=name, alias=alias, policy=policy.model_dump(mode="json"), by=by)
            row.time = datetime.now(UTC)
            session.merge(row)
