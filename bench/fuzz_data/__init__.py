"""The data half of `make fuzz`: strangers' records made up at random, and an account of every leaf of them.

| idea | file |
| --- | --- |
| marks that are found again, and the talk that they stand in | `marks`, `talk` |
| the same talk in each trainer's records | `formats`, of `chat`, `turns`, `flat`, `pairs`, `tables` |
| what goes wrong with a record on its way here | `mutations`, with the `keys` that come |
| what a reader made of a record, and whether that is right | `outcome`, `oracle` |
| the same records in other containers; the loss mask of what was read | `containers`, `masks` |
| many of all of it, counted | `campaign` |

Formats are written after their public descriptions, not after this project's readers.
"""
