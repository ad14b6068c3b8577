"""Importers: chat and tool-call data of several origins, read as `Conversation`s.

| idea | file |
| --- | --- |
| a source's files | `places` |
| containers: JSONL and its like, JSON arrays, Parquet, `hf:` | `text`, `array`, `parquet`, `hub` |
| which format a record has | `shapes` |
| formats, each one function from a record to OpenAI's shape | `openai`, `sharegpt`, `hermes`, `xlam`, \
`alpaca`, `completion` |
| a record to its shape, or the reason why not | `importing` |
| all of it together, for conversations | `reader` |
| the same for preferences, with their formats | `preference` |
"""

from data.formats.parts import call_id
from data.formats.reader import raw, read, record, scan
from data.formats.record import Raw, Record
from data.formats.shapes import FORMATS

__all__ = ["FORMATS", "Raw", "Record", "call_id", "raw", "read", "record", "scan"]
