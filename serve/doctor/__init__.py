"""`serve doctor`: what would keep `serve up` with the same options from working here, and what will fit.

Nothing is started and nothing written, and neither torch nor vLLM is imported: it answers at once, also
where these are what is broken.
"""
