"""`serve`: the server and its registry on the command line. Heavy imports wait for their command."""

from data import commands
from serve.cli import chat, doctor, gate, keys, registry, server, top, upkeep, uploads, usage

app = commands.program("Serve LoRA adapters from one AWQ base, and manage their versions.")

for command in (
    server.up,
    registry.push,
    registry.pull,
    registry.ls,
    registry.show,
    registry.promote,
    registry.rollback,
    gate.gate,
    registry.pin,
    registry.rm,
    chat.chat,
    server.logs,
    doctor.doctor,
    top.top,
    usage.usage,
    upkeep.gc,
    upkeep.fsck,
    upkeep.export,
    upkeep.import_,
):
    app.command(command.__name__.rstrip("_"), cls=commands.Command)(command)
app.add_typer(keys.app, name="keys")
app.add_typer(uploads.app, name="uploads")


def main() -> None:
    """The console script."""
    commands.run(app)
