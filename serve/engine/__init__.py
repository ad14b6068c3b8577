"""The engine behind the routes: vLLM in this process, seen only through `protocol.Engine`."""
