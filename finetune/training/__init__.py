"""What happens between a recipe and an adapter.

| idea | file |
| --- | --- |
| rows of tokens on disk, made once | `rows` |
| which rows a step learns from, in which passes | `plan`, `collate` |
| what is minimised | `loss`, `objectives` |
| the loop | `trainer` |
| what survives a crash | `workplace`, `checkpoint`, `stopping` |
| what a run says | `track`, `generations` |
| several processes | `processes` |
"""
