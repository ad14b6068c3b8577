"""What a recipe will need: memory, time and disk, from the base's config.json and the data alone.

| idea | file |
| --- | --- |
| how many numbers a base and an adapter have | `shapes` |
| how many tokens a run computes, in which passes | `work` |
| pairs of a query and a key that attention computes and keeps | `attention` |
| bytes in memory, bytes on disk | `memory`, `storage` |
| seconds: out of a data sheet, or measured on a few layers here | `speed`, `probe` |
| the devices that are known by name, and this machine | `devices` |
| all of it together, and how it is shown | `command`, `table` |

Nothing here imports torch, except what measures this machine.
"""
